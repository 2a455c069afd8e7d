"""The faces of the console beside `status`: tasks, nodes, show, where, history, logs and top."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.logs import Tail
from console.tables import about, clock, table
from shared.domain.drop import Kind
from shared.domain.layout import FINAL, REASON, RENDER_RECORD, Layout, retired_of, sidecar_of
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.log import log_to_file, open_log
from shared.orders import Orders
from shared.queue import Queue
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.node import NodeRecord
from shared.records.orders import Order
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.records.retired import RetiredRecord
from shared.records.sidecar import Origin, Sidecar
from shared.settings import Log
from shared.store import Store

Add = Callable[..., str]
Reject = Callable[..., Path]


def reelmill(layout: Layout, *words: str) -> Result:
    return CliRunner().invoke(main, [words[0], "--root", str(layout.root), *words[1:]])


@pytest.fixture
def finish_task(store: Store, add_task: Add) -> Add:
    """A task with its video; returns its id."""

    def finish(finished_at: str = "2026-11-20T19:00:00.000Z", **changes: object) -> str:
        task_id = add_task(**changes)
        claim = store.claim(task_id, "studio")
        assert claim is not None
        (claim.folder / FINAL).write_bytes(b"video")
        claim.metadata.write(claim.folder / "metadata.json")
        RenderRecord(
            task_id=task_id,
            attempt=1,
            token=claim.token,
            node="studio",
            program="1",
            size=5,
            ffmpeg="",
            encoder="libx264",
            mode="segments",
            plan={},
            checks=(),
            sha256="",
            seconds=12.5,
            frames=375,
            timings={"joining": 2.5},
            started_at="",
            finished_at=finished_at,
        ).write(claim.folder / RENDER_RECORD)
        store.publish(claim)
        return task_id

    return finish


@pytest.fixture
def node(layout: Layout) -> Callable[..., str]:
    def say(name: str = "studio", **changes: object) -> str:
        values: dict[str, object] = {
            "node": name,
            "host": "elsewhere",
            "pid": 1,
            "program": "1.2",
            "state": "idle",
            "counter": 1,
            "updated_at": "2026-11-20T18:03:44Z",
            "free_bytes": 5 * 10**11,
            "encoder": "libx264",
        }
        NodeRecord.model_validate(values | changes).write(layout.node_record(name))
        return name

    return say


@pytest.fixture
def file_drop(layout: Layout) -> Callable[..., Path]:
    """A library file with its record."""

    def put(drop: str, now: str, kind: Kind, **changes: object) -> Path:
        path = layout.scanned / now
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        origin = Origin(path=drop, sha256="0", size=1, device=1, inode=1, mtime_ns=1, evidence="it was renamed")
        values: dict[str, object] = {
            "kind": kind,
            "category": "nature",
            "sha256": "0",
            "size": 1,
            "origin": origin,
            "scanned_at": "then",
        }
        Sidecar.model_validate(values | changes).write(sidecar_of(path))
        return path

    return put


# -- tables --------------------------------------------------------------------------------------


def test_a_table_is_as_wide_as_what_stands_in_it() -> None:
    """Names cannot upset it; nothing is no table."""
    assert list(table(("A", "B"), [("x", None), ("long\x1b", 7)])) == ["A         B", "x", "long\\x1b  7"]
    assert list(table(("A",), [])) == []


@pytest.mark.parametrize(("seconds", "wanted"), [(None, ""), (41.6, "42 s"), (185, "3:05"), (3723.4, "1:02:03")])
def test_lengths_are_said_as_people_say_them(seconds: float | None, wanted: str) -> None:
    """Rounded to the second."""
    assert clock(seconds) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0, "less than a minute"),
        (29, "less than a minute"),
        (31, "about 1 min"),
        (3569, "about 59 min"),
        (3571, "about 1 h"),
        (3600 + 20 * 60 + 100, "about 1 h 20 min"),
        (47.9 * 3600, "about 47 h 50 min"),
        (48 * 3600, "about 2 days"),
        (100.4 * 86400, "about 100 days"),
    ],
)
def test_an_estimate_is_no_finer_than_it_can_be_true(seconds: float, wanted: str) -> None:
    """Minutes within an hour, then tens of minutes, then days."""
    assert about(seconds) == wanted


# -- tasks, nodes, show --------------------------------------------------------------------------


def test_tasks_are_listed_by_state(layout: Layout, add_task: Add, finish_task: Add, fail_task: Add) -> None:
    """What waits in its order, what ended with the newest first, and no more than asked for."""
    late, soon = add_task(chapter="2", titles=(), created_at="2026-11-21T00:00:00Z"), add_task(chapter="1", titles=())
    done, failed = finish_task(chapter="3", titles=()), fail_task(chapter="4", titles=())
    said = reelmill(layout, "tasks").output
    assert said.index(soon[:8]) < said.index(late[:8])
    assert f"output/{done}/final.mp4" in said
    assert "fantasy/dragon_flight/4  It failed." in said
    assert "tasks/: 2, the first 1 of them" in reelmill(layout, "tasks", "--limit", "1").output
    assert [
        view["task_id"] for view in json.loads(reelmill(layout, "tasks", "--json", "--state", "failed").output)
    ] == [failed]


def test_nodes_are_listed(layout: Layout, node: Callable[..., str]) -> None:
    """With what they do and what is wrong; none is said too."""
    assert "start one with: reelmill render" in reelmill(layout, "nodes").output
    node("a", state="rendering", label="fantasy/dragon/1", percent=43.2, eta_seconds=75.0, pace=12.5)
    node("b", state="resting", why="disk full\x1b")
    said = reelmill(layout, "nodes").output.splitlines()
    assert said[1].split() == [
        "a",
        "rendering",
        "43",
        "%",
        "1:15",
        "12.5",
        "×",
        "libx264",
        "500.0",
        "GB",
        "1.2",
        "fantasy/dragon/1",
    ]
    assert said[2].endswith("disk full\\x1b")
    assert [view["record"]["node"] for view in json.loads(reelmill(layout, "nodes", "--json").output)] == ["a", "b"]


def test_a_task_is_shown_with_all_that_is_known(layout: Layout, store: Store, add_task: Add, finish_task: Add) -> None:
    """What it is made of, who tried it and how that ended, and where its files are."""
    task_id = finish_task()
    said = reelmill(layout, "show", "Fantasy/Dragon Flight/Chapter 1").output
    assert f"in output/{task_id}/" in said
    assert "voice.mp3  scanned/voice.mp3" in said
    assert "rendered  by studio with libx264 in 2.5 s" in said
    assert f"{layout.root}/output/{task_id}/final.mp4" in said
    tried = add_task(chapter="2", titles=())
    claim = store.claim(tried, "studio")
    assert claim is not None
    store.give_back(claim, Ending.STALLED, "no progress")
    assert "stalled  no progress" in reelmill(layout, "show", tried).output
    shown = json.loads(reelmill(layout, "show", "--json", tried).output)
    assert (shown[0]["attempts"][0]["ended"], shown[0]["metadata"]["chapter"]) == ("stalled", "2")
    assert reelmill(layout, "show", "nothing").exit_code == 2


# -- where ---------------------------------------------------------------------------------------


def test_a_drop_that_waits_says_for_what(layout: Layout) -> None:
    """As the main worker says it, or that none has taken it."""
    drop = layout.raw / "video/nature/dragon.mp4"
    drop.parent.mkdir(parents=True)
    drop.write_bytes(b"x")
    assert "the main worker has not taken it yet" in reelmill(layout, "where", "dragon.mp4").output
    pending = PendingDrop(drop="raw/video/nature/dragon.mp4", doing="settling")
    MainRecord(host="h", pid=1, program="1", state="working", pending=(pending,), updated_at="now").write(
        layout.main_record
    )
    for word in ("dragon.mp4", "dragon", "raw/video/nature/dragon.mp4", "video/nature/dragon.mp4", "*.mp4"):
        assert "It is still in raw/: settling." in reelmill(layout, "where", word).output


def test_a_drop_that_was_refused_or_filed_is_found(
    layout: Layout, reject: Reject, file_drop: Callable[..., Path]
) -> None:
    """By the name it was dropped with and the one it has now."""
    reject("raw/video/nature/My clip (1).mp4", "My_clip__1_.mp4")
    said = reelmill(layout, "where", "My clip (1).mp4").output
    assert "It was rejected: My_clip__1_.mp4 is cut off." in said
    assert "reelmill retry My_clip__1_.mp4" in said
    file_drop("raw/video/nature/fox.mov", "video/nature/mp4_w640_h480/6.0_fox.mp4", Kind.VIDEO)
    for word in ("fox.mov", "6.0_fox.mp4"):
        assert "fox.mov → scanned/video/nature/mp4_w640_h480/6.0_fox.mp4" in reelmill(layout, "where", word).output
    nothing = reelmill(layout, "where", "nothing\x1b")
    assert (nothing.exit_code, "called nothing\\x1b" in nothing.output) == (1, True)


def test_a_voice_is_followed_to_its_video(layout: Layout, finish_task: Add, file_drop: Callable[..., Path]) -> None:
    """Or to what it waits for; an archived video is told of."""
    task_id = finish_task()
    voice = "story/nature/tale/voice"
    told = {"story": "tale", "chapter": "1"}
    file_drop("raw/story/nature/tale/voice/1.mp3", f"{voice}/1.mp3", Kind.VOICE, task_id=task_id, **told)
    assert f"It is finished: output/{task_id}/final.mp4" in reelmill(layout, "where", "1.mp3").output
    gone = "5f0c0000-0000-5000-8000-000000000000"
    file_drop("raw/story/nature/tale/voice/2.mp3", f"{voice}/2.mp3", Kind.VOICE, task_id=gone, **told)
    assert "archived is not made again by itself" in reelmill(layout, "where", "2.mp3").output
    file_drop("raw/story/nature/tale/voice/3.mp3", f"{voice}/3.mp3", Kind.VOICE, **told)
    assert "No task has been made of it yet." in reelmill(layout, "where", "3.mp3").output
    waiting = WaitingVoice(voice="v", category="nature", story="tale", reason="no clip in nature")
    MainRecord(host="h", pid=1, program="1", state="idle", waiting=(waiting,), updated_at="now").write(
        layout.main_record
    )
    found = json.loads(reelmill(layout, "where", "--json", "3.mp3").output)
    assert found[0]["words"][-1] == "No task has been made of it yet: no clip in nature"


# -- history and logs ----------------------------------------------------------------------------


def test_what_ended_is_told_newest_first(layout: Layout, finish_task: Add, fail_task: Add, reject: Reject) -> None:
    """Videos, failures and refusals; of the last hours only, where that is asked for."""
    finish_task(chapter="2", titles=())
    fail_task(chapter="1", titles=())
    reject("raw/video/nature/a.mp4", "a.mp4", when="2999-01-01T00:00:00.000Z")
    said = reelmill(layout, "history").output.splitlines()
    assert [line.split()[1] for line in said[1:]] == ["rejected", "finished", "failed"]
    assert len(json.loads(reelmill(layout, "history", "--json", "--limit", "2").output)) == 2
    assert [event["what"] for event in json.loads(reelmill(layout, "history", "--json", "--since", "30m").output)] == [
        "rejected"
    ]
    assert reelmill(layout, "history", "--since", "soon").exit_code == 2


@pytest.fixture
def write_log(layout: Layout) -> Callable[..., None]:
    """Lines in the log of a worker, as workers write them."""

    def write(name: str, *lines: str) -> None:
        layout.logs.mkdir(exist_ok=True)
        with (layout.logs / name).open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)

    return write


def line(second: int, level: str = "INFO", words: str = "x") -> str:
    return f'2026-11-20T18:03:{second:02}Z {level} main_worker "{words}" event=x'


def test_logs_of_all_workers_are_one(layout: Layout, write_log: Callable[..., None]) -> None:
    """By time, with what belongs to a line, by task, node and level; rotated ones are read as well."""
    write_log("main_worker.log.2", line(0, words="oldest"))
    write_log("main_worker.log.1", line(1, words="older"))
    write_log("main_worker.log", line(3, "ERROR", "trouble"), "    Traceback", "    more", line(5))
    write_log("render_worker-a.log", line(2, words="task abcd"), line(4, "WARN"))
    write_log("render_worker-b.log", '{"timestamp": "2026-11-20T18:03:06Z", "level": "INFO", "message": "json"}')
    said = reelmill(layout, "logs").output.splitlines()
    assert [text[17:19] for text in said if text.startswith("2026")] == ["00", "01", "02", "03", "04", "05"]
    assert said[4:6] == ["    Traceback", "    more"]
    assert '"json"' in said[-1]
    assert reelmill(layout, "logs", "-n", "1").output.startswith("{")
    assert reelmill(layout, "logs", "--task", "abcd").output.count("\n") == 1
    assert reelmill(layout, "logs", "--node", "a", "--level", "WARN").output == line(4, "WARN") + "\n"


def test_a_log_is_followed_through_its_rotation(layout: Layout) -> None:
    """Nothing is missed, nothing comes twice, and half a line waits for its end."""
    settings = Log(max_bytes=10_000, keep=3)
    log = open_log("tests", settings)
    path = layout.logs / "main_worker.log"
    log_to_file(settings, path)
    tail = Tail(path)
    seen = []
    for number in range(300):
        log.info(f"line {number} {'x' * 40}", name="test")
        if number % 7 == 0:
            seen += tail.more()
    seen += tail.more()
    numbers = [int(entry.text.split('"line ')[1].split()[0]) for entry in seen]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 250  # what was written and rotated away between two looks is the only loss
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line(1)[:30])
    assert tail.more() == []


# -- on a terminal -------------------------------------------------------------------------------


class Terminal:
    """A command of reelmill on a terminal of its own."""

    def __init__(self, layout: Layout, *words: str) -> None:
        self._primary, self._secondary = pty.openpty()
        fcntl.ioctl(self._secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        command = [str(Path(sys.executable).with_name("reelmill")), words[0], "--root", str(layout.root), *words[1:]]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        end = self._secondary
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment)

    def __call__(self, words: str, keys: bytes = b"") -> str:
        """Type keys, and wait until words stand on the screen; all that was written meanwhile."""
        seen = ""
        os.write(self._primary, keys)
        deadline = time.monotonic() + 30
        while words not in seen:
            assert time.monotonic() < deadline, f"{words!r} does not appear: {seen[-4000:]!r}"
            if select.select([self._primary], [], [], 0.2)[0]:
                seen += os.read(self._primary, 65536).decode("utf-8", "replace")
        return seen

    def to_the_end(self) -> str:
        """All that is written until it ends."""
        seen = b""
        while select.select([self._primary], [], [], 0.2)[0] or self.process.poll() is None:
            if select.select([self._primary], [], [], 0)[0]:
                seen += os.read(self._primary, 65536)
        return seen.decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._primary)
        os.close(self._secondary)


@pytest.fixture
def terminal(layout: Layout) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals for commands."""
    opened: list[Terminal] = []

    def start(*words: str) -> Terminal:
        opened.append(Terminal(layout, *words))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def top(layout: Layout) -> Iterator[Terminal]:
    """`reelmill top`."""
    terminal = Terminal(layout, "top")
    yield terminal
    terminal.close()


