"""The page over real HTTP: what it tells, who may ask for what, and what hostile clients and names come to."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
import requests

from console.farm.snapshot import Snapshot
from console.status import lines
from console.trash import drop_id
from console.web.guard import COOKIE, cookie_of, read_token
from shared.domain.errors import RootError
from shared.domain.figures import Counts
from shared.domain.layout import FINAL, POSTER, Layout
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.records.figures import FiguresLine
from shared.records.mounts import MountsRecord
from shared.records.node import NodeRecord
from shared.store import Store

if TYPE_CHECKING:
    from tests.conftest import DeadMounts, ServiceManager

Add = Callable[..., str]
HOSTILE = "a\x1b[2Jb\r\nSet-Cookie: x=1<script>alert(1)</script>"
TORN = b"torn\xff.mp4".decode("utf-8", "surrogateescape")
VIDEO = bytes(range(256)) * 40


class Site:
    """A running `reelmill web`."""

    def __init__(self, layout: Layout, process: subprocess.Popen[bytes], port: int) -> None:
        self.layout = layout
        self.process = process
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.token = read_token(layout.web_token)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.address}{path}", headers=headers, timeout=10, allow_redirects=False)

    def post(self, path: str, body: object = None, **headers: str) -> requests.Response:
        known = {"Authorization": f"Bearer {self.token}", **headers}
        return requests.post(f"{self.address}{path}", json=body, headers=known, timeout=10)

    def raw(self, request: bytes) -> bytes:
        """What comes back to bytes as they stand."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            with suppress(ConnectionResetError):  # what it did not read it throws away
                while block := connection.recv(65536):
                    answer += block
        return answer


def start(layout: Layout, host: str, tmp_path: Path, **environment: str) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("reelmill")), "web", "--root", str(layout.root)]
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--listen", f"{host}:{port}"], stderr=log, stdout=log, env={**os.environ, **environment}
        )
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "web.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    try:
        yield Site(layout, process, port)
    finally:
        process.terminate()
        assert process.wait(20) == 0
    said = (tmp_path / "web.log").read_text()
    assert "event=web_stopped" in said
    assert not [line for line in said.splitlines() if " web " not in line], "what is said is the log's"
    assert said == layout.log_file("web").read_text()


def test_systemd_hears_that_the_page_is_ready_lives_and_ends(
    layout: Layout, tmp_path: Path, service_manager: ServiceManager
) -> None:
    """From the loop that answers: once it serves, several times within the watchdog's limit, and when it is stopped."""
    for site in start(layout, "127.0.0.1", tmp_path):
        service_manager.until_told("READY=1")
        service_manager.until_told(f"STATUS=serving {site.address}/")
        began = time.monotonic()
        service_manager.until(lambda: len(service_manager.pings) >= 4)
        assert service_manager.longest_silence(began) < 1.0
    service_manager.until_told("STOPPING=1")


@pytest.fixture
def site(layout: Layout, tmp_path: Path) -> Iterator[Site]:
    """The page, for this machine only."""
    yield from start(layout, "127.0.0.1", tmp_path)


@pytest.fixture
def open_site(layout: Layout, tmp_path: Path) -> Iterator[Site]:
    """The page, for everybody."""
    yield from start(layout, "0.0.0.0", tmp_path)


@pytest.fixture
def finish_task(finish_task: Add, layout: Layout) -> Add:
    """A task with a longer video, and a poster; returns its id."""

    def finish(**changes: object) -> str:
        task_id = finish_task(**changes)
        folder = layout.task(TaskState.FINISHED, task_id)
        (folder / FINAL).write_bytes(VIDEO)
        (folder / POSTER).write_bytes(b"\xff\xd8picture")
        return task_id

    return finish


# -- what it tells -------------------------------------------------------------------------------


