"""``--dry-run`` says what would become of every file and changes nothing; ``--once`` makes one pass and ends."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.records.forecast import Forecast

if TYPE_CHECKING:
    from tests.main_worker.conftest import Farm, Media


def dry_run(farm: Farm) -> dict[str, Forecast]:
    """What a dry run says, by drop."""
    done = subprocess.run(
        [sys.executable, "-m", "main_worker", "--root", str(farm.layout.root), "--dry-run"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    forecasts = [Forecast.model_validate(json.loads(line)) for line in done.stdout.splitlines()]
    assert all(len(forecast.why.splitlines()) == 1 and forecast.why.isprintable() for forecast in forecasts)
    found = {forecast.drop: forecast for forecast in forecasts}
    assert len(found) == len(forecasts), "each file is spoken of once"
    return found


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a root, with all that a change would change."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path)] = (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return found


class Counting(BaseHTTPRequestHandler):
    """A server that counts who asks it."""

    def __init__(self, asked: list[str], *arguments: object) -> None:
        self._asked = asked
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def drop_everything(farm: Farm, media: Media, outside: Path) -> None:
    """Good and bad files of every kind, beside a library that holds the plain clip."""
    nature = farm.layout.raw / "video/nature"
    farm.drop(media.variant(media.clip(), 1), "video/nature/good.mp4")
    farm.drop(media.variant(media.clip(), 2), "video/nature/known.mp4")
    farm.drop(media.variant(media.clip(), 3), "video/nature/known.mov")
    farm.drop(media.clip(), "video/nature/in-library.mp4")
    farm.drop(media.variant(media.clip(), 1), "video/nature/second.mp4")
    farm.drop(media.half(media.clip("late-index.mp4", seconds=6)), "video/nature/cut.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/tune.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    farm.drop(media.sound(), "story/empty/tale/voice/one.mp3")
    farm.drop(media.text("a.toml", 'clips = "nature"\n'), "story/other/tale/story.toml")
    farm.drop(media.sound(), "story/other/tale/voice/one.mp3")
    (nature / ".hidden.mp4").touch()
    (nature / "coming.mp4.part").touch()
    (farm.layout.raw / "loose\nend.mp4").touch()
    (nature / "link.mp4").symlink_to(outside)
    os.mkfifo(nature / "pipe.mp4")


def test_a_dry_run_says_of_every_file_what_and_why(
    make_farm: Callable[..., Farm], media: Media, tmp_path: Path
) -> None:
    """Also of hidden ones, of duplicates within raw/ and of the library, of links and pipes; nothing is changed."""
    farm = make_farm({"links": {"allow_loopback": True, "retries": 0}, "ingest": {"unfinished_seconds": 75}})
    farm.drop(media.clip(), "video/nature/known.mp4")
    farm.work()
    drop_everything(farm, media, tmp_path)
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, asked)) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/page"
            farm.drop(media.text("links.txt", f"{address}\n"), "story/nature/tale/link/links.txt")
            before = listing(farm.layout.root)
            said = dry_run(farm)
            assert listing(farm.layout.root) == before
        finally:
            server.shutdown()
    assert asked == []
    outcomes = {name.removeprefix("raw/"): forecast.outcome for name, forecast in said.items()}
    notes = [name for name in outcomes if name.endswith("README.md")]
    assert {outcomes.pop(name) for name in notes} == {"leave"}
    assert outcomes == {
        "video/nature/good.mp4": "accept",
        "video/nature/known.mp4": "accept",
        "video/nature/known.mov": "accept",
        "video/nature/in-library.mp4": "reject",
        "video/nature/second.mp4": "reject",
        "video/nature/cut.mp4": "reject",
        "music/nature/tune.mp3": "accept",
        "story/nature/tale/voice/one.mp3": "accept",
        "story/empty/tale/voice/one.mp3": "accept",
        "story/other/tale/story.toml": "accept",
        "story/other/tale/voice/one.mp3": "accept",
        "story/nature/tale/link/links.txt": "accept",
        "video/nature/.hidden.mp4": "leave",
        "video/nature/coming.mp4.part": "leave",
        "loose\\nend.mp4": "reject",
        "video/nature/link.mp4": "reject",
        "video/nature/pipe.mp4": "reject",
    }
    codes = {name.removeprefix("raw/video/nature/"): found.code for name, found in said.items() if found.code}
    assert codes["in-library.mp4"] == codes["second.mp4"] == "duplicate"
    assert codes["cut.mp4"] in ("truncated", "unreadable")
    assert codes["link.mp4"] == codes["pipe.mp4"] == "not_a_file"
    assert all(found.advice for found in said.values() if found.outcome == "reject")
    becomes = [found.becomes for found in said.values() if found.becomes]
    assert len(becomes) == len(set(becomes)), "two drops do not get one name"
    assert said["raw/video/nature/good.mp4"].becomes == "scanned/video/nature/mp4_w64_h48/1.0_good.mp4"
    assert said["raw/story/nature/tale/link/links.txt"].measured == {"addresses": [address]}
    whys = {name.split("/")[2]: found.why for name, found in said.items() if "/voice/" in name}
    assert whys["nature"].endswith("a task would be made of it.")
    assert "its task would wait: there is no clip in raw/video/empty/ yet" in whys["empty"]
    assert whys["other"].endswith("a task would be made of it."), "its settings, which come with it, say where from"


def test_what_a_dry_run_says_is_what_comes_to_pass(farm: Farm, media: Media) -> None:
    """Of good drops the very names, of bad ones the codes."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.variant(media.clip(), 1), "video/nature/a.mov")
    farm.drop(media.sound("tune.mp3"), "music/nature/tune.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    farm.drop(media.text("note.txt", "text"), "video/nature/note.txt")
    farm.drop(media.text("text.mp4", "text"), "video/nature/text.mp4")
    said = dry_run(farm)
    farm.work()
    foretold = {name: found.becomes for name, found in said.items() if found.becomes}
    assert foretold == {sidecar.origin.path: f"scanned/{name}" for name, sidecar in farm.library().items()}
    codes = {name: found.code for name, found in said.items() if found.code}
    assert codes == {name: reason.code for name, (_, reason) in farm.rejected().items()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_a_dry_run_tells_of_a_file_that_is_being_written(farm: Farm, media: Media) -> None:
    """It is not examined."""
    path = farm.drop(media.clip(), "video/nature/a.mp4")
    with path.open("ab"):
        (said,) = (found for found in dry_run(farm).values() if found.outcome != "leave")
    assert (said.outcome, said.why) == ("wait", "A program has it open for writing.")


def test_a_dry_run_needs_no_lock(farm: Farm, media: Media) -> None:
    """It may be made while the main worker is at work."""
    main = farm.start()
    main.until_idle()
    assert {found.outcome for found in dry_run(farm).values()} == {"leave"}
    assert main.stop() == 0


# -- one pass ------------------------------------------------------------------------------------------------


def test_one_pass_takes_in_what_is_complete_and_ends(farm: Farm, media: Media) -> None:
    """Good and bad drops go where they belong, the task is made, and nothing of it needed a second thread."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    farm.drop(media.text("text.mp4", "text"), "video/nature/text.mp4")
    assert (main := farm.start("--once")).wait() == 0, main.log
    assert len(farm.library()) == 3
    assert len(farm.tasks()) == 1
    assert list(farm.rejected()) == ["raw/video/nature/text.mp4"]
    assert farm.files(farm.layout.raw) == []
    assert farm.leftovers() == []
    assert farm.start("--once").wait() == 0, "a pass with nothing to do is fine"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_one_pass_leaves_what_is_not_complete(make_farm: Callable[..., Farm], media: Media) -> None:
    """What is being written and what looks unfinished stay, and the log says why; the next pass takes them."""
    farm = make_farm({"ingest": {"unfinished_seconds": 600}})
    clip = media.clip("late-index.mp4", seconds=6)
    farm.drop(media.half(clip), "video/nature/half.mp4")
    written = farm.drop(clip, "video/nature/written.mp4")
    with written.open("ab"):
        assert (main := farm.start("--once")).wait() == 0, main.log
    assert farm.files(farm.layout.raw) == ["video/nature/half.mp4", "video/nature/written.mp4"]
    assert "raw/video/nature/half.mp4 stays: looks unfinished" in main.log
    assert "raw/video/nature/written.mp4 stays: waiting for a program that has it open for writing" in main.log
    shutil.copyfile(media.variant(clip, 1), farm.layout.raw / "video/nature/half.mp4")
    assert farm.start("--once").wait() == 0
    assert len(farm.library()) == 2


def test_one_pass_fails_where_the_machine_is_in_the_way(farm: Farm, media: Media) -> None:
    """Exit status 1, and the drop is where it was."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or somebody who is not root")
        farm.prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    path = farm.drop(media.clip(), "video/nature/a.mp4")
    (farm.layout.scanned / "video").chmod(0o555)
    main = farm.start("--once")
    assert main.wait() == 1
    assert "a.mp4 stays in raw/ and is tried again: cannot take it in: Permission denied" in main.log
    assert path.exists()
    (farm.layout.scanned / "video").chmod(0o755)
    assert farm.start("--once").wait() == 0
    assert len(farm.library()) == 1


def test_one_pass_and_a_main_worker_exclude_each_other(farm: Farm) -> None:
    """Exit status 2, naming the other."""
    first = farm.start()
    first.until_idle()
    second = farm.start("--once")
    assert second.wait() == 2
    assert f"another main worker (process {first.process.pid}" in second.log
    assert first.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", ["--once", "--dry-run"])
def test_a_signal_ends_it_without_a_trace(farm: Farm, media: Media, mode: str, number: signal.Signals) -> None:
    """In the middle of an examination: the drop stays as it was, nothing is left over."""
    path = farm.drop(media.slow_clip(), "video/nature/a.mp4")
    main = farm.start(mode)
    main.until(lambda: is_decoding(farm))
    main.stop(number)
    assert "Traceback" not in main.log
    assert path.exists()
    assert farm.leftovers() == []


def is_decoding(farm: Farm) -> bool:
    """Whether ffmpeg is at work on a drop."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("needs /proc")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(farm.layout.raw) in command and b"-f\0null" in command:
            return True
    return False
