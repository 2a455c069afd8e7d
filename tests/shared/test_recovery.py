"""What a crash left half done is finished or undone, by whoever sees it, and never at the cost of the living."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from shared.domain.layout import FINAL, REASON, STDERR, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.log import Logger
from shared.orders import Orders
from shared.records.lock import LockRecord
from shared.records.reason import Reason
from shared.recovery import Caps, Recovery
from shared.store import Claim, HoldLost, Store
from shared.tree.local import LocalTree
from shared.tree.tree import TreeTrouble

Take = Callable[..., Claim]
Finish = Callable[..., None]
Add = Callable[..., str]
States = Callable[[str], list[TaskState]]

LEASE = 90.0
HOLDER = """
import sys, time
from pathlib import Path
from shared.domain.layout import Layout
from shared.store import Store
claim = Store(Layout(Path(sys.argv[1]))).claim(sys.argv[2], "node-b")
(claim.folder / "half.mp4").write_bytes(b"half")
print(claim.token, flush=True)
while True:
    time.sleep(0.05)
    claim.sign.beat()
"""
WORKER = """
import sys, time
from pathlib import Path
from shared.settings import Log
from shared.domain.layout import FINAL, RENDER_RECORD, Layout
from shared.log import open_log
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.queue import Queue
from shared.store import HoldLost, Store
store = Store(Layout(Path(sys.argv[1])))
recovery = Recovery(store, Caps(100, 100), 30.0, open_log("worker", Log(file=False, level="ERROR")), time.monotonic)
queue = Queue(store)
while True:
    try:
        recovery.sweep()
    except FileNotFoundError:
        pass
    for task_id in queue.waiting():
        claim = store.claim(task_id, sys.argv[2])
        if claim is None:
            continue
        (store.layout.logs / sys.argv[2]).touch()
        (claim.folder / FINAL).write_bytes(claim.token.encode())
        time.sleep(0.05)
        try:
            record = RenderRecord(
                task_id=task_id, attempt=claim.attempt, token=claim.token, node=sys.argv[2], program="", ffmpeg="",
                encoder="", mode="", plan={}, checks=(), sha256="", size=0, seconds=0, frames=0, timings={},
                started_at="", finished_at=""
            )
            record.write(claim.folder / RENDER_RECORD)
            store.publish(claim)
        except (HoldLost, FileNotFoundError):
            pass
    time.sleep(0.01)
"""


class Clock:
    """An observer's monotonic clock that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recovery(store: Store, log: Logger, clock: Clock) -> Recovery:
    return Recovery(store, Caps(max_attempts=3, max_starts=10), LEASE, log, clock)


@pytest.fixture
def claimed_elsewhere(store: Store, add_task: Add, take: Take) -> Callable[..., Claim]:
    """A task held by a worker whose kernel is another one, so that only its lock file can tell."""

    def claim(task_id: str | None = None) -> Claim:
        held = take(task_id or add_task(), "far-away")
        show_life(store.layout, held, 1)
        return held

    return claim


def show_life(layout: Layout, claim: Claim, counter: int) -> None:
    """What the heartbeat of a worker on another host looks like from here."""
    lock = layout.lock(claim.task_id, claim.attempt)
    record = LockRecord(node="far-away", token=claim.token, boot="another", pid=1, counter=counter)
    with lock.open("r+b") as stream:
        stream.write(record.to_bytes().ljust(512))


def sweep_through(recovery: Recovery, clock: Clock, seconds: float) -> None:
    """Sweep as a worker does, several times in a while."""
    for _ in range(6):
        recovery.sweep()
        clock.now += seconds / 6
    recovery.sweep()


# -- on this host --------------------------------------------------------------------------------