def test_the_farm_is_told_as_json(site: Site, add_task: Add, finish_task: Add, fail_task: Add) -> None:
    """The same as on the page; what it is made of is described by OpenAPI."""
    waits, done, failed = add_task(titles=(), chapter="1"), finish_task(titles=(), chapter="2"), fail_task()
    view = site.get("/api/farm").json()
    assert [one["task"]["task_id"] for one in view["waiting"]] == [waits]
    assert [(one["task_id"], one["has_poster"], one["has_captions"]) for one in view["videos"]] == [(done, True, False)]
    assert [one["task_id"] for one in view["farm"]["failed"]] == [failed]
    schema = site.get("/api/openapi.json").json()
    shape = {"$ref": "#/components/schemas/View", "components": schema["components"]}
    jsonschema.validate(view, shape, jsonschema.Draft202012Validator)
    assert set(view["farm"]) == set(schema["components"]["schemas"]["Snapshot"]["properties"])
    assert {"/api/farm", "/api/stream", "/api/tasks/{task_id}/cancel", "/media/{task_id}/{what}"} < set(schema["paths"])
    assert "GB free" in view["disk"]
    assert (view["is_low_on_disk"], view["queue"].startswith("no telling how long")) == (False, True)
    assert site.get(f"/api/tasks/{failed}").json()["why"][0].startswith("It has failed")
    assert [event["what"] for event in site.get("/api/history").json()] == ["finished", "failed"]
    assert site.get("/api/where?name=nothing").json() == []
    assert site.get("/api/logs?lines=5").status_code == 200


def test_the_ends_of_logs_are_told(site: Site) -> None:
    """By time, over all of them, whole lines only; no link is followed, and a fault's trace stays with its event."""
    line = '2026-11-27T06:00:{:02d}Z INFO {} "words" event=e'
    many = "".join(line.format(number % 60, "old") + "\n" for number in range(5000))
    (site.layout.logs / "render_worker-a.log").write_text(many, "utf-8")
    fault = [line.format(1, "main_worker").replace("T06", "T07"), "    Traceback", "    \x1b[31mred"]
    (site.layout.logs / "main_worker.log").write_text("\n".join(fault) + "\n", "utf-8")
    (site.layout.logs / "secret.log").symlink_to(site.layout.web_token)
    told = site.get("/api/logs?lines=500").json()
    assert site.token not in told
    assert [entry for entry in told if entry in fault or "red" in entry] == [*fault[:2], "    \\x1b[31mred"]
    old = [entry for entry in told if " old " in entry]
    assert len(old) > 400
    assert {entry[:10] for entry in old} == {"2026-11-27"}


def test_the_figures_are_told_in_the_words_of_status(site: Site) -> None:
    """Cell by cell, of the farm and of each node, with what could not be counted."""
    counts = Counts(rendering=60, starved=20, exposed=3, finished=2, render_seconds=60)
    line = FiguresLine.of(time.time(), counts)
    path = site.layout.figures_of(line.at[:10], "attic")
    path.parent.mkdir(parents=True)
    path.write_bytes(line.to_line() + b"torn\n")
    view = site.get("/api/farm").json()
    table, said = view["figures"], list(lines(Snapshot.model_validate(view["farm"])))
    begin = next(place for place, words in enumerate(said) if words.startswith("Figures"))
    told = [words.split() for words in said[begin:]]
    assert told[0] == ["Figures", *table["heads"]]
    assert table["rows"][0][1:] == ["75 %", "30.0 s", table["rows"][0][3], "1.5 s"]
    assert [row[0] for row in table["rows"]] == ["last hour", "last 24 hours", "today (UTC)", "attic"]
    assert told[1:5] == [" ".join(row).split() for row in table["rows"]]
    assert table["notes"] == ["1 lines of what nodes did are damaged and not counted"]
    assert said[begin + 5].strip() == table["notes"][0]


def test_lost_filesystems_are_told_in_words(site: Site) -> None:
    """Those that were there when the main worker last ran."""
    assert site.get("/api/farm").json()["not_mounted"] == ""
    MountsRecord(mounts=("output",)).write(site.layout.mounts)
    told = "output/ should be mounted and is not there: what lies in it is not counted"
    assert site.get("/api/farm").json()["not_mounted"] == told