@pytest.fixture
def watched(layout: Layout) -> Iterator[Terminal]:
    """`reelmill status --watch`."""
    terminal = Terminal(layout, "status", "--watch")
    yield terminal
    terminal.close()


def test_top_shows_the_farm_and_its_keys_work(
    layout: Layout, node: Callable[..., str], add_task: Add, finish_task: Add, top: Terminal
) -> None:
    """Nodes, queue and what ended; pausing and resuming, of the farm and of the chosen node; and it ends."""
    add_task()
    finish_task(chapter="2", titles=())
    node("a", state="rendering", label="fantasy/dragon/1", percent=43.2, eta_seconds=75.0, pace=0.1)
    node("b")
    screen = top("q quit")
    for words in (
        "1 waiting",
        "1:15 left",
        "fantasy/dragon/1",
        "fantasy/dragon_flight",
        "finished",
        "about 2 min",
        "GB free",
    ):
        assert words in screen
    top("FARM PAUSED", b"p")
    assert Orders(layout).read().pause is not None
    top("The farm takes tasks.", b"r")
    assert Orders(layout).read().pause is None
    top("b takes no more tasks.", b"\x1b[Bn")
    assert Orders(layout).read("b").pause is not None
    top("a finishes what it renders", b"\x1b[Ad")
    assert Orders(layout).read("a").drain is not None


