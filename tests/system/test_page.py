"""The page in a real browser, over a real farm: drops become a video while one looks on, plays it, and retries a drop.

``make screenshots`` has the pictures of it written into docs/.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from console.init import lay_out
from console.web.guard import read_token
from shared.child import Limits
from shared.domain.figures import Counts
from shared.domain.layout import Layout, reason_of
from shared.domain.task import TaskState
from shared.ffmpeg import find_ffmpeg
from shared.records.figures import FiguresLine
from shared.records.mounts import MountsRecord
from shared.records.reason import Reason
from tests.system.test_farm import never

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE = 120.0
QUICK = {"quiet_seconds": 0.2, "rescan_seconds": 0.5, "unfinished_seconds": 0}
RENDER = {"resolution": "640x360", "preset": "veryslow", "encoder": "software"}  # a bar that one can see move
SPEECH = "aevalsrc='0.2*(sin(2*PI*150*t)+sin(6*PI*150*t))*pow(0.52-0.48*cos(8*PI*t),2)':s=44100:d=16"
REELMILL = str(Path(sys.executable).with_name("reelmill"))

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs the system's chromium and chromedriver")


def until(happened: Callable[[], object]) -> object:
    """What a condition gives once it holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if found := happened():
            return found
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return lay_out(tmp_path / "root", {"ingest": QUICK, "render": RENDER, "worker": {"conform_when_idle": False}})