def test_changes_come_by_themselves(site: Site, add_task: Add) -> None:
    """As server-sent events, and only where something has changed."""
    with requests.get(f"{site.address}/api/stream", stream=True, timeout=20) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith(b"data: "))
        assert json.loads(next(lines)[6:])["waiting"] == []
        task_id = add_task()
        assert json.loads(next(lines)[6:])["waiting"][0]["task"]["task_id"] == task_id


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-9", 206, VIDEO[:10]),
        ("bytes=10000-", 206, VIDEO[10000:]),
        ("bytes=-5", 206, VIDEO[-5:]),
        ("bytes=99999-", 416, None),
        (None, 200, VIDEO),
    ],
)
def test_videos_come_in_parts(
    site: Site, finish_task: Add, wanted: str | None, status: int, content: bytes | None
) -> None:
    """As players ask for them; a part of what has changed since is refused by giving the whole."""
    task_id = finish_task()
    answer = site.get(f"/media/{task_id}/video", **({"Range": wanted} if wanted else {}))
    assert answer.status_code == status
    if content is not None:
        assert answer.content == content
        assert answer.headers["content-type"] == "video/mp4"
    if wanted:
        assert site.get(f"/media/{task_id}/video", **{"Range": wanted, "If-Range": '"other"'}).status_code == 200


def test_what_is_not_a_video_is_told_by_its_head(site: Site, finish_task: Add) -> None:
    """HEAD for players, a name for what is to be saved, which cannot break out of its header."""
    task_id = finish_task()
    head = requests.head(f"{site.address}/media/{task_id}/video", timeout=10)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(VIDEO)), b"")
    saved = site.get(f"/media/{task_id}/video?download=Ein%20Drache%0d%0aX-Evil:%201.mp4")
    assert saved.headers["content-disposition"] == "attachment; filename*=utf-8''Ein%20Drache%0D%0AX-Evil%3A%201.mp4"
    assert "x-evil" not in saved.headers
    assert site.get(f"/media/{task_id}/sheet").status_code == 404
    assert site.get(f"/media/{task_id}/metadata").status_code == 422


def test_older_videos_are_told_part_by_part(site: Site, finish_task: Add) -> None:
    """Newest first, without gaps or doubles, also while new ones come."""
    ids: list[str] = []
    for number in range(30):
        task_id = finish_task(titles=(), chapter=f"{number}")
        os.utime(site.layout.task(TaskState.FINISHED, task_id), (1_000_000 + number, 1_000_000 + number))
        ids.insert(0, task_id)
    told = [video["task_id"] for video in site.get("/api/farm").json()["videos"]]
    finish_task(titles=(), chapter="new")
    while part := site.get(f"/api/videos?limit=4&after={told[-1]}").json():
        assert len(part) <= 4
        told += [video["task_id"] for video in part]
    assert told == ids
    assert site.get("/api/videos?after=nothing").json() == []


