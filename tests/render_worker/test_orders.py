"""What operators order, carried out by real workers within seconds; and which task a worker takes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from shared.domain.layout import REASON, SEGMENT, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.files import make_folder
from shared.orders import Orders
from shared.records.agenda import AgendaRecord
from shared.records.lease import LeaseRecord
from shared.records.node import NodeRecord
from shared.records.orders import Order
from shared.records.reason import CANCELLED, Reason
from shared.store import Store
from shared.version import RULES

AddTask = Callable[..., str]
StartWorker = Callable[..., "subprocess.Popen[bytes]"]
WaitUntil = Callable[[Callable[[], object]], None]
Said = Callable[[], list[str]]

ORDER = Order(by="ann", when="2026-11-20T18:03:44Z")
QUICK = {"voice": "voice_short.mp3", "clips": ("h264.mp4",)}
SLOW = {"voice": "voice_slow.mp3", "clips": ("long.mp4",), "resolution": "1280x720"}
SLOWLY = {"render__preset": "veryslow", "worker__node": "a"}


@pytest.fixture
def store(farm: Layout) -> Store:
    return Store(farm)


@pytest.fixture
def in_the_middle(farm: Layout, wait_until: WaitUntil, children: Callable[[], list[int]]) -> Callable[[], None]:
    """Wait until an ffmpeg is working on a task and has begun to conform a clip of it."""
    return lambda: wait_until(lambda: children() and list(farm.segments.glob(f".*/{SEGMENT}")))


@pytest.fixture
def state(farm: Layout) -> Callable[[], str | None]:
    """What node a says that it does."""

    def read() -> str | None:
        path = farm.node_record("a")
        return NodeRecord.read(path).state if path.exists() else None

    return read


def events(lines: list[str], name: str) -> list[str]:
    return [line for line in lines if f"event={name}" in line.split()]


def test_a_paused_worker_takes_nothing_until_it_is_resumed(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    state: Callable[[], str | None],
) -> None:
    """The order was there before the worker; it conforms nothing either."""
    Orders(farm).pause(ORDER)
    task_id = add_task(**QUICK)
    start_worker(worker__node="a")
    wait_until(lambda: state() == "paused")
    counter = NodeRecord.read(farm.node_record("a")).counter
    wait_until(lambda: NodeRecord.read(farm.node_record("a")).counter > counter + 2)
    assert store.find(task_id) is TaskState.WAITING
    assert not list(farm.segments.glob("*"))
    Orders(farm).resume()
    wait_until(lambda: store.is_finished(task_id))


def test_a_pause_at_once_gives_the_task_back(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    in_the_middle: Callable[[], None],
    state: Callable[[], str | None],
) -> None:
    """It is nobody's fault and does not count; the worker lives on."""
    task_id = add_task(**SLOW)
    worker = start_worker(**SLOWLY)
    in_the_middle()
    Orders(farm).pause(ORDER.model_copy(update={"at_once": True}), "a")
    wait_until(lambda: store.find(task_id) is TaskState.WAITING)
    (attempt,) = store.attempts(TaskState.WAITING, task_id)
    assert attempt.ended is Ending.GIVEN_BACK
    assert "paused by ann" in (attempt.why or "")
    wait_until(lambda: state() == "paused")
    assert worker.poll() is None


def test_a_drained_worker_finishes_its_task_and_ends(
    farm: Layout, store: Store, add_task: AddTask, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """It takes no other, ends well, and a worker that is started again works."""
    first, second = add_task(**SLOW), add_task(**QUICK)
    worker = start_worker(worker__node="a")
    wait_until(lambda: store.find(first) is TaskState.PROCESSING)
    Orders(farm).drain(ORDER, "a")
    assert worker.wait(120) == 0
    assert store.is_finished(first)
    assert store.find(second) is TaskState.WAITING
    assert len(events(said(), "node_drained")) == 1
    start_worker(worker__node="a")
    wait_until(lambda: store.is_finished(second))


def test_a_cancelled_render_stops_within_seconds(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    in_the_middle: Callable[[], None],
    said: Said,
) -> None:
    """Its ffmpeg ends, the log says who wanted it, and the worker takes the next task."""
    task_id, following = add_task(**SLOW), add_task(**QUICK)
    start_worker(**SLOWLY)
    in_the_middle()
    reason = Reason(code=CANCELLED, reason="It was cancelled by ann.", advice="", task_id=task_id, when="now")
    assert store.cancel(task_id, reason)
    wait_until(lambda: store.is_finished(following))
    (line,) = events(said(), "task_lost")
    assert "It was cancelled by ann." in line
    assert store.find(task_id) is TaskState.FAILED
    assert Reason.read(farm.task(TaskState.FAILED, task_id) / REASON).code == CANCELLED
    wait_until(lambda: not list(farm.locks.glob("*.*.lock")))


def test_what_the_main_worker_suggests_goes_first(
    farm: Layout, add_task: AddTask, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """Then everything else; what is on the list and gone is passed over."""
    first, second = add_task(**QUICK), add_task(**QUICK)
    make_folder(farm.agenda("a").parent)
    gone = "5f0c0000-0000-5000-8000-000000000000"
    AgendaRecord(tasks=(gone, second)).write(farm.agenda("a"))
    start_worker(worker__node="a")
    wait_until(lambda: len(events(said(), "task_finished")) == 2)
    finished = events(said(), "task_finished")
    assert (second in finished[0], first in finished[1]) == (True, True)


def test_a_task_of_a_newer_version_is_left_to_others(
    farm: Layout, store: Store, add_task: AddTask, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """This worker says so once and goes on with what it understands."""
    task_id, other = add_task(**QUICK), add_task(**QUICK)
    path = farm.task(TaskState.WAITING, task_id) / "metadata.json"
    path.write_text(path.read_text("utf-8").replace('"schema": 1', '"schema": 2', 1), "utf-8")
    start_worker(worker__node="a")
    wait_until(lambda: store.is_finished(other))
    assert store.find(task_id) is TaskState.WAITING
    (line,) = events(said(), "task_too_new")
    assert "schema 2, this node knows 1" in line


def test_a_worker_too_old_for_its_root_does_not_start(farm: Layout, start_worker: StartWorker, said: Said) -> None:
    """It ends with 2 and says what to do."""
    LeaseRecord(rules=RULES + 1, lease_seconds=90).write(farm.lease)
    assert start_worker(worker__node="a").wait(60) == 2
    assert any("update it to the version of the other workers" in line for line in said())


def test_a_task_that_failed_waits_and_prefers_another_node(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    script: Callable[[str], object],
) -> None:
    """A node whose ffmpeg writes rubbish fails it; it goes back, and the other node makes the video."""
    broken = 'case "$*" in *testsrc2*|*-version*|*lavfi*) exec "$FFMPEG" "$@";; esac; echo "rubbish" >&2; exit 1'
    start_worker(worker__node="a", ffmpeg__path=script(broken).path, worker__retry_seconds=0.1)  # type: ignore[attr-defined]
    wait_until(farm.node_record("a").exists)
    Orders(farm).pause(ORDER, "b")
    start_worker(worker__node="b", worker__retry_seconds=0.1)
    wait_until(lambda: farm.node_record("b").exists() and NodeRecord.read(farm.node_record("b")).state == "paused")
    task_id = add_task(**QUICK)
    wait_until(lambda: [one.ended for one in store.attempts(TaskState.WAITING, task_id)] == [Ending.FAILED])
    Orders(farm).resume("b")
    wait_until(lambda: store.is_finished(task_id))
    assert store.rendered_by(task_id) == "b"
    wait_until(lambda: not store.ids(TaskState.PROCESSING))
