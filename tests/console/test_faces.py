"""The faces of the console beside `status`: tasks, nodes, show, where, history, logs and top."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.logs import Tail
from console.tables import about, clock, table
from shared.domain.drop import Kind
from shared.domain.layout import Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.log import log_to_file, open_log
from shared.orders import Orders
from shared.queue import Queue
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.settings import Log
from shared.store import Store
from tests.terminal import Terminal, line

Add = Callable[..., str]
Reject = Callable[..., Path]


def reelmill(layout: Layout, *words: str) -> Result:
    return CliRunner().invoke(main, [words[0], "--root", str(layout.root), *words[1:]])


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