def test_the_task_of_a_killed_worker_goes_back_at_once(
    store: Store,
    add_task: Add,
    recovery: Recovery,
    states_of: States,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """The kernel says that the holder is gone, so nobody waits for the lease; while it lived it kept the task."""
    task_id = add_task()
    worker = start_python(HOLDER, store.layout.root, task_id)
    token = said(worker)
    for _ in range(5):
        recovery.sweep()
    assert states_of(task_id) == [TaskState.PROCESSING]
    assert store.layout.attempt_dir(task_id, 1, token).is_dir()
    worker.kill()
    worker.wait()
    recovery.sweep()
    assert states_of(task_id) == [TaskState.WAITING]
    (record,) = store.attempts(TaskState.WAITING, task_id)
    assert (record.ended, record.why) == (Ending.DIED, "its worker on this host is gone")
    assert sorted(path.name for path in store.layout.task(TaskState.WAITING, task_id).iterdir()) == [
        *("attempts", "metadata.json", "voice.mp3")
    ]
    assert list(store.layout.locks.iterdir()) == []
    assert list(store.layout.removed.iterdir()) == []


def test_a_task_that_kills_its_workers_is_given_up(
    store: Store,
    add_task: Add,
    recovery: Recovery,
    states_of: States,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """After the last attempt it lies in trash/failed/ with its history and a reason."""
    task_id = add_task()
    for _ in range(3):
        assert states_of(task_id) == [TaskState.WAITING]
        worker = start_python(HOLDER, store.layout.root, task_id)
        said(worker)
        worker.kill()
        worker.wait()
        recovery.sweep()
    assert states_of(task_id) == [TaskState.FAILED]
    failed = store.layout.task(TaskState.FAILED, task_id)
    reason = Reason.read(failed / REASON)
    assert (reason.code, reason.task_id) == ("attempts_used_up", task_id)
    assert "died, died, died" in reason.reason
    assert (failed / STDERR).exists()
    assert [record.ended for record in store.attempts(TaskState.FAILED, task_id)] == [Ending.DIED] * 3
    assert not list(failed.glob("attempt-*"))


def test_a_retried_task_dies_as_often_again_before_it_is_given_up(
    store: Store, add_task: Add, take: Take, recovery: Recovery, states_of: States
) -> None:
    """The caps hold for each time an operator hands it in."""
    task_id = add_task()
    for handed_in in range(2):
        for number in range(1, 4):
            claim = take(task_id)
            assert claim.attempt == 3 * handed_in + number
            claim.sign.abandon()
            recovery.sweep()
        assert states_of(task_id) == [TaskState.FAILED]
        if not handed_in:
            assert store.retry(task_id, "somebody")


def test_a_living_holder_in_this_process_is_never_taken(
    store: Store, add_task: Add, take: Take, recovery: Recovery
) -> None:
    """A render worker sweeps while it renders."""
    claim = take(add_task())
    for _ in range(5):
        recovery.sweep()
    assert store.holds(claim)
    store.give_back(claim, Ending.GIVEN_BACK, "done")


# -- elsewhere -----------------------------------------------------------------------------------


def test_a_silent_worker_elsewhere_loses_its_task_after_the_lease(
    store: Store, claimed_elsewhere: Callable[..., Claim], recovery: Recovery, clock: Clock, states_of: States
) -> None:
    """By the observer's own clock, and not a moment earlier."""
    claim = claimed_elsewhere()
    sweep_through(recovery, clock, LEASE - 0.5)
    assert states_of(claim.task_id) == [TaskState.PROCESSING]
    clock.now += 0.5
    recovery.sweep()
    assert states_of(claim.task_id) == [TaskState.WAITING]
    (record,) = store.attempts(TaskState.WAITING, claim.task_id)
    assert (record.ended, record.why) == (Ending.DIED, "its worker showed no life for 90 s")
    claim.sign.release()


def test_a_worker_elsewhere_that_beats_keeps_its_task(
    store: Store, claimed_elsewhere: Callable[..., Claim], recovery: Recovery, clock: Clock
) -> None:
    """Even one beat per lease is life."""
    claim = claimed_elsewhere()
    for counter in range(2, 12):
        sweep_through(recovery, clock, LEASE - 1)
        show_life(store.layout, claim, counter)
    assert store.holds(claim)
    claim.sign.release()


def test_an_observer_that_slept_takes_no_living_holders_task(
    store: Store, claimed_elsewhere: Callable[..., Claim], recovery: Recovery, clock: Clock
) -> None:
    """It wakes up to a changed counter, or waits for three good reads."""
    claim = claimed_elsewhere()
    recovery.sweep()
    clock.now += 100 * LEASE
    recovery.sweep()
    assert store.holds(claim)
    show_life(store.layout, claim, 2)
    for _ in range(5):
        recovery.sweep()
    assert store.holds(claim)
    claim.sign.release()


@pytest.mark.parametrize("content", [None, b"", b"{torn"])
def test_a_missing_empty_or_torn_lock_is_judged_by_the_lease(
    store: Store,
    claimed_elsewhere: Callable[..., Claim],
    recovery: Recovery,
    clock: Clock,
    states_of: States,
    content: bytes | None,
) -> None:
    """No lock file is so broken that its task waits for ever."""
    claim = claimed_elsewhere()
    lock = store.layout.lock(claim.task_id, 1)
    lock.unlink() if content is None else lock.write_bytes(content)
    sweep_through(recovery, clock, LEASE - 0.5)
    assert states_of(claim.task_id) == [TaskState.PROCESSING]
    clock.now += 0.5
    recovery.sweep()
    assert states_of(claim.task_id) == [TaskState.WAITING]
    claim.sign.release()


def test_a_lock_that_cannot_be_read_is_no_information(
    store: Store, claimed_elsewhere: Callable[..., Claim], recovery: Recovery, clock: Clock
) -> None:
    """An I/O error never costs a worker its task, however long it lasts."""
    claim = claimed_elsewhere()
    lock = store.layout.lock(claim.task_id, 1)
    lock.unlink()
    lock.mkdir()
    sweep_through(recovery, clock, 10 * LEASE)
    assert store.holds(claim)
    lock.rmdir()
    claim.sign.release()


def test_a_worker_that_died_before_its_first_attempt_leaves_no_task_behind(
    store: Store, add_task: Add, recovery: Recovery, clock: Clock, states_of: States
) -> None:
    """It had renamed the task, and nothing else; after the lease the task waits again, with no attempt counted."""
    task_id = add_task()
    store.layout.task(TaskState.WAITING, task_id).rename(store.layout.task(TaskState.PROCESSING, task_id))
    sweep_through(recovery, clock, LEASE)
    assert states_of(task_id) == [TaskState.WAITING]
    assert store.attempts(TaskState.WAITING, task_id) == []


def test_an_ending_that_was_recorded_but_not_carried_out_is_carried_out(
    store: Store, add_task: Add, take: Take, recovery: Recovery, clock: Clock, states_of: States
) -> None:
    """A worker that died between giving back and moving the task costs it no attempt."""
    claim = take(add_task())
    record = store.attempts(TaskState.PROCESSING, claim.task_id)[0]
    record.changed(ended=Ending.GIVEN_BACK).write(store.layout.attempt_record(claim.task_id, 1))
    claim.folder.rmdir()
    claim.sign.release()
    sweep_through(recovery, clock, LEASE)
    assert states_of(claim.task_id) == [TaskState.WAITING]
    assert [found.ended for found in store.attempts(TaskState.WAITING, claim.task_id)] == [Ending.GIVEN_BACK]


def test_a_late_worker_finds_its_hold_lost_after_recovery(
    store: Store,
    claimed_elsewhere: Callable[..., Claim],
    finish: Finish,
    recovery: Recovery,
    clock: Clock,
    states_of: States,
) -> None:
    """It was only slow; the fence keeps its video out all the same."""
    claim = claimed_elsewhere()
    finish(claim)
    sweep_through(recovery, clock, LEASE)
    with pytest.raises(HoldLost):
        store.publish(claim)
    assert states_of(claim.task_id) == [TaskState.WAITING]


# -- clearing away -------------------------------------------------------------------------------


def test_the_remains_of_a_finished_task_are_cleared(
    store: Store, add_task: Add, take: Take, finish: Finish, recovery: Recovery, states_of: States
) -> None:
    """A crash after the publishing rename leaves the output, and one sweep leaves nothing else."""
    claim = take(add_task())
    finish(claim, b"the video")
    claim.folder.rename(store.layout.task(TaskState.FINISHED, claim.task_id))
    recovery.sweep()
    assert states_of(claim.task_id) == [TaskState.FINISHED]
    assert (store.layout.task(TaskState.FINISHED, claim.task_id) / FINAL).read_bytes() == b"the video"
    claim.sign.release()


def test_removed_things_are_deleted(store: Store, recovery: Recovery) -> None:
    """Files, folders and links; what links point to stays."""
    removed = store.layout.removed
    (removed / "folder").mkdir()
    (removed / "folder" / "file").touch()
    (removed / "file").touch()
    (removed / "link").symlink_to(store.layout.scanned)
    recovery.sweep()
    assert list(removed.iterdir()) == []
    assert store.layout.scanned.is_dir()


def test_a_dead_workers_lock_goes_when_its_task_has_gone_on(
    store: Store,
    add_task: Add,
    recovery: Recovery,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """Locks of the living and of the workers themselves stay."""
    task_id = add_task()
    worker = start_python(HOLDER, store.layout.root, task_id)
    said(worker)
    store.layout.main_lock.touch()
    store.layout.task(TaskState.PROCESSING, task_id).rename(store.layout.task(TaskState.FINISHED, task_id))
    recovery.sweep()
    assert store.layout.lock(task_id, 1).exists()
    worker.kill()
    worker.wait()
    recovery.sweep()
    assert [path.name for path in store.layout.locks.iterdir()] == ["main_worker.lock"]


def test_a_lock_of_another_boot_goes_after_the_lease(
    store: Store, claimed_elsewhere: Callable[..., Claim], finish: Finish, recovery: Recovery, clock: Clock
) -> None:
    """A worker that published and then lost its power leaves nothing for good."""
    claim = claimed_elsewhere()
    store.layout.task(TaskState.PROCESSING, claim.task_id).rename(store.layout.task(TaskState.FINISHED, claim.task_id))
    sweep_through(recovery, clock, LEASE - 0.5)
    assert store.layout.lock(claim.task_id, 1).exists()
    clock.now += 0.5
    recovery.sweep()
    assert list(store.layout.locks.iterdir()) == []
    claim.sign.release()


# -- twice is once, and everything at once -------------------------------------------------------


def test_recovery_twice_is_recovery_once(
    store: Store,
    add_task: Add,
    take: Take,
    claimed_elsewhere: Callable[..., Claim],
    recovery: Recovery,
    clock: Clock,
    tree_of: Callable[[Path], dict[str, str]],
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """After one pass over every kind of remains, another pass by another observer changes nothing at all."""
    layout = store.layout
    killed = [start_python(HOLDER, layout.root, add_task()) for _ in range(2)]
    for worker in killed:
        said(worker)
    published = add_task()
    killed.append(start_python(HOLDER, layout.root, published))
    token = said(killed[-1])
    layout.attempt_dir(published, 1, token).rename(layout.task(TaskState.FINISHED, published))
    silent, alive = claimed_elsewhere(), take(add_task())
    unbegun = add_task()
    layout.task(TaskState.WAITING, unbegun).rename(layout.task(TaskState.PROCESSING, unbegun))
    (layout.removed / "leftover").mkdir()
    waiting = add_task()
    for worker in killed:
        worker.kill()
        worker.wait()
    sweep_through(recovery, clock, LEASE - 1)
    alive.sign.beat()
    sweep_through(recovery, clock, 1)
    once = tree_of(layout.root)
    assert set(store.ids(TaskState.PROCESSING)) == {alive.task_id}
    assert {waiting, unbegun, silent.task_id} <= set(store.ids(TaskState.WAITING))
    assert store.ids(TaskState.FINISHED) == [published]
    assert list(layout.removed.iterdir()) == []
    assert [path.name for path in layout.locks.iterdir()] == [f"{alive.task_id}.1.lock"]
    recovery.sweep()
    sweep_through(Recovery(store, Caps(3, 10), LEASE, recovery.log, clock), clock, LEASE / 2)
    assert tree_of(layout.root) == once
    silent.sign.release()
    store.give_back(alive, Ending.GIVEN_BACK, "done")


def test_workers_killed_at_any_moment_lose_no_task(
    store: Store,
    add_task: Add,
    states_of: States,
    start_python: Callable[..., subprocess.Popen[str]],
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    """While workers are killed again and again the rest finish everything, each task once, and leave nothing."""
    layout = store.layout
    tasks = [add_task() for _ in range(24)]
    steady = [start_python(WORKER, layout.root, f"steady-{number}") for number in range(2)]

    def all_finished() -> bool:
        return len(store.ids(TaskState.FINISHED)) == len(tasks)

    for node in ("victim-1", "victim-2", "victim-3", "victim-4", "victim-5"):
        victim = start_python(WORKER, layout.root, node)
        eventually(lambda node=node: all_finished() or (layout.logs / node).exists())  # type: ignore[misc]
        victim.kill()
        victim.wait()
    eventually(all_finished)
    eventually(lambda: not list(layout.locks.iterdir()) and not list(layout.removed.iterdir()))
    for worker in steady:
        worker.kill()
        worker.wait()
    for task_id in tasks:
        assert states_of(task_id) == [TaskState.FINISHED]
        assert len((layout.task(TaskState.FINISHED, task_id) / FINAL).read_bytes()) == 16


class Clinging(LocalTree):
    """A root in which one leftover cannot be deleted, as where another user made it."""

    def remove_tree(self, path: PurePosixPath) -> None:
        if path.name.startswith("clings"):
            raise TreeTrouble(f"The server refused to remove {path}")
        super().remove_tree(path)


def test_one_leftover_that_cannot_be_deleted_keeps_none_of_the_others(
    layout: Layout, log: Logger, clock: Clock
) -> None:
    """It is out of sight already; the rest of the sweep goes on."""
    store = Store(layout, Clinging(layout.root))
    for name in ("a", "clings", "z"):
        (layout.removed / name).mkdir()
    Recovery(store, Caps(3, 10), LEASE, log, clock).sweep()
    assert [path.name for path in layout.removed.iterdir()] == ["clings"]


def test_a_task_whose_rest_cannot_be_deleted_is_published_all_the_same(layout: Layout, add_task: Add) -> None:
    """What stays lies out of sight, and its worker goes on."""
    store = Store(layout, Clinging(layout.root))
    task_id = add_task()
    waiting = layout.task(TaskState.WAITING, task_id)
    claim = store.claim(task_id, "a")
    assert claim is not None
    store.publish(claim)
    assert store.find(task_id) is TaskState.FINISHED
    assert not waiting.exists()


def test_the_watch_goes_on_after_trouble_and_ends_when_asked(
    store: Store, add_task: Add, log: Logger, clock: Clock, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A folder that vanishes for a while only pauses it."""
    ended = threading.Event()
    recovery = Recovery(store, Caps(3, 10), 0.3, log, clock)
    store.layout.removed.rmdir()
    watch = threading.Thread(target=recovery.keep_watch, args=(ended,))
    watch.start()
    try:
        store.layout.removed.mkdir()
        (store.layout.removed / "leftover").touch()
        eventually(lambda: not list(store.layout.removed.iterdir()))
    finally:
        ended.set()
        watch.join()


# -- drafts --------------------------------------------------------------------------------------


def test_a_forgotten_draft_goes_after_the_lease_and_one_in_work_stays(
    recovery: Recovery, clock: Clock, layout: Layout
) -> None:
    """Whoever began it died; one that still grows has somebody who writes it."""
    forgotten, growing = layout.drafts / ".1.json.aa.tmp", layout.drafts / ".2.json.bb.tmp"
    forgotten.write_bytes(b"half")
    for number in range(4):
        growing.write_bytes(b"x" * number)
        recovery.sweep()
        clock.now += LEASE / 2
    assert not forgotten.exists()
    assert growing.exists()


def test_a_changed_priority_is_forgotten_with_its_task(
    recovery: Recovery, store: Store, add_task: Add, take: Take, finish: Finish
) -> None:
    """As long as the task waits or is in work, it counts."""
    task_id = add_task()
    Orders(store.layout).prioritise(task_id, 90)
    recovery.sweep()
    assert [path.name.partition(".")[0] for path in store.layout.priorities.iterdir()] == [task_id]
    claim = take(task_id)
    finish(claim)
    store.publish(claim)
    recovery.sweep()
    assert not list(store.layout.priorities.iterdir())
