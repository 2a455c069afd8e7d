"""A task that an operator cancels ends once, whatever its worker does meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from shared.domain.layout import REASON
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.records.reason import CANCELLED, Reason
from shared.store import Claim, HoldLost, Store
from tests.leftovers import leftovers

Take = Callable[..., Claim]
Finish = Callable[..., None]
Add = Callable[..., str]
States = Callable[[str], list[TaskState]]


def cancelled(task_id: str) -> Reason:
    return Reason(code=CANCELLED, reason="It was cancelled by ann.", advice="Retry.", task_id=task_id, when="now")


def test_a_waiting_task_is_cancelled(store: Store, add_task: Add, states_of: States) -> None:
    """It lies in trash/failed/ with the reason, and can be retried."""
    task_id = add_task()
    assert store.cancel(task_id, cancelled(task_id)) is True
    assert states_of(task_id) == [TaskState.FAILED]
    assert Reason.read(store.layout.task(TaskState.FAILED, task_id) / REASON).code == CANCELLED
    assert store.cancel(task_id, cancelled(task_id)) is False
    assert store.retry(task_id, "ann") is True
    assert states_of(task_id) == [TaskState.WAITING]


def test_a_task_in_work_is_cancelled_and_its_worker_finds_out(
    store: Store, add_task: Add, take: Take, finish: Finish, states_of: States, reason: Reason
) -> None:
    """Its heartbeat fails, and it can neither publish nor fail nor give back."""
    task_id = add_task()
    claim = take(task_id)
    finish(claim)
    assert store.cancel(task_id, cancelled(task_id)) is True
    assert not store.holds(claim)
    with pytest.raises(FileNotFoundError):
        claim.sign.beat()
    with pytest.raises(HoldLost):
        store.publish(claim)
    with pytest.raises(HoldLost):
        store.fail(claim, Ending.FAILED, reason)
    with pytest.raises(HoldLost):
        store.give_back(claim, Ending.GIVEN_BACK, "stopped")
    assert states_of(task_id) == [TaskState.FAILED]
    (attempt,) = store.attempts(TaskState.FAILED, task_id)
    assert attempt.ended is Ending.CANCELLED
    assert leftovers(store.layout) == []
    assert store.retry(task_id, "ann") is True
    assert take(task_id).attempt == 2


def test_what_was_claimed_but_not_begun_is_cancelled(store: Store, add_task: Add, states_of: States) -> None:
    """Its worker died or sleeps between the two; the attempt it begins then has no place."""
    task_id = add_task()
    layout = store.layout
    layout.task(TaskState.WAITING, task_id).rename(layout.task(TaskState.PROCESSING, task_id))
    assert store.cancel(task_id, cancelled(task_id)) is True
    assert states_of(task_id) == [TaskState.FAILED]


def test_an_attempt_that_is_begun_while_its_task_is_cancelled_is_not_doubled(
    store: Store, add_task: Add, take: Take, finish: Finish, states_of: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is published between the last look at the output and the move: the output wins, after the move too."""
    task_id = add_task()
    layout = store.layout
    layout.task(TaskState.WAITING, task_id).rename(layout.task(TaskState.PROCESSING, task_id))
    give_up = store.give_up

    def late(task_id: str, reason: Reason) -> bool:
        layout.task(TaskState.PROCESSING, task_id).rename(layout.task(TaskState.WAITING, task_id))
        claim = take(task_id)
        finish(claim)
        claim.folder.rename(layout.task(TaskState.FINISHED, task_id))
        return give_up(task_id, reason)

    monkeypatch.setattr(store, "give_up", late)
    assert store.cancel(task_id, cancelled(task_id)) is False
    assert states_of(task_id) == [TaskState.FINISHED]


def test_the_output_wins_over_a_cancellation(
    store: Store, add_task: Add, take: Take, finish: Finish, states_of: States
) -> None:
    """What is finished stays, and what a crash left beside it is cleared away."""
    task_id = add_task()
    claim = take(task_id)
    finish(claim, b"the video")
    store.publish(claim)
    assert store.cancel(task_id, cancelled(task_id)) is False
    add_task(task_id=task_id)
    assert store.cancel(task_id, cancelled(task_id)) is False
    assert states_of(task_id) == [TaskState.FINISHED]
    assert store.cancel("5f0c0000-0000-5000-8000-000000000000", cancelled(task_id)) is False


def test_cancelling_and_working_at_once_ends_every_task_once(
    store: Store, add_task: Add, start_python: Callable[..., subprocess.Popen[str]], states_of: States
) -> None:
    """Three workers take and publish what an operator cancels at the same time."""
    ids = [add_task() for _ in range(60)]
    workers = [start_python(PUBLISHER, store.layout.root, f"node-{number}") for number in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    (store.layout.farm / "go").touch()
    done = [store.cancel(task_id, cancelled(task_id)) for task_id in reversed(ids)]
    for worker in workers:
        worker.wait(60)
    states = [states_of(task_id) for task_id in reversed(ids)]
    assert states == [[TaskState.FAILED] if was else [TaskState.FINISHED] for was in done]
    assert leftovers(store.layout) == []


PUBLISHER = """
import sys
from pathlib import Path
from shared.domain.layout import FINAL, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.records.render import RenderRecord
from shared.store import HoldLost, Store
store, node = Store(Layout(Path(sys.argv[1]))), sys.argv[2]
print("ready", flush=True)
while not (store.layout.farm / "go").exists():
    pass
while ids := store.ids(TaskState.WAITING):
    for task_id in sorted(ids):
        claim = store.claim(task_id, node)
        if claim is None:
            continue
        try:
            (claim.folder / FINAL).write_bytes(b"video")
            RenderRecord(
                task_id=task_id, attempt=claim.attempt, token=claim.token, node=node, program="", ffmpeg="",
                encoder="", mode="", plan={}, checks=(), sha256="", size=0, seconds=0, frames=0, timings={},
                started_at="", finished_at=""
            ).write(claim.folder / RENDER_RECORD)
            store.publish(claim)
        except FileNotFoundError:
            store.withdraw(claim)
        except HoldLost:
            pass
"""