def test_top_cancels_and_retries_the_chosen_task(store: Store, add_task: Add, fail_task: Add, top: Terminal) -> None:
    """It asks before it gives a task up; any other key than y keeps it."""
    waits, failed = add_task(titles=(), chapter="1"), fail_task(titles=(), chapter="2")
    top("q quit")
    top("Tab to the nodes", b"\t")
    top("Give up fantasy/dragon_flight/1?", b"c")
    top("was kept", b"n")
    assert store.find(waits) is TaskState.WAITING
    top("fantasy/dragon_flight/2: retried", b"\x1b[Bt")
    assert store.find(failed) is TaskState.WAITING
    # Both wait now, in an order that nobody promised; the first of them is chosen.
    first = next(ticket for ticket in Queue(store).waiting())
    chapter = "1" if first == waits else "2"
    top(f"Give up fantasy/dragon_flight/{chapter}?", b"\x1b[A\x1b[Ac")
    top(f"fantasy/dragon_flight/{chapter}: cancelled", b"y")
    assert store.find(first) is TaskState.FAILED


def test_top_says_that_the_root_has_gone_and_comes_back_with_it(layout: Layout, add_task: Add, top: Terminal) -> None:
    """A mount that is away for a while ends no screen, and its tasks are not taken for gone."""
    add_task()
    top("1 waiting")
    away = layout.root.with_name("away")
    layout.root.rename(away)
    said = top("there is no folder")
    assert "Traceback" not in said
    top("there is no folder", b"p")
    away.rename(layout.root)
    top("1 waiting")
    top("FARM PAUSED", b"p")
    top("\x1b[?1049l", b"q")
    assert top.process.wait(30) == 0


