"""A node that fails what others render sets itself aside, tests itself, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from render_worker.health import MOST_WRONG, Health
from shared.domain.layout import FINAL, RENDER_RECORD, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.records.render import RenderRecord
from shared.store import Store
from shared.tree.local import LocalTree
from shared.tree.tree import Unreachable

Elsewhere = Callable[..., str]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(farm: Layout) -> Store:
    return Store(farm)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(store: Store, clock: Clock) -> Health:
    return Health(store, "bad", clock)


@pytest.fixture
def failed_here_done_by(store: Store, health: Health, add_task: Callable[..., str]) -> Elsewhere:
    """A task that failed on this node and was then rendered by another one, or was not."""

    def do(node: str) -> str:
        task_id = add_task()
        claim = store.claim(task_id, "bad")
        assert claim is not None
        store.give_back(claim, Ending.FAILED, "no")
        health.failed(task_id)
        claim = store.claim(task_id, node)
        assert claim is not None
        (claim.folder / FINAL).write_bytes(b"video")
        RenderRecord(
            task_id=task_id,
            attempt=2,
            token=claim.token,
            node=node,
            program="",
            ffmpeg="",
            encoder="",
            mode="",
            plan={},
            checks=(),
            sha256="",
            size=0,
            seconds=0,
            frames=0,
            timings={},
            started_at="",
            finished_at="",
        ).write(claim.folder / RENDER_RECORD)
        store.publish(claim)
        return task_id

    return do


def test_three_wrong_failures_set_a_node_aside(health: Health, failed_here_done_by: Elsewhere, clock: Clock) -> None:
    """It tests itself after a minute; a failed test doubles the wait, and a good one brings it back on probation."""
    for count in range(MOST_WRONG):
        assert health.look() is False, count
        failed_here_done_by("good")
    assert health.look() is True
    assert health.look() is False
    assert (health.is_set_aside, health.is_test_due) == (True, False)
    assert health.why.startswith("3 tasks that failed here were rendered by other nodes")
    clock.now += 60
    assert health.is_test_due
    health.tested(well=False)
    clock.now += 119
    assert not health.is_test_due
    clock.now += 1
    assert health.is_test_due
    health.tested(well=True)
    assert not health.is_set_aside
    assert health.look() is False
    failed_here_done_by("good")
    assert health.look() is True
    clock.now += 239
    assert not health.is_test_due
    clock.now += 1
    assert health.is_test_due


def test_a_task_rendered_here_clears_the_node(health: Health, failed_here_done_by: Elsewhere) -> None:
    """Whatever was wrong is not wrong with everything."""
    for _ in range(MOST_WRONG - 1):
        failed_here_done_by("good")
    assert health.look() is False
    health.succeeded()
    failed_here_done_by("good")
    assert health.look() is False


def test_what_failed_everywhere_or_was_mended_here_counts_not(
    store: Store, health: Health, failed_here_done_by: Elsewhere, add_task: Callable[..., str]
) -> None:
    """Only what another node rendered says something about this one."""
    for _ in range(MOST_WRONG):
        failed_here_done_by("bad")
        task_id = add_task()
        health.failed(task_id)
        store.discard(TaskState.WAITING, task_id)
    assert health.look() is False


def test_a_link_that_is_gone_is_waited_for_once(farm: Layout) -> None:
    """Not once more for each of the tasks that failed here."""
    asked = []

    class Gone(LocalTree):
        def is_folder(self, path: PurePosixPath) -> bool:
            asked.append(path)
            raise Unreachable("there is no link")

    health = Health(Store(farm, Gone(farm.root)), "bad", Clock())
    for number in range(3):
        health.failed(f"{number}")
    assert not health.look()
    assert len(asked) == 1