def test_files_are_closed_again(site: Site, finish_task: Add) -> None:
    """After whole ones, parts, and parts that there are not."""
    task_id = finish_task()
    opened = Path(f"/proc/{site.process.pid}/fd")
    if not opened.exists():
        pytest.skip("only Linux tells which files a process has open")
    with requests.Session() as session:
        session.get(f"{site.address}/media/{task_id}/video", timeout=10)
        before = len(list(opened.iterdir()))
        for wanted in ("bytes=0-9", "bytes=99999999-", "bytes=-1", "nonsense", "bytes=0-") * 5:
            session.get(f"{site.address}/media/{task_id}/video", headers={"Range": wanted}, timeout=10)
        deadline = time.monotonic() + 10
        while len(list(opened.iterdir())) > before:  # the last is closed after it was sent
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_it_ends_at_once_while_it_is_watched(site: Site) -> None:
    """A browser that has the page open does not hold it up."""
    with requests.get(f"{site.address}/api/stream", stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        begun = time.monotonic()
        site.process.terminate()
        assert site.process.wait(20) == 0
        assert time.monotonic() - begun < 3
        assert list(lines)[-1:] == [b""]


def test_a_root_that_cannot_be_read_is_told(layout: Layout, tmp_path: Path, dead_mounts: DeadMounts) -> None:
    """As 503 and in the stream, in words; nothing of the page breaks."""
    seen = Layout(dead_mounts.seen(layout.root))
    for site in start(seen, "127.0.0.1", tmp_path):
        with requests.get(f"{site.address}/api/stream", stream=True, timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(b"data: ")
            dead_mounts.over(layout.state(TaskState.WAITING))
            told = next(line for line in lines if line.startswith(b"event: "))
            assert told == b"event: unreachable"
            words = json.loads(next(lines)[6:])
            assert "the root cannot be read" in words["why"]
            assert datetime.fromisoformat(words["since"]) <= datetime.now(UTC)
        answer = site.get("/api/farm")
        assert (answer.status_code, "the root cannot be read" in answer.json()["detail"]) == (503, True)
        assert site.get("/").status_code == 200


# -- what it changes -----------------------------------------------------------------------------


def test_operators_verbs(site: Site, store: Store, add_task: Add, fail_task: Add, reject: Callable[..., Path]) -> None:
    """Cancel, retry, priority, pause and resume, of the farm and of nodes."""
    waits, failed = add_task(), fail_task(titles=(), chapter="9")
    assert site.post(f"/api/tasks/{waits}/priority", {"priority": 90}).json() == {"words": "Its priority is 90."}
    assert store.metadata(TaskState.WAITING, waits).priority == 90
    assert site.post(f"/api/tasks/{waits}/cancel", {"why": "no"}).json()["items"][0]["outcome"] == "cancelled"
    assert site.post(f"/api/tasks/{failed}/retry").json()["items"][0]["outcome"] == "retried"
    path = reject("raw/video/nature/My clip.mp4", "My_clip.mp4")
    (rejected,) = site.get("/api/farm").json()["farm"]["rejected"]
    assert site.post(f"/api/rejected/{rejected['drop_id']}/retry").json()["items"][0]["outcome"] == "retried"
    assert not path.exists()
    assert site.post("/api/farm/pause", {"why": "lunch"}).status_code == 200
    assert (pause := Orders(site.layout).read().pause) is not None
    assert (pause.by, pause.why) == ("the web page", "lunch")
    site.post("/api/farm/resume")
    assert Orders(site.layout).read().pause is None
    assert site.post("/api/nodes/studio/pause").status_code == 404
    NodeRecord(node="studio", host="h", pid=1, program="1", state="idle", updated_at="now").write(
        site.layout.node_record("studio")
    )
    assert site.post("/api/nodes/studio/drain").status_code == 200
    assert Orders(site.layout).read("studio").drain is not None


def test_what_is_not_there_or_not_understood_is_refused(site: Site, add_task: Add) -> None:
    """In words, and nothing changes."""
    task_id = add_task()
    gone = "5f0c0000-0000-5000-8000-000000000000"
    assert site.post(f"/api/tasks/{gone}/cancel").status_code == 404
    assert site.post(f"/api/tasks/{task_id}/priority", {"priority": 101}).status_code == 422
    assert site.post("/api/tasks/nonsense/cancel").status_code == 422
    assert site.post(f"/api/rejected/{drop_id('nothing')}/retry").status_code == 404
    assert site.post("/api/rejected/My_clip.mp4/retry").status_code == 422
    assert site.post("/api/nodes/studio/explode").status_code == 422
    assert site.get("/nothing").status_code == 404


# -- who may ask for what ------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc", "Bearer "])
def test_without_the_token_nothing_is_changed(site: Site, store: Store, add_task: Add, token: str) -> None:
    """On this machine too; looking needs none there."""
    task_id = add_task()
    answer = site.post(f"/api/tasks/{task_id}/cancel", Authorization=token)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert store.find(task_id) is TaskState.WAITING
    assert site.get("/api/farm").status_code == 200


def test_a_cookie_does_not_change_anything(site: Site, store: Store, add_task: Add) -> None:
    """A browser sends it along with what other sites ask, and to other servers of this host; the token is not in it."""
    assert site.token not in site.post("/api/session").headers["set-cookie"]
    assert site.post("/api/farm/pause", Authorization=f"Bearer {cookie_of(site.token)}").status_code == 401
    task_id = add_task()
    cookie = site.post("/api/session").cookies[COOKIE]
    answer = site.post(f"/api/tasks/{task_id}/cancel", Authorization="", Cookie=f"{COOKIE}={cookie}")
    assert answer.status_code == 401
    assert store.find(task_id) is TaskState.WAITING


def test_beyond_this_machine_everything_needs_the_token(open_site: Site, finish_task: Add) -> None:
    """But for the empty page itself; pictures and videos show the cookie that was given for it."""
    task_id = finish_task()
    for path in ("/api/farm", "/api/stream", "/api/openapi.json", f"/media/{task_id}/video"):
        assert open_site.get(path).status_code == 401
        for shown in ("wrong", open_site.token):
            assert open_site.get(path, Cookie=f"{COOKIE}={shown}").status_code == 401
    assert open_site.get("/").status_code == open_site.get("/static/page.js").status_code == 200
    known = {"Authorization": f"Bearer {open_site.token}"}
    assert open_site.get("/api/farm", **known).status_code == 200
    assert open_site.get(f"/media/{task_id}/video", Cookie=f"{COOKIE}={cookie_of(open_site.token)}").content == VIDEO


def test_other_sites_may_ask_for_nothing(site: Site, store: Store, add_task: Add) -> None:
    """Neither with the token nor by giving their own name to this server."""
    task_id = add_task()
    assert site.post(f"/api/tasks/{task_id}/cancel", Origin="https://evil.example").status_code == 403
    assert site.get("/api/farm", Origin="null").status_code == 403
    assert site.get("/api/farm", Host="evil.example").status_code == 421
    assert site.get("/api/farm", Host="user@127.0.0.1").status_code == 421
    assert site.get("/api/farm", Host=f"localhost:{site.port}").status_code == 200
    assert site.get("/api/farm", Origin=site.address).status_code == 200
    assert store.find(task_id) is TaskState.WAITING


def test_a_name_lets_nobody_in(layout: Layout, tmp_path: Path) -> None:
    """Whoever gives this server a name, as for a proxy, lets others reach it: then looking needs the token as well."""
    for site in start(layout, "127.0.0.1", tmp_path, REELMILL_WEB__NAMES='["farm.example"]'):
        known = {"Host": "farm.example", "Origin": "http://farm.example"}
        assert site.get("/api/farm", **known).status_code == 401
        assert site.get("/api/farm").status_code == 401
        assert site.get("/api/farm", Authorization=f"Bearer {site.token}", **known).status_code == 200
        assert site.get("/", **known).status_code == 200


def test_the_token_is_for_its_owner_only(layout: Layout) -> None:
    """It is made once; one that others may read is refused."""
    token = read_token(layout.web_token)
    assert read_token(layout.web_token) == token
    assert layout.web_token.stat().st_mode & 0o777 == 0o600
    assert len(token) > 40
    layout.web_token.chmod(0o640)
    with pytest.raises(RootError, match="can be read by others"):
        read_token(layout.web_token)


# -- hostile clients and names -------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/media/../../etc/passwd",
        "/media/..%2f..%2fetc/passwd",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/media/5f0c0000-0000-5000-8000-000000000000/..%2f..%2fconfig.toml",
        "//etc/passwd",
        "/api/rejected/..%2f..%2fconfig.toml/retry",
    ],
)
def test_no_path_leads_out(site: Site, path: str) -> None:
    """As it stands, without a client that tidies it up."""
    for method in (b"GET", b"POST"):
        token = f"Authorization: Bearer {site.token}\r\n".encode()
        request = method + b" " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + token
        answer = site.raw(request + b"Content-Length: 0\r\n\r\n")
        assert answer.split(b" ", 2)[1] in (b"404", b"405", b"422", b"307"), answer[:300]
        assert b"root:" not in answer
        assert b"import" not in answer
    assert site.layout.config.exists()