def test_a_watched_status_is_written_over_itself(layout: Layout, add_task: Add, watched: Terminal) -> None:
    """On a screen of its own, which is gone when it ends; a root may go and come back meanwhile."""
    shown = watched("0 waiting")
    assert "\x1b[?1049h" in shown
    add_task()
    shown = watched("1 waiting")
    assert shown.count("waiting,") == 1 or "\x1b[H" in shown
    away = layout.root.with_name("away")
    layout.root.rename(away)
    watched("there is no folder")
    away.rename(layout.root)
    watched("1 waiting")
    watched.process.send_signal(signal.SIGINT)
    watched("\x1b[?1049l")
    assert watched.process.wait(30) == 0


def test_top_needs_a_terminal(layout: Layout) -> None:
    """A pipe is told what to use instead."""
    done = reelmill(layout, "top")
    assert (done.exit_code, "reelmill status --json" in done.output) == (2, True)


def test_no_face_changes_anything(layout: Layout, store: Store, add_task: Add, node: Callable[..., str]) -> None:
    """They only look."""
    add_task()
    node()
    before = sorted((str(path), path.stat().st_mtime_ns) for path in layout.root.rglob("*"))
    for words in (["tasks"], ["nodes"], ["history"], ["logs"], ["show", "fantasy/dragon_flight"], ["where", "x"]):
        reelmill(layout, *words)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in layout.root.rglob("*")) == before
    assert store.has(TaskState.WAITING)