@pytest.fixture
def address(layout: Layout, tmp_path: Path) -> Iterator[str]:
    """A whole farm and its page, which asks for the token to look as well; the address has it in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path / "log").open("wb")
    commands = [["run"], ["web", "--listen", f"127.0.0.1:{port}"]]
    running = [
        subprocess.Popen(
            [REELMILL, name, "--root", str(layout.root), *more],
            stderr=log,
            stdout=log,
            env={**os.environ, "REELMILL_WEB__NAMES": '["farm.example"]'},
        )
        for name, *more in commands
    ]
    until(layout.web_token.exists)
    yield f"http://127.0.0.1:{port}/#token={read_token(layout.web_token)}"
    for process in running:
        process.terminate()
    for process in running:
        process.wait(60)
    log.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--mute-audio"):
        options.add_argument(flag)
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.add_argument(f"--user-data-dir={tmp_path / 'chromium'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    found.set_window_size(1280, 900)
    yield found
    found.quit()


def drop(layout: Layout, where: str, *source: str) -> None:
    """Make a file beside `raw/` and rename it into its place, as a careful program does."""
    made = layout.root / f"made-{Path(where).name}"
    ended, _ = find_ffmpeg("").run(["-f", "lavfi", *source, str(made)], limits=Limits(total_seconds=60), stopping=never)
    assert ended.code == 0, ended.errors
    path = layout.raw / where
    path.parent.mkdir(parents=True, exist_ok=True)
    made.rename(path)


def picture(browser: webdriver.Chrome, name: str) -> None:
    """A picture for the manual, where one is wanted."""
    if folder := os.environ.get("REELMILL_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def hurry(browser: webdriver.Chrome, times: int) -> None:
    """Have the timers of what is opened next run so many times as fast: the page waits for most of a minute."""
    source = (
        f"const slow = setTimeout; window.setTimeout = (does, after, ...more) => slow(does, after / {times}, ...more)"
    )
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})


def words_in(browser: webdriver.Chrome, list_id: str) -> str:
    return browser.find_element(By.ID, list_id).text


def test_a_farm_is_followed_and_led_from_the_page(layout: Layout, address: str, browser: webdriver.Chrome) -> None:
    """From the drop to the video that plays, with a refused drop that is tried again on the way."""
    until(lambda: _opens(browser, address))
    until(lambda: "Main worker" in browser.find_element(By.ID, "main").text)
    assert "GB free" in browser.find_element(By.ID, "disk").text
    for name, seconds in (("one", 6), ("two", 7), ("three", 8)):
        source = f"testsrc2=size=640x360:rate={25 + len(name)}:duration={seconds}"
        drop(layout, f"video/tales/{name}.mp4", "-i", source, "-pix_fmt", "yuv420p")
    drop(layout, "music/tales/tune.mp3", "-i", "anoisesrc=c=pink:r=44100:a=0.3:d=5")
    broken = layout.raw / "video/tales/broken <b>clip<b>.mp4"
    broken.write_bytes(b"no film at all")
    drop(layout, "story/tales/orla/voice/one.mp3", "-i", SPEECH)

    until(lambda: browser.execute_script("return window.button = document.querySelector('#node-list button')"))
    bars = _watch_bar(browser)
    assert len(bars) >= 3, bars
    assert browser.execute_script("return document.contains(window.button)"), "a press that takes a while still counts"
    assert "broken" in words_in(browser, "rejected-list")
    assert _heard(browser)["progressbar"] != [""]
    picture(browser, "page-rendering")

    until(lambda: "Play tales/orla/one" in words_in(browser, "video-list"))
    assert not browser.find_elements(By.CSS_SELECTOR, "#rejected-list b")  # a name is no markup
    assert "" not in itertools.chain(*_heard(browser).values())
    poster = browser.find_element(By.CSS_SELECTOR, "#video-list img")
    until(lambda: browser.execute_script("return arguments[0].naturalWidth", poster))
    _press(browser, "#video-list button")
    film = browser.find_element(By.ID, "film")
    first = until(lambda: browser.execute_script("return arguments[0].currentTime", film))
    until(lambda: browser.execute_script("return arguments[0].currentTime", film) > float(str(first)) + 0.5)
    assert browser.execute_script("return [arguments[0].videoWidth, arguments[0].error]", film) == [640, None]
    picture(browser, "page-playing")
    assert words_in(browser, "player-links").split("\n") == ["Download", "Contact sheet"]
    _press(browser, "#close")
    until(lambda: browser.execute_script("return arguments[0].networkState", film) == 0)  # its connection has gone

    before = _refused_at(layout)
    _press(browser, "#rejected-list button")
    until(lambda: "is tried again" in browser.find_element(By.ID, "said").text)
    until(lambda: _refused_at(layout) not in (before, 0))

    for width in (360, 390):
        phone = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        small = "return [...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 44)"
        assert not [found.text for found in browser.execute_script(small)], "a thumb needs 44 pixels"
    picture(browser, "page-phone")
    _press(browser, "#pause")
    until(lambda: "Farm paused by the web page" in browser.find_element(By.ID, "main").text)
    logged: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [line["message"] for line in logged if line["level"] == "SEVERE"] == []


def test_everything_can_be_reached_by_keyboard_and_has_a_name(
    layout: Layout, address: str, browser: webdriver.Chrome
) -> None:
    """Landmarks, headings in order, buttons with words, and a list of what a screen reader would say."""
    until(lambda: _opens(browser, address))
    until(lambda: "Nothing waits." in words_in(browser, "queue-list"))
    assert len(browser.find_elements(By.TAG_NAME, "main")) == len(browser.find_elements(By.TAG_NAME, "header")) == 1
    heads = browser.find_elements(By.CSS_SELECTOR, "h1, main h2")
    assert [head.tag_name for head in heads] == ["h1"] + ["h2"] * 8
    for section in browser.find_elements(By.TAG_NAME, "section"):
        assert browser.find_element(By.ID, str(section.get_attribute("aria-labelledby"))).text
    for button in browser.find_elements(By.CSS_SELECTOR, "button"):
        assert button.text or not button.is_displayed()
    assert browser.execute_script("return document.documentElement.lang") == "en"
    heard = _heard(browser)
    assert {"Pause the farm", "Show the log"} <= {*heard["button"]}
    assert "" not in itertools.chain(*heard.values())
    reached = _tab_through(browser)
    assert {"pause", "show-log"} <= reached
    _press(browser, "#show-log")
    until(lambda: "worker_started" in browser.find_element(By.ID, "log-lines").text)


class Web:
    """The page alone, over a root in which nothing runs, at a port that it comes back to."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._layout = layout
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{port}/"
        self.names: list[str] = []

    def start(self) -> None:
        command = [REELMILL, "web", "--root", str(self._layout.root), "--listen", f"127.0.0.1:{self._port}"]
        environment = os.environ | {"REELMILL_WEB__NAMES": json.dumps(self.names)}
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)


