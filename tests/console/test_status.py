"""What `reelmill status` says of a pause and of what was refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from console.cli import main
from console.farm.node import NodeView
from console.farm.snapshot import Snapshot, queue_words, take_snapshot
from console.status import lines
from console.trash import rejected_names
from shared.domain.errors import RootError
from shared.domain.figures import Counts
from shared.domain.layout import Layout, reason_of
from shared.lifesign import hold
from shared.orders import Orders
from shared.records.figures import FiguresLine
from shared.records.main import MainRecord, NodeVerdict
from shared.records.mounts import MountsRecord
from shared.records.node import Direction, NodeRecord, Transfer
from shared.records.orders import Order
from shared.store import Store

REPOSITORY = Path(__file__).parents[2]
REELMILL = str(Path(sys.executable).with_name("reelmill"))


def snapshot(**changes: object) -> Snapshot:
    values: dict[str, object] = {
        "root": "farm",
        "main_running": True,
        "main_state": "working",
        "trouble": None,
        "paused_since": None,
        "pending": (),
        "waiting_voices": (),
        "nodes": (),
        "counts": {"tasks": 0, "processing": 0, "output": 0, "trash/failed": 0, "trash/invalid": 0},
        "processing": (),
        "failed": (),
    }
    return Snapshot.model_validate(values | changes)


def test_a_pause_is_the_first_thing_said() -> None:
    """With the trouble and since when, and that nothing is lost."""
    said = list(lines(snapshot(main_state="paused", trouble="disk full", paused_since="2026-11-20T18:03:44Z")))
    assert said[0] == "Main worker   PAUSED since 2026-11-20T18:03:44Z: disk full"
    assert "drops stay in raw/" in said[1]


def test_what_is_not_listed_is_counted() -> None:
    """The main worker names only the first of very many."""
    said = list(lines(snapshot(pending_count=1200, waiting_count=3)))
    assert "              and 1200 more drops in raw/" in said
    assert "              and 3 more voices waiting" in said


def test_a_trouble_of_a_main_worker_that_does_not_run_is_still_told() -> None:
    """It may be why it stopped."""
    said = list(lines(snapshot(main_running=False, main_state=None, trouble="disk full")))
    assert "not running (start it with: reelmill main)" in said[0]
    assert "disk full" in said[1]


def test_the_ten_newest_rejected_drops_are_told(layout: Layout, reject: Callable[..., Path]) -> None:
    """Newest first, with the sentence and the way to try them again; the rest is counted."""
    for number in range(12):
        path = reject(f"raw/video/nature/{number}.mp4", f"{number}.mp4")
        os.utime(reason_of(path), (1_000_000 + number, 1_000_000 + number))
    reject("raw/video/nature/gone.mp4", "gone.mp4").unlink()
    found = take_snapshot(layout, most_rejected=10)
    assert [view.drop for view in found.rejected] == [f"raw/video/nature/{number}.mp4" for number in range(11, 1, -1)]
    said = list(lines(found))
    assert "Rejected      12 drops (reasons in trash/invalid/)" in said
    assert "  rejected    11.mp4: 11.mp4 is cut off." in said
    assert "              and 2 more rejected earlier" in said
    assert any("reelmill retry NAME" in line for line in said)
    assert take_snapshot(layout).rejected == ()


def test_a_failed_task_is_told_with_the_way_to_try_it_again(layout: Layout, fail_task: Callable[..., str]) -> None:
    """Its label is what the command takes."""
    fail_task()
    said = list(lines(take_snapshot(layout)))
    assert "  failed      Fantasy/Dragon Flight/Chapter 1: It failed." in said
    assert any("reelmill retry CATEGORY/STORY/CHAPTER" in line for line in said)


def test_the_figures_are_told_of_the_farm_and_of_each_node(layout: Layout) -> None:
    """Counted from what the nodes wrote, where no main worker runs."""
    assert not any("Figures" in line for line in lines(take_snapshot(layout)))
    line = FiguresLine.of(time.time(), Counts(rendering=30, starved=10, exposed=4, finished=2, render_seconds=30))
    path = layout.figures_of(line.at[:10], "attic")
    path.parent.mkdir(parents=True)
    path.write_bytes(line.to_line())
    said = list(lines(take_snapshot(layout)))
    (head,) = [number for number, words in enumerate(said) if words.startswith("Figures")]
    assert said[head].split() == ["Figures", "USED", "RENDER", "TASKS/H", "IO"]
    assert said[head + 1].split()[:6] == ["last", "hour", "75", "%", "15.0", "s"]
    (node,) = [words for words in said if words.startswith("  attic")]
    assert node.endswith("2.0 s")


GB = 10**9


@pytest.mark.parametrize(
    ("free", "least", "told"),
    [
        (None, GB, None),
        (5 * GB, None, "5.0 GB free"),
        (GB, GB, "1.0 GB free"),
        (GB // 2, GB, "only 0.5 GB free; no task is started with less than 1 GB (worker.min_free_bytes)"),
        (0, 15 * GB // 10, "only 0.0 GB free; no task is started with less than 1.5 GB (worker.min_free_bytes)"),
    ],
)
def test_the_room_is_told(free: int | None, least: int | None, told: str | None) -> None:
    """And what it means where it is less than the workers want."""
    said = [line for line in lines(snapshot(free_bytes=free, min_free_bytes=least)) if line.startswith("Disk")]
    assert said == ([f"Disk          {told}"] if told else [])


def test_why_nobody_can_tell_when_the_queue_is_done() -> None:
    """A pause, nobody who takes tasks, nobody who has made one, or damaged tasks: each is said as it is."""
    record = NodeRecord(node="a", host="h", pid=1, program="1", state="idle", updated_at="t")
    counts = {"tasks": 7, "processing": 0, "output": 0, "trash/failed": 0, "trash/invalid": 0}
    idle = snapshot(counts=counts, nodes=(NodeView(record=record, running=True),))
    pause = Order(by="anna", when="2026-11-20T18:03:44Z", why="")
    assert queue_words(idle).endswith(": no node that takes tasks has finished one yet")
    busy = NodeView(record=record.model_copy(update={"pace": 4.0}), running=True)
    assert queue_words(snapshot(counts=counts, nodes=(busy,))).endswith(": what waits cannot be read")
    assert queue_words(snapshot(counts=counts)).endswith(": no node takes tasks")
    assert queue_words(idle.model_copy(update={"farm_pause": pause})).endswith(": the farm is paused")


@pytest.mark.parametrize(
    ("waiting", "seconds", "told"),
    [
        (0, None, []),
        (7, None, ["Queue         no telling how long it takes: no node takes tasks"]),
        (7, 12_000.0, ["Queue         about 3 h 20 min at the nodes' pace"]),
    ],
)
def test_how_long_the_queue_takes_is_told(waiting: int, seconds: float | None, told: list[str]) -> None:
    """Or why nobody can tell; nothing where nothing waits."""
    counts = {"tasks": waiting, "processing": 0, "output": 0, "trash/failed": 0, "trash/invalid": 0}
    said = lines(snapshot(counts=counts, queue_seconds=seconds))
    assert [line for line in said if line.startswith("Queue")] == told


def test_the_least_room_is_what_the_configuration_says(layout: Layout, tmp_path: Path) -> None:
    """The root's own, or the one that was named; one that cannot be read keeps nobody from looking."""
    layout.config.write_text("[worker]\nmin_free_bytes = 1000000000000000000\n", "utf-8")
    root = ["--root", str(layout.root)]
    assert "Disk          only " in CliRunner().invoke(main, ["status", *root]).output
    other = tmp_path / "other.toml"
    for words, least in (("[worker]\nmin_free_bytes = 0\n", 0), ("[worker", None)):
        other.write_text(words, "utf-8")
        done = CliRunner().invoke(main, ["status", *root, "--config", str(other), "--json"])
        told = json.loads(done.output)
        assert (told["min_free_bytes"], told["free_bytes"] > 0) == (least, True)