# -- what comes from outside ---------------------------------------------------------------------

HOSTILE = "e\x1b[31m[red]x\x9b2J\x07\u202e:boom:"
"""Colours what follows, is markup, clears the screen, rings, turns writing round, and is an emoji to rich."""
HARMLESS = r"e\x1b[31m[red]x\x9b2J\x07\u202e:boom:"
FORGED = f"{HOSTILE}\nforged line"
TASK = "5f0c0000-0000-5000-8000-000000000001"


@pytest.fixture
def hostile_farm(
    layout: Layout,
    node: Callable[..., str],
    add_task: Add,
    fail_task: Add,
    finish_task: Add,
    reject: Reject,
    file_drop: Callable[..., Path],
    write_log: Callable[..., None],
) -> None:
    """A root in which whatever can hold a name or words holds hostile ones."""
    titles = (FORGED, "b[/red]", "c")
    add_task(task_id=TASK, titles=titles)
    finish_task(titles=titles, chapter="2")
    failed = fail_task(titles=titles, chapter="3")
    reason = Reason(code=HOSTILE, reason=FORGED, advice=FORGED, task_id=failed, when="2026-11-20T18:03:44Z")
    reason.write(layout.task(TaskState.FAILED, failed) / REASON)
    reject(f"raw/video/{HOSTILE}.mp4", f"{HOSTILE}.mp4", reason=FORGED, advice=FORGED)
    node("a", node=f"{HOSTILE}[/red]", why=FORGED, state=HOSTILE, program=HOSTILE, encoder=HOSTILE)
    node("b", state="rendering", label=FORGED, percent=43.2, phase=HOSTILE)
    Orders(layout).pause(Order(by=HOSTILE, when=HOSTILE, why=FORGED))
    voice = WaitingVoice(voice=HOSTILE, category="nature", story="tale", reason=FORGED)
    pending = PendingDrop(drop=f"raw/{FORGED}", doing=FORGED)
    MainRecord(
        host="h", pid=1, program="1", state="idle", trouble=FORGED, pending=(pending,), waiting=(voice,), updated_at="t"
    ).write(layout.main_record)
    clip = file_drop(f"raw/{FORGED}.mp4", f"video/{HOSTILE}.mp4", Kind.VIDEO)
    RetiredRecord(when=HOSTILE, by=HOSTILE, note=FORGED).write(retired_of(clip))
    (layout.raw / f"{FORGED}.txt").write_bytes(b"x")
    write_log("main_worker.log", line(1, words=HOSTILE), f"    {HOSTILE}")