@pytest.fixture
def web(layout: Layout) -> Iterator[Web]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = Web(layout, probe.getsockname()[1])
    found.start()
    yield found
    found.stop()


class _Proxy(BaseHTTPRequestHandler):
    """In place of a server; its answers are ended when it is."""

    ended: ClassVar = threading.Event()

    def log_message(self, *_: object) -> None:
        pass


class _BadGateway(_Proxy):
    """Does not reach what is behind it."""

    asked: ClassVar[list[float]] = []

    def do_GET(self) -> None:
        self.asked.append(time.monotonic())
        self.send_error(502)


class _Hoarder(_Proxy):
    """Takes what is behind it for a file, and keeps it back until it has all of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()
        self.ended.wait(PATIENCE)


@contextmanager
def proxy_at(address: str, way: type[_Proxy]) -> Iterator[None]:
    """A proxy where the page was."""
    _Proxy.ended.clear()
    with ThreadingHTTPServer(("127.0.0.1", int(address.rsplit(":", 1)[1].strip("/"))), way) as proxy:
        serving = threading.Thread(target=proxy.serve_forever)
        serving.start()
        try:
            yield
        finally:
            _Proxy.ended.set()
            proxy.shutdown()
            serving.join()


def test_a_root_that_has_gone_is_told_and_comes_back(layout: Layout, web: Web, browser: webdriver.Chrome) -> None:
    """Since when, why, and of when the picture is that stays; the page comes back by itself."""
    drop_refused(layout, "lost.mp4")
    until(lambda: _opens(browser, web.address))
    until(lambda: "lost.mp4" in words_in(browser, "rejected-list"))
    assert not browser.find_element(By.ID, "outage").is_displayed()
    away = layout.root.with_name("away")
    begun = datetime.now().replace(microsecond=0)  # noqa: DTZ005 - the browser shows this machine's time
    layout.root.rename(away)
    told = until(lambda: browser.find_element(By.ID, "outage").text)
    found = re.fullmatch(
        r"The root cannot be reached since ([-\d]+ [:\d]+): .+\. What is shown is how it was at ([-\d]+ [:\d]+)\. .+",
        str(told),
    )
    assert found, told
    since, shown = (datetime.fromisoformat(moment) for moment in found.groups())
    assert begun <= since <= datetime.now()  # noqa: DTZ005
    assert shown <= since
    assert "lost.mp4" in words_in(browser, "rejected-list"), "the last picture stays"
    assert "grayscale" in _style(browser, "main", "filter")
    picture(browser, "page-unreachable")
    away.rename(layout.root)
    until(lambda: not browser.find_element(By.ID, "outage").is_displayed())
    assert _style(browser, "main", "filter") == "none"


def test_what_is_not_mounted_is_told_and_not_taken_for_empty(
    layout: Layout, web: Web, browser: webdriver.Chrome
) -> None:
    """A part of a root whose filesystem has gone keeps what was seen of it last; the others go on."""
    drop_refused(layout, "lost.mp4")
    until(lambda: _opens(browser, web.address))
    until(lambda: "lost.mp4" in words_in(browser, "rejected-list"))
    trash = layout.invalid.parent
    full = trash.rename(layout.root / "elsewhere")
    layout.invalid.mkdir(parents=True)
    layout.state(TaskState.FAILED).mkdir()
    MountsRecord(mounts=("trash",)).write(layout.mounts)
    until(lambda: browser.find_element(By.ID, "not-mounted").text)
    assert browser.find_element(By.ID, "not-mounted").text.startswith("trash/ should be mounted and is not there")
    assert "lost.mp4" in words_in(browser, "rejected-list")
    assert "1 drops rejected" in " ".join(words_in(browser, "counts").split())
    assert len(browser.find_elements(By.CSS_SELECTOR, "section.stale")) == 2
    shutil.rmtree(trash)
    full.rename(trash)
    layout.mounts.unlink()
    until(lambda: not browser.find_elements(By.CSS_SELECTOR, ".stale"))
    assert not browser.find_element(By.ID, "not-mounted").is_displayed()


def test_a_server_that_has_gone_is_told_and_asked_again(layout: Layout, web: Web, browser: webdriver.Chrome) -> None:
    """By itself and ever more rarely, also behind a proxy that answers in its place, after which browsers give up."""
    hurry(browser, 3)
    until(lambda: _opens(browser, web.address))
    until(lambda: "Nothing waits." in words_in(browser, "queue-list"))
    web.stop()
    until(lambda: "The server does not answer since 20" in browser.find_element(By.ID, "outage").text)
    assert "grayscale" in _style(browser, "main", "filter")
    with proxy_at(web.address, _BadGateway):
        until(lambda: "a proxy before it, answers 502" in browser.find_element(By.ID, "outage").text)
        until(lambda: len(_rounds(_BadGateway.asked)) >= 3)
    rounds = _rounds(_BadGateway.asked)
    assert rounds[2] - rounds[1] > 1.05 * (rounds[1] - rounds[0]), rounds
    web.start()
    until(lambda: not browser.find_element(By.ID, "outage").is_displayed())
    assert _style(browser, "main", "filter") == "none"
    drop_refused(layout, "later.mp4")
    until(lambda: "later.mp4" in words_in(browser, "rejected-list"))


def test_a_line_that_broke_unnoticed_is_told(web: Web, browser: webdriver.Chrome) -> None:
    """Nothing comes any more and nothing says so, as after a cable was pulled: the stream should have said it lives."""
    hurry(browser, 20)
    until(lambda: _opens(browser, web.address))
    until(lambda: "Nothing waits." in words_in(browser, "queue-list"))
    web.signal(signal.SIGSTOP)
    try:
        until(lambda: "The server does not answer since 20" in browser.find_element(By.ID, "outage").text)
    finally:
        web.signal(signal.SIGCONT)
    until(lambda: not browser.find_element(By.ID, "outage").is_displayed())


def test_a_proxy_that_keeps_everything_back_is_told(web: Web, browser: webdriver.Chrome) -> None:
    """The server seems to answer, and nothing comes: what is shown is old, and the page says so."""
    hurry(browser, 20)
    until(lambda: _opens(browser, web.address))
    until(lambda: "Nothing waits." in words_in(browser, "queue-list"))
    web.stop()
    with proxy_at(web.address, _Hoarder):
        until(lambda: "The server answers, but nothing more comes" in browser.find_element(By.ID, "outage").text)
        assert "grayscale" in _style(browser, "main", "filter")
    web.start()
    until(lambda: not browser.find_element(By.ID, "outage").is_displayed())


def test_a_lost_cookie_is_fetched_again_and_a_lost_token_asked_for(
    layout: Layout, web: Web, browser: webdriver.Chrome
) -> None:
    """As long as the browser still has the token nobody is asked for it; once the farm has another, it is."""
    web.stop()
    web.names = ["farm.example"]
    web.start()
    until(lambda: _opens(browser, f"{web.address}#token={read_token(layout.web_token)}"))
    until(lambda: "Nothing waits." in words_in(browser, "queue-list"))
    web.stop()
    browser.delete_all_cookies()
    web.start()
    until(browser.get_cookies)
    drop_refused(layout, "later.mp4")
    until(lambda: "later.mp4" in words_in(browser, "rejected-list"))
    assert not browser.find_element(By.ID, "enter").is_displayed()
    web.stop()
    layout.web_token.unlink()
    web.start()
    until(lambda: browser.find_element(By.ID, "enter").is_displayed())
    browser.find_element(By.ID, "token").send_keys(read_token(layout.web_token), "\n")
    drop_refused(layout, "latest.mp4")
    until(lambda: "latest.mp4" in words_in(browser, "rejected-list"))
    assert not browser.find_element(By.ID, "enter").is_displayed()


def test_the_figures_are_shown(layout: Layout, web: Web, browser: webdriver.Chrome) -> None:
    """In the words of `reelmill status`, of the farm and of each node; they fit a phone."""
    until(lambda: _opens(browser, web.address))
    until(lambda: "Nothing was rendered yet." in words_in(browser, "figure-notes"))
    line = FiguresLine.of(time.time(), Counts(rendering=60, starved=20, exposed=3, finished=2, render_seconds=60))
    path = layout.figures_of(line.at[:10], "attic-of-the-house-with-a-long-name")
    path.parent.mkdir(parents=True)
    path.write_bytes(line.to_line())
    until(lambda: browser.find_element(By.ID, "figure-table").is_displayed())
    shown = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#figure-table tr")]
    assert shown[0] == "USED RENDER TASKS/H IO"
    assert [words.split(" 75 % 30.0 s ")[0] for words in shown[1:3]] == ["last hour", "last 24 hours"]
    assert shown[4].startswith("attic-of-the-house-with-a-long-name 75 % 30.0 s")
    phone = {"width": 360, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]


def drop_refused(layout: Layout, name: str) -> None:
    """A refused drop, as the main worker leaves it."""
    (layout.invalid / name).write_bytes(b"no film")
    Reason(code="not_media", reason="It is no film.", advice="", when="2026-11-27T06:00:00Z").write(
        reason_of(layout.invalid / name)
    )


def _rounds(asked: list[float]) -> list[float]:
    """When the page tried again: what it asks at once for one try counts as one."""
    return [at for place, at in enumerate(asked) if place == 0 or at - asked[place - 1] > 0.3]


def _style(browser: webdriver.Chrome, selector: str, name: str) -> str:
    element = browser.find_element(By.CSS_SELECTOR, selector)
    return str(browser.execute_script("return getComputedStyle(arguments[0])[arguments[1]]", element, name))


def _opens(browser: webdriver.Chrome, address: str) -> bool:
    browser.get(address)
    return browser.title == "Reelmill"


def _heard(browser: webdriver.Chrome) -> dict[str, list[str]]:
    """The names of what one can use or look at, by role, as Chromium tells them to a screen reader."""
    found: dict[str, list[str]] = {}
    for node in browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
        role = str(node.get("role", {}).get("value", ""))
        if role in ("button", "progressbar", "image", "textbox", "link", "heading", "region", "dialog"):
            found.setdefault(role, []).append(str(node.get("name", {}).get("value", "")).strip())
    return found


def _watch_bar(browser: webdriver.Chrome) -> list[float]:
    """Different values that the bar of the node had, rising, until three were seen."""
    seen: list[float] = []

    def look() -> bool:
        value = browser.execute_script("return document.querySelector('#node-list progress')?.value ?? null")
        if value is not None and (not seen or float(value) > seen[-1]):
            seen.append(float(value))
        return len(seen) >= 3 or "Play tales" in words_in(browser, "video-list")

    until(look)
    return seen


def _press(browser: webdriver.Chrome, selector: str) -> None:
    button: WebElement = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def _refused_at(layout: Layout) -> int:
    """When the broken drop was refused last; 0 where it is not."""
    return max((path.stat().st_mtime_ns for path in layout.invalid.glob("broken*.reason.json")), default=0)


def _tab_through(browser: webdriver.Chrome) -> set[str]:
    """The ids of what the Tab key reaches."""
    reached = set()
    for _ in range(12):
        browser.switch_to.active_element.send_keys("\ue004")
        reached.add(str(browser.switch_to.active_element.get_attribute("id")))
    return reached