def test_links_out_of_the_output_are_not_followed(site: Site, finish_task: Add, tmp_path: Path) -> None:
    """Neither a file that is one nor a folder."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    first, second = finish_task(titles=(), chapter="1"), finish_task(titles=(), chapter="2")
    video = site.layout.task(TaskState.FINISHED, first) / FINAL
    video.unlink()
    video.symlink_to(secret)
    folder = site.layout.task(TaskState.FINISHED, second)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    for task_id in (first, second):
        assert site.get(f"/media/{task_id}/video").status_code == 404


def test_what_is_too_much_is_cut(site: Site) -> None:
    """A body that is too long, and headers without an end."""
    assert site.post("/api/farm/pause", {"why": "x" * 100_000}).status_code == 413
    chunks = b"POST /api/farm/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    chunks += f"Authorization: Bearer {site.token}\r\n\r\n".encode() + (b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * 2
    assert b" 200 " not in site.raw(chunks + b"0\r\n\r\n")[:20]
    assert b" 400 " in site.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000)[:20]
    assert site.get("/").status_code == 200
    assert Orders(site.layout).read().pause is None


def test_what_is_too_slow_is_cut(site: Site) -> None:
    """A first request, a later one on a connection that was good, and a body, each of which never comes whole."""
    whole = b"GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = f"POST /api/farm/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {site.token}\r\n".encode()
    slow = [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", whole + b"GET / HTTP/1.1\r\nX-A: b\r\n"]
    slow.append(head + b"Content-Length: 100\r\nContent-Type: application/json\r\n\r\n{")
    started = time.monotonic()
    with ThreadPoolExecutor() as asking:
        answers = list(asking.map(site.raw, slow))
    assert time.monotonic() - started < 18
    assert [answer.count(b" 200 OK") for answer in answers] == [0, 1, 0]
    assert site.get("/").status_code == 200
    assert Orders(site.layout).read().pause is None


def test_hostile_names_stay_words(site: Site, fail_task: Add, reject: Callable[..., Path]) -> None:
    """What nobody could see is spelt out in JSON, and the page sets names as text; no header can hold them."""
    fail_task(titles=(HOSTILE, HOSTILE, HOSTILE))
    reject(f"raw/video/nature/{HOSTILE.replace('/', '')}.mp4", "x.mp4", reason=HOSTILE)
    answer = site.get("/api/farm")
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["farm"]["failed"][0]["label"] == "/".join([readable(HOSTILE)] * 3)
    assert answer.content.decode("utf-8").isprintable()
    page = site.get("/")
    assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    script = site.get("/static/page.js").text
    assert "innerHTML" not in script
    assert not re.search(r"""["'`](/[a-z]|https?:)""", page.text + script), (
        "it works under any path, and loads from nowhere else"
    )