@pytest.mark.usefixtures("hostile_farm")
@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "--why", TASK],
        ["tasks"],
        ["nodes"],
        ["show", TASK],
        ["where", "*.mp4"],
        ["history"],
        ["logs"],
        ["retry", f"{HOSTILE}.mp4"],
        ["retry", "--all"],
        ["retry", HOSTILE],
        ["cancel", TASK],
        ["priority", "7", TASK],
        ["pause", HOSTILE],
        ["retire", "--list"],
        ["scan"],
        ["status", HOSTILE],
        ["history", "--since", HOSTILE],
        ["nodes", "--root", HOSTILE],
        ["doctor", "--config", HOSTILE],
    ],
    ids=" ".join,
)
def test_nothing_from_outside_upsets_a_terminal(terminal: Callable[..., Terminal], words: list[str]) -> None:
    """Whichever command prints it, it stands there letter by letter, and on its own line."""
    seen = terminal(*words).to_the_end()
    assert HARMLESS in seen
    assert not [char for char in seen.replace("\r\n", "") if not char.isprintable()]
    assert "\nforged" not in seen


@pytest.mark.usefixtures("hostile_farm")
@pytest.mark.parametrize("words", [["top"], ["status", "--watch"], ["run"]], ids=" ".join)
def test_nothing_from_outside_upsets_a_screen(terminal: Callable[..., Terminal], words: list[str]) -> None:
    """Rich moves and colours on it, but not at the word of a name."""
    screen = terminal(*words)
    seen = screen(f"{HARMLESS}[/red]")
    screen.process.send_signal(signal.SIGINT)
    seen += screen.to_the_end()
    left = re.sub(r"\x1b(\[[?;0-9]*[a-zA-Z]|[()][0AB])", "", seen)
    assert not [char for char in left.replace("\r", "").replace("\n", "") if not char.isprintable()]
    assert seen.count(HARMLESS) == seen.count(HARMLESS[:6])  # markup would be gone from it, and be a colour
    assert "\nforged" not in seen
