"""The life of a task, and who may move it."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.layout import FINAL, METADATA, REASON, STDERR
from shared.domain.retry import Attempted, Ending
from shared.domain.task import TaskState
from shared.queue import Queue
from shared.records.attempt import AttemptRecord
from shared.records.lock import LockRecord
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Claim, HoldLost, Store
from tests.leftovers import leftovers

Take = Callable[..., Claim]
Finish = Callable[..., None]
Add = Callable[..., str]
States = Callable[[str], list[TaskState]]

CLAIMER = """
import random, sys
from pathlib import Path
from shared.domain.layout import Layout
from shared.queue import Queue
from shared.store import Store
store, node = Store(Layout(Path(sys.argv[1]))), sys.argv[2]
print("ready", flush=True)
while not (store.layout.farm / "go").exists():
    pass
claims = []
queue = Queue(store)
while ids := queue.waiting():
    random.shuffle(ids)
    for task_id in ids:
        claim = store.claim(task_id, node)
        if claim is not None:
            claims.append(claim)
            print(task_id, claim.token, flush=True)
print("done", flush=True)
sys.stdin.read()
"""


def take_away(store: Store, claim: Claim) -> None:
    """What recovery does to a holder it takes for dead."""
    assert store.take_away(claim.task_id, claim.attempt, Ending.DIED, "silent") is not None
    assert store.requeue(claim.task_id)


# -- adding and looking --------------------------------------------------------------------------


def test_an_added_task_waits(store: Store, add_task: Add, states_of: States) -> None:
    """With its links, and nothing left in staging."""
    task_id = add_task()
    assert states_of(task_id) == [TaskState.WAITING]
    assert store.find(task_id) is TaskState.WAITING
    assert store.metadata(TaskState.WAITING, task_id).task_id == task_id
    assert leftovers(store.layout) == []


def test_a_task_added_twice_is_one_task(store: Store, add_task: Add, metadata_of: Callable[..., Metadata]) -> None:
    """The second is refused, and the first stays as it is."""
    task_id = add_task(priority=7)
    again = store.layout.staging / task_id
    again.mkdir()
    metadata_of(task_id=task_id, priority=8).write(again / METADATA)
    assert store.add(again, task_id) is False
    assert store.metadata(TaskState.WAITING, task_id).priority == 7


def test_tasks_wait_by_priority_and_then_by_age(store: Store, add_task: Add) -> None:
    """Higher priority goes first, and among equals the older."""
    young = add_task(created_at="2026-11-22T00:00:00Z")
    old = add_task(created_at="2026-11-20T00:00:00Z")
    low = add_task(created_at="2026-11-19T00:00:00Z", priority=10)
    high = add_task(created_at="2026-11-23T00:00:00Z", priority=90)
    assert Queue(store).waiting() == [high, old, young, low]


def test_what_is_no_task_is_left_alone(store: Store, add_task: Add) -> None:
    """Folders and files of other names, and even a file with a task's name."""
    task_id = add_task()
    folder = store.layout.state(TaskState.WAITING)
    (folder / "notes").mkdir()
    (folder / ".DS_Store").touch()
    (folder / "5f0c0000-0000-5000-8000-000000000000").touch()
    assert store.ids(TaskState.WAITING) == Queue(store).waiting() == [task_id]


def test_a_state_whose_folder_vanished_holds_nothing(store: Store) -> None:
    """A mount that went away is no crash."""
    store.layout.state(TaskState.WAITING).rmdir()
    assert store.ids(TaskState.WAITING) == Queue(store).waiting() == []


def test_a_task_that_is_nowhere_is_found_nowhere(store: Store) -> None:
    """Nor has it metadata or attempts."""
    task_id = "5f0c0000-0000-5000-8000-000000000000"
    assert store.find(task_id) is None
    assert store.attempts(TaskState.PROCESSING, task_id) == []
    with pytest.raises(FileNotFoundError):
        store.metadata(TaskState.WAITING, task_id)


# -- claiming ------------------------------------------------------------------------------------