@pytest.fixture
def node(layout: Layout) -> Callable[..., None]:
    """A node of another host."""

    def say(name: str, **changes: object) -> None:
        record = NodeRecord(node=name, host="elsewhere", pid=1, program="1", state="idle", updated_at="now")
        record.model_copy(update=changes).write(layout.node_record(name))

    return say


def test_the_queue_takes_what_the_nodes_need_for_it(
    layout: Layout, store: Store, add_task: Callable[..., str], node: Callable[..., None]
) -> None:
    """What waits and what is left of the tasks in work, by all that take tasks; nothing where nobody can tell."""
    node("a", pace=2.0)
    assert take_snapshot(layout).queue_seconds is None  # nothing waits
    begun, ahead, uploaded, *_ = [add_task(voice_duration=100.0) for _ in range(5)]
    assert take_snapshot(layout).queue_seconds == 250.0
    for task_id in (begun, ahead, uploaded):
        assert store.claim(task_id, "a")
    sent = Transfer(direction=Direction.DELIVERING, task_id=uploaded, label="it")
    node("a", pace=2.0, state="rendering", task_id=begun, percent=60.0, transfers=(sent,))
    assert take_snapshot(layout).queue_seconds == (40 + 100 + 200) / 2
    node("new")
    assert take_snapshot(layout).queue_seconds == (40 + 100 + 100) / 4 + 100 / 2
    node("away", pace=50.0, state="off hours")
    node("dead", pace=50.0)
    node("told", pace=50.0)
    Orders(layout).drain(Order(by="ann", when="now"), "told")
    verdict = NodeVerdict(node="dead", what="dead", words="is dead", since="now")
    MainRecord(host="h", pid=1, program="1", state="idle", nodes=(verdict,), updated_at="now").write(layout.main_record)
    handle = os.open(layout.main_lock, os.O_RDWR | os.O_CREAT)
    assert hold(handle)  # as a main worker that runs
    assert take_snapshot(layout).queue_seconds == (40 + 100 + 100) / 4 + 100 / 2
    os.close(handle)
    Orders(layout).pause(Order(by="ann", when="now"))
    assert take_snapshot(layout).queue_seconds is None


