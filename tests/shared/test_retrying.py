"""A failed task is tried again, by one at a time, with all its attempts and its whole history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from shared.domain.layout import Layout
from shared.domain.retry import Attempted, Ending
from shared.domain.task import TaskState
from shared.records.attempt import AttemptRecord
from shared.records.reason import Reason
from shared.records.retries import RetriesRecord
from shared.store import Claim, Store
from tests.leftovers import leftovers

if TYPE_CHECKING:
    from tests.conftest import DeadMounts

Take = Callable[..., Claim]
Add = Callable[..., str]
States = Callable[[str], list[TaskState]]


def fail_once(store: Store, take: Take, task_id: str, reason: Reason, ending: Ending = Ending.FAILED) -> None:
    store.fail(take(task_id), ending, reason)


def test_a_retried_task_has_all_its_attempts_again(
    store: Store, add_task: Add, take: Take, reason: Reason, states_of: States
) -> None:
    """Attempts are numbered on, so that no lock, attempt or observer of before is taken for one of now."""
    task_id = add_task()
    fail_once(store, take, task_id, reason, Ending.DIED)
    assert store.retry(task_id, "somebody")
    assert states_of(task_id) == [TaskState.WAITING]
    assert store.attempts(TaskState.WAITING, task_id) == []
    claim = take(task_id)
    assert claim.attempt == 2
    assert [record.number for record in store.attempts(TaskState.PROCESSING, task_id)] == [2]
    assert store.take_away(task_id, 2, Ending.DIED, "silent") == [Attempted(Ending.DIED, "node-a")]
    claim.sign.release()


def test_a_task_retried_twice_keeps_the_whole_history(store: Store, add_task: Add, take: Take, reason: Reason) -> None:
    """Every start and every retry, with who asked for it."""
    task_id = add_task()
    for number, by in enumerate(("one", "two"), start=1):
        fail_once(store, take, task_id, reason.changed(reason=f"Failure {number}."))
        assert store.retry(task_id, by)
    noted = RetriesRecord.read(store.layout.retries(TaskState.WAITING, task_id))
    assert [(retry.after, retry.by, retry.reason) for retry in noted.retries] == [
        (1, "one", "Failure 1."),
        (2, "two", "Failure 2."),
    ]
    assert noted.after == 2
    folder = store.layout.attempts(TaskState.WAITING, task_id)
    assert [AttemptRecord.read(folder / f"{number}.json").ended for number in (1, 2)] == [Ending.FAILED] * 2


def test_a_retry_that_was_killed_before_its_rename_is_repeated(
    store: Store, add_task: Add, take: Take, reason: Reason
) -> None:
    """What it noted already is not noted twice."""
    task_id = add_task()
    fail_once(store, take, task_id, reason)
    in_the_way = store.layout.task(TaskState.WAITING, task_id)
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    assert store.retry(task_id, "one") is False
    (in_the_way / "file").unlink()
    in_the_way.rmdir()
    assert store.find(task_id) is TaskState.FAILED
    assert store.retry(task_id, "two")
    (noted,) = RetriesRecord.read(store.layout.retries(TaskState.WAITING, task_id)).retries
    assert noted.by == "one"


def test_a_damaged_record_of_retries_forgives_nothing(store: Store, add_task: Add, take: Take, reason: Reason) -> None:
    """There are never more starts than the cap."""
    task_id = add_task()
    fail_once(store, take, task_id, reason)
    assert store.retry(task_id, "somebody")
    store.layout.retries(TaskState.WAITING, task_id).write_bytes(b"{")
    assert [record.number for record in store.attempts(TaskState.WAITING, task_id)] == [1]


def test_an_output_wins_over_a_retry(
    store: Store, add_task: Add, take: Take, reason: Reason, states_of: States
) -> None:
    """The failed task is cleared away and nothing is made again."""
    task_id = add_task()
    fail_once(store, take, task_id, reason)
    store.layout.task(TaskState.FINISHED, task_id).mkdir()
    assert store.retry(task_id, "somebody") is False
    assert states_of(task_id) == [TaskState.FINISHED]
    assert leftovers(store.layout) == []


def test_retrying_what_is_not_there_or_under_way_changes_nothing(
    store: Store, add_task: Add, take: Take, states_of: States
) -> None:
    """Two operators may meet, and a folder may have been copied."""
    task_id = add_task()
    assert store.retry(task_id, "somebody") is False
    assert states_of(task_id) == [TaskState.WAITING]
    claim = take(task_id)
    assert store.retry(task_id, "somebody") is False
    assert store.holds(claim)
    store.give_back(claim, Ending.GIVEN_BACK, "done")


def test_a_folder_moved_back_by_hand_is_tried_again(store: Store, add_task: Add, take: Take, reason: Reason) -> None:
    """It counts its attempts on."""
    task_id = add_task()
    fail_once(store, take, task_id, reason)
    store.layout.task(TaskState.FAILED, task_id).rename(store.layout.task(TaskState.WAITING, task_id))
    claim = take(task_id)
    assert [record.number for record in store.attempts(TaskState.PROCESSING, task_id)] == [1, 2]
    store.give_back(claim, Ending.GIVEN_BACK, "done")


@pytest.mark.parametrize("state", TaskState)
def test_a_task_whose_folder_does_not_answer_is_not_taken_for_none(
    store: Store, dead_mounts: DeadMounts, state: TaskState
) -> None:
    """Else its voice would get a second task, or its video be rendered again."""
    folder = store.layout.task(state, "0" * 8)
    folder.mkdir()
    dead_mounts.over(folder)
    seen = Store(Layout(dead_mounts.seen(store.layout.root)))
    with pytest.raises(OSError, match="not connected"):
        seen.find("0" * 8)
    if state is TaskState.FINISHED:
        with pytest.raises(OSError, match="not connected"):
            seen.claim("0" * 8, "node-a")


def test_a_task_that_is_retried_by_two_at_once_is_retried_by_one(
    store: Store, add_task: Add, take: Take, reason: Reason, states_of: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one finds it gone in the middle, and says so."""
    task_id = add_task()
    fail_once(store, take, task_id, reason, Ending.DIED)
    attempts = store.attempts

    def gone_meanwhile(state: TaskState, task_id: str) -> list[AttemptRecord]:
        with monkeypatch.context() as patch:
            patch.setattr(store, "attempts", attempts)
            assert store.retry(task_id, "one")
        return attempts(state, task_id)

    monkeypatch.setattr(store, "attempts", gone_meanwhile)
    assert not store.retry(task_id, "two")
    assert states_of(task_id) == [TaskState.WAITING]