def test_a_claim_takes_the_task_with_its_links(store: Store, add_task: Add, take: Take, states_of: States) -> None:
    """Attempt record, lock and attempt directory are there before the work, and the links still resolve."""
    task_id = add_task()
    claim = take(task_id, "node-a")
    layout = store.layout
    assert states_of(task_id) == [TaskState.PROCESSING]
    assert (layout.task(TaskState.PROCESSING, task_id) / "voice.mp3").read_bytes() == b"the voice of a story"
    record = AttemptRecord.read(layout.attempt_record(task_id, 1))
    assert (record.number, record.token, record.node, record.ended) == (1, claim.token, "node-a", None)
    lock = LockRecord.read(layout.lock(task_id, 1))
    assert (lock.node, lock.token) == ("node-a", claim.token)
    assert claim.folder == layout.attempt_dir(task_id, 1, claim.token)
    assert store.holds(claim)


def test_a_task_is_claimed_once(store: Store, add_task: Add, take: Take) -> None:
    """Who comes second gets nothing and disturbs nobody."""
    task_id = add_task()
    claim = take(task_id)
    assert Store(store.layout).claim(task_id, "node-b") is None
    assert store.holds(claim)
    assert [record.number for record in store.attempts(TaskState.PROCESSING, task_id)] == [1]


def test_of_many_processes_exactly_one_wins_each_task(
    store: Store,
    add_task: Add,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """Four real processes race for fifty tasks; every task has one holder, one attempt and one lock."""
    tasks = {add_task() for _ in range(50)}
    racers = [start_python(CLAIMER, store.layout.root, f"node-{number}") for number in range(4)]
    assert [said(racer) for racer in racers] == ["ready"] * 4
    (store.layout.farm / "go").touch()
    won: dict[str, str] = {}
    wins: Counter[str] = Counter()
    for racer in racers:
        while (words := said(racer)) != "done":
            task_id, token = words.split()
            wins[task_id] += 1
            won[task_id] = token
    assert wins == Counter(tasks)
    for task_id, token in won.items():
        (record,) = store.attempts(TaskState.PROCESSING, task_id)
        assert record.token == token
        assert store.layout.attempt_dir(task_id, 1, token).is_dir()
    assert len(list(store.layout.locks.glob("*.lock"))) == 50


def test_an_output_wins_over_a_claim(store: Store, add_task: Add, take: Take, finish: Finish) -> None:
    """A task that is finished already is cleared away instead of being rendered again."""
    task_id = add_task()
    claim = take(task_id)
    finish(claim, b"the video")
    store.publish(claim)
    add_task(task_id=task_id)
    assert store.claim(task_id, "node-b") is None
    assert store.find(task_id) is TaskState.FINISHED
    assert (store.layout.task(TaskState.FINISHED, task_id) / FINAL).read_bytes() == b"the video"
    assert leftovers(store.layout) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 1}', None], ids=["empty", "torn", "incomplete", "missing"])
def test_damaged_metadata_is_failed_with_a_reason(
    store: Store, add_task: Add, states_of: States, content: bytes | None
) -> None:
    """It goes first, ends in trash/failed/ and says what to do, instead of waiting for ever."""
    add_task(priority=100)
    task_id = add_task()
    path = store.layout.task(TaskState.WAITING, task_id) / METADATA
    path.unlink() if content is None else path.write_bytes(content)
    assert Queue(store).waiting()[0] == task_id
    with pytest.raises(RecordError, match=METADATA):
        store.claim(task_id, "node-a")
    assert states_of(task_id) == [TaskState.FAILED]
    failed = store.layout.task(TaskState.FAILED, task_id)
    reason = Reason.read(failed / REASON)
    assert (reason.code, reason.task_id) == ("bad_metadata", task_id)
    assert [record.ended for record in store.attempts(TaskState.FAILED, task_id)] == [Ending.FAILED]
    assert leftovers(store.layout) == []


def test_a_claim_clears_what_an_earlier_holder_left(store: Store, add_task: Add, take: Take) -> None:
    """An attempt directory and a lock of a crash before it disturb neither the claim nor its number."""
    task_id = add_task()
    first = take(task_id)
    (first.folder / "half.mp4").write_bytes(b"half")
    processing, waiting = (store.layout.task(state, task_id) for state in (TaskState.PROCESSING, TaskState.WAITING))
    processing.rename(waiting)
    second = take(task_id, "node-b")
    assert second.attempt == 2
    attempts = [path.name for path in processing.iterdir() if path.name.startswith("attempt-")]
    assert attempts == [second.folder.name]
    assert not store.holds(first)