def test_of_many_tasks_some_tell_how_long_all_are(
    layout: Layout, add_task: Callable[..., str], node: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same ones at each look, so that it stays what it was."""
    monkeypatch.setattr("console.farm.queue._SAMPLE", 3)
    node("a", pace=1.0)
    for number in range(6):
        add_task(task_id=f"{number}0000000-0000-4000-8000-000000000000", voice_duration=10.0 + number)
    assert take_snapshot(layout).queue_seconds == 6 * 11.0


def test_its_json_is_as_published(layout: Layout, fail_task: Callable[..., str], reject: Callable[..., Path]) -> None:
    """What the command really prints against docs/schema/status.json."""
    fail_task()
    reject("raw/video/nature/a.mp4", "a.mp4")
    done = CliRunner().invoke(main, ["status", "--root", str(layout.root), "--json"])
    schema = json.loads((REPOSITORY / "docs/schema/status.json").read_text("utf-8"))
    jsonschema.validate(json.loads(done.output), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("way", [[], ["--json"]])
def test_it_is_said_again_until_ctrl_c(layout: Layout, way: list[str]) -> None:
    """In plain blocks for a pipe, a line each as JSON; Ctrl-C is no failure. A root that goes is told of."""
    command = [REELMILL, "status", "--watch", "--root", str(layout.root), *way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        assert (json.loads(first)["root"] if way else first.split()[1]) == str(layout.root)
        layout.root.rename(layout.root.with_name("gone"))
        assert any("there is no folder" in line for line in watching.stdout)
        watching.send_signal(signal.SIGINT)
        said, _ = watching.communicate(timeout=30)
    assert (watching.returncode, "Traceback" in said, "\x1b" in said) == (0, False, False)


def test_a_root_that_goes_while_it_is_read_is_no_empty_farm(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read after it went seems to be empty, so whether it is there is asked last."""

    def gone(found: Layout) -> object:
        layout.root.rename(layout.root.with_name("away"))
        return rejected_names(found)

    monkeypatch.setattr("console.farm.snapshot.rejected_names", gone)
    with pytest.raises(RootError, match="there is no folder"):
        take_snapshot(layout)


def test_a_root_that_has_gone_is_no_empty_farm(layout: Layout) -> None:
    """Nor is the bare point where it was mounted; a lost filesystem within it is named."""
    lost = layout.root / "output"
    MountsRecord(mounts=("output",)).write(layout.mounts)
    assert any("output/ should be mounted and is not there" in line for line in lines(take_snapshot(layout)))
    assert lost.is_dir()
    layout.root.rename(layout.root.with_name("away"))
    with pytest.raises(RootError, match="there is no folder"):
        take_snapshot(layout)
    layout.root.mkdir()
    for words in (["status"], ["tasks"], ["nodes"]):
        done = CliRunner().invoke(main, [*words, "--root", str(layout.root)])
        assert (done.exit_code, "is not a project root" in done.output) == (2, True)