@pytest.mark.parametrize("name", ["a\n\x1b[31m<script>\u202e.mp4", TORN])
def test_a_drop_of_any_name_is_shown_and_retried(site: Site, reject: Callable[..., Path], name: str) -> None:
    """One that is no UTF-8 as well: the rest of the farm is shown with it."""
    reject(f"raw/video/nature/{name}", name)
    (shown,) = site.get("/api/farm").json()["farm"]["rejected"]
    assert shown["drop"] == f"raw/video/nature/{readable(name)}"
    with requests.get(f"{site.address}/api/stream", stream=True, timeout=20) as stream:
        assert json.loads(next(stream.iter_lines())[6:])["farm"]["rejected"] == [shown]
    answer = site.post(f"/api/rejected/{shown['drop_id']}/retry")
    assert (answer.status_code, answer.json()["items"][0]["outcome"]) == (200, "retried")
    assert (site.layout.raw / "video/nature" / name).exists()


def test_a_wrong_address_is_told_in_words(layout: Layout) -> None:
    """With the setting that is wrong, or whoever has the port already."""
    command = [str(Path(sys.executable).with_name("reelmill")), "web", "--root", str(layout.root), "--listen"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        for listen, words, status in (("nonsense", "is not HOST:PORT", 2), (busy, "cannot listen", 1)):
            done = subprocess.run([*command, listen], capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == status
            assert words in done.stderr