def test_taking_and_giving_back_at_once_is_never_trouble(
    store: Store, add_task: Add, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    """A task that is gone when one reaches for it, and back in the next instant, has been taken by somebody else."""
    add_task()
    workers = [start_python(GIVER, store.layout.root, f"node-{number}") for number in range(4)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    (store.layout.farm / "go").touch()
    assert [worker.wait(60) for worker in workers] == [0] * 4


GIVER = """
import sys, time
from pathlib import Path
from shared.domain.layout import Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.store import Store
store, node = Store(Layout(Path(sys.argv[1]))), sys.argv[2]
(task_id,) = store.ids(TaskState.WAITING)
print("ready", flush=True)
while not (store.layout.farm / "go").exists():
    pass
ends = time.monotonic() + 2
while time.monotonic() < ends:
    if claim := store.claim(task_id, node):
        store.give_back(claim, Ending.GIVEN_BACK, "drained")
"""


# -- publishing ----------------------------------------------------------------------------------


def test_publishing_leaves_the_output_and_nothing_else(
    store: Store, add_task: Add, take: Take, finish: Finish, states_of: States
) -> None:
    """The attempt becomes the output whole, and neither scratch nor lock is left."""
    task_id = add_task()
    claim = take(task_id)
    finish(claim, b"the video")
    inode = claim.folder.stat().st_ino
    store.publish(claim)
    output = store.layout.task(TaskState.FINISHED, task_id)
    assert output.stat().st_ino == inode
    assert sorted(path.name for path in output.iterdir()) == [FINAL, METADATA, "render.json"]
    assert states_of(task_id) == [TaskState.FINISHED]
    assert leftovers(store.layout) == []


def test_an_existing_output_is_never_replaced(store: Store, add_task: Add, take: Take, finish: Finish) -> None:
    """Who finishes second has lost, and the first video does not change by a byte."""
    task_id = add_task()
    first = take(task_id)
    finish(first, b"first")
    take_away(store, first)
    late = take(task_id, "node-b")
    finish(late, b"second")
    winner = store.layout.task(TaskState.FINISHED, task_id)
    winner.mkdir()
    (winner / FINAL).write_bytes(b"first")
    with pytest.raises(HoldLost):
        store.publish(late)
    assert [path.name for path in winner.iterdir()] == [FINAL]
    assert (winner / FINAL).read_bytes() == b"first"
    assert leftovers(store.layout) == []


def test_publishing_again_what_is_published_changes_nothing(
    store: Store, add_task: Add, take: Take, finish: Finish
) -> None:
    """A rename that reported failure but happened is recognised by its token."""
    claim = take(add_task())
    finish(claim)
    store.publish(claim)
    store.publish(claim)
    assert store.is_finished(claim.task_id)
    assert leftovers(store.layout) == []


# -- failing and giving back ---------------------------------------------------------------------


def test_a_failed_task_says_why(store: Store, add_task: Add, take: Take, reason: Reason, states_of: States) -> None:
    """Reason, all that the tools said, and its attempts are in trash/failed/, and no scratch."""
    task_id = add_task()
    store.give_back(take(task_id), Ending.NODE_TROUBLE, "disk full")
    claim = take(task_id)
    store.layout.attempt_stderr(task_id, 2).write_bytes(b"all that ffmpeg said")
    (claim.folder / "half.mp4").write_bytes(b"half")
    store.fail(claim, Ending.FAILED, reason)
    failed = store.layout.task(TaskState.FAILED, task_id)
    assert states_of(task_id) == [TaskState.FAILED]
    assert Reason.read(failed / REASON) == reason
    assert (failed / STDERR).read_bytes() == b"all that ffmpeg said"
    attempts = [(record.number, record.ended, record.why) for record in store.attempts(TaskState.FAILED, task_id)]
    assert attempts == [(1, Ending.NODE_TROUBLE, "disk full"), (2, Ending.FAILED, "It failed.")]
    assert not list(failed.glob("attempt-*"))
    assert leftovers(store.layout) == []


def test_a_failed_task_without_a_word_from_the_tools_still_has_the_file(
    store: Store, add_task: Add, take: Take, reason: Reason
) -> None:
    """The folder always looks the same."""
    claim = take(add_task())
    store.fail(claim, Ending.FAILED, reason)
    assert (store.layout.task(TaskState.FAILED, claim.task_id) / STDERR).read_bytes() == b""


def test_a_task_given_back_waits_and_keeps_its_attempt(
    store: Store, add_task: Add, take: Take, states_of: States
) -> None:
    """Its next holder counts on."""
    task_id = add_task()
    store.give_back(take(task_id), Ending.GIVEN_BACK, "drain")
    assert states_of(task_id) == [TaskState.WAITING]
    (record,) = store.attempts(TaskState.WAITING, task_id)
    assert (record.number, record.ended, record.why) == (1, Ending.GIVEN_BACK, "drain")
    assert record.ended_at
    assert leftovers(store.layout) == []
    second = take(task_id)
    assert second.attempt == 2
    store.give_back(second, Ending.GIVEN_BACK, "drain")


def test_a_torn_attempt_record_counts_as_a_death(store: Store, add_task: Add, take: Take) -> None:
    """A task whose attempts cannot be read is not tried for ever."""
    task_id = add_task()
    store.give_back(take(task_id), Ending.GIVEN_BACK, "drain")
    (store.layout.attempts(TaskState.WAITING, task_id) / "1.json").write_bytes(b"")
    claim = take(task_id)
    assert claim.attempt == 2
    assert store.attempts(TaskState.PROCESSING, task_id)[0].ended is Ending.DIED
    store.give_back(claim, Ending.GIVEN_BACK, "drain")


# -- the fence -----------------------------------------------------------------------------------


def end_by_publishing(store: Store, claim: Claim) -> None:
    store.publish(claim)


def end_by_failing(store: Store, claim: Claim) -> None:
    store.fail(claim, Ending.FAILED, Reason(code="c", reason="r", advice="a", when="now"))


def end_by_giving_back(store: Store, claim: Claim) -> None:
    store.give_back(claim, Ending.GIVEN_BACK, "late")


ENDINGS = pytest.mark.parametrize("end", [end_by_publishing, end_by_failing, end_by_giving_back])


@ENDINGS
def test_a_late_worker_cannot_touch_a_task_that_went_to_another(
    store: Store, add_task: Add, take: Take, finish: Finish, end: Callable[[Store, Claim], None]
) -> None:
    """Its hold is lost, and its successor's attempt, lock and record stay as they are."""
    task_id = add_task()
    late = take(task_id, "node-a")
    finish(late, b"late")
    take_away(store, late)
    holder = take(task_id, "node-b", Store(store.layout))
    (holder.folder / "half.mp4").write_bytes(b"half")
    with pytest.raises(HoldLost):
        end(store, late)
    assert store.find(task_id) is TaskState.PROCESSING
    assert store.holds(holder)
    assert (holder.folder / "half.mp4").read_bytes() == b"half"
    holder.sign.beat()
    records = store.attempts(TaskState.PROCESSING, task_id)
    assert [(record.node, record.ended) for record in records] == [("node-a", Ending.DIED), ("node-b", None)]
    finish(holder, b"second")
    store.publish(holder)
    assert (store.layout.task(TaskState.FINISHED, task_id) / FINAL).read_bytes() == b"second"
    assert leftovers(store.layout) == []


@ENDINGS
def test_a_late_worker_cannot_touch_a_task_that_waits_again(
    store: Store, add_task: Add, take: Take, finish: Finish, states_of: States, end: Callable[[Store, Claim], None]
) -> None:
    """It was taken away and nobody has taken it yet."""
    late = take(add_task())
    finish(late)
    take_away(store, late)
    with pytest.raises(HoldLost):
        end(store, late)
    assert states_of(late.task_id) == [TaskState.WAITING]
    assert leftovers(store.layout) == []


@ENDINGS
def test_a_late_worker_cannot_touch_a_task_that_was_given_up(
    store: Store,
    add_task: Add,
    take: Take,
    finish: Finish,
    reason: Reason,
    states_of: States,
    end: Callable[[Store, Claim], None],
) -> None:
    """A failed task stays failed, whatever its last holder brings."""
    late = take(add_task())
    finish(late)
    assert store.take_away(late.task_id, 1, Ending.DIED, "silent") == [Attempted(Ending.DIED, "node-a")]
    assert store.give_up(late.task_id, reason)
    with pytest.raises(HoldLost):
        end(store, late)
    assert states_of(late.task_id) == [TaskState.FAILED]
    assert Reason.read(store.layout.task(TaskState.FAILED, late.task_id) / REASON) == reason
    assert leftovers(store.layout) == []


@ENDINGS
def test_a_late_worker_cannot_touch_a_finished_task(
    store: Store,
    add_task: Add,
    take: Take,
    finish: Finish,
    tree_of: Callable[[Path], dict[str, str]],
    end: Callable[[Store, Claim], None],
) -> None:
    """Another attempt's output is there, and stays as it is."""
    late = take(add_task())
    finish(late, b"late")
    take_away(store, late)
    holder = take(late.task_id, "node-b")
    finish(holder, b"first")
    store.publish(holder)
    before = tree_of(store.layout.output)
    with pytest.raises(HoldLost):
        end(store, late)
    assert tree_of(store.layout.output) == before
    assert leftovers(store.layout) == []


@pytest.mark.parametrize("end", [end_by_failing, end_by_giving_back])
def test_an_output_wins_over_failing_and_giving_back(
    store: Store, add_task: Add, take: Take, states_of: States, end: Callable[[Store, Claim], None]
) -> None:
    """A holder whose task is finished by another neither fails it nor puts it back, even with its attempt in place."""
    claim = take(add_task())
    store.layout.task(TaskState.FINISHED, claim.task_id).mkdir()
    with pytest.raises(HoldLost):
        end(store, claim)
    assert states_of(claim.task_id) == [TaskState.FINISHED]
    assert leftovers(store.layout) == []


def test_a_holder_notices_that_its_task_was_taken_away(store: Store, add_task: Add, take: Take) -> None:
    """By its directory and by its lock, whichever it looks at."""
    claim = take(add_task())
    take_away(store, claim)
    assert not store.holds(claim)
    with pytest.raises(OSError, match="lock"):
        claim.sign.beat()
    store.withdraw(claim)


# -- taking from the dead ------------------------------------------------------------------------


def test_a_death_is_recorded_and_everything_of_the_dead_goes(store: Store, add_task: Add, take: Take) -> None:
    """The next holder finds a clean task that knows how often it was started."""
    claim = take(add_task())
    assert store.take_away(claim.task_id, 1, Ending.DIED, "silent for 90 s") == [Attempted(Ending.DIED, "node-a")]
    (record,) = store.attempts(TaskState.PROCESSING, claim.task_id)
    assert (record.ended, record.why) == (Ending.DIED, "silent for 90 s")
    assert not claim.folder.exists()
    assert not store.layout.lock(claim.task_id, 1).exists()
    claim.sign.release()


def test_a_slow_observer_cannot_take_the_next_holders_attempt(store: Store, add_task: Add, take: Take) -> None:
    """It judged an attempt that another observer has dealt with meanwhile."""
    dead = take(add_task())
    take_away(store, dead)
    holder = take(dead.task_id, "node-b")
    assert Store(store.layout).take_away(dead.task_id, dead.attempt, Ending.DIED, "silent") is None
    assert store.holds(holder)
    holder.sign.beat()
    assert store.attempts(TaskState.PROCESSING, dead.task_id)[1].ended is None
    store.give_back(holder, Ending.GIVEN_BACK, "done")
    dead.sign.release()


def test_taking_what_another_observer_took_is_no_error(store: Store, add_task: Add, take: Take, reason: Reason) -> None:
    """Two of them may meet at every step."""
    claim = take(add_task())
    take_away(store, claim)
    assert store.take_away(claim.task_id, 1, Ending.DIED, "silent") is None
    assert store.requeue(claim.task_id) is False
    assert store.give_up(claim.task_id, reason) is False
    assert store.find(claim.task_id) is TaskState.WAITING
    claim.sign.release()


def test_a_move_that_fails_for_the_machines_sake_is_not_hidden(store: Store, add_task: Add) -> None:
    """A vanished folder is told as what it is; the task stays where it was."""
    if os.geteuid() == 0:
        store.layout.state(TaskState.PROCESSING).rmdir()
        store.layout.state(TaskState.PROCESSING).symlink_to("/proc/self")
    else:
        store.layout.state(TaskState.PROCESSING).chmod(0o500)
    task_id = add_task()
    with pytest.raises(OSError, match="processing"):
        store.claim(task_id, "node-a")
    assert store.find(task_id) is TaskState.WAITING
