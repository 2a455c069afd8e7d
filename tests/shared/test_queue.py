"""The waiting tasks of a root, as one reader sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from shared.domain.layout import METADATA, Layout
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.queue import Queue
from shared.store import Store
from shared.tree.local import LocalTree
from shared.tree.tree import Unreachable

Add = Callable[..., str]


class Clock:
    """A clock that moves when the test says so, and a little whenever it is asked."""

    def __init__(self) -> None:
        self.now, self.tick = 0.0, 0.5

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(store: Store, clock: Clock) -> Queue:
    return Queue(store, clock)


def order(queue: Queue) -> list[str]:
    return [ticket.task_id for ticket in queue.tasks()]


def test_a_look_costs_a_twentieth_of_the_time(store: Store, queue: Queue, clock: Clock, add_task: Add) -> None:
    """It takes half a second by this clock, so what comes afterwards is seen ten seconds later."""
    first = add_task(created_at="2026-11-20T00:00:00Z")
    queue.look()
    second = add_task(created_at="2026-11-21T00:00:00Z")
    assert queue.look() is False
    assert order(queue) == [first]
    clock.now += 9.0
    assert queue.look() is True
    assert order(queue) == [first, second]
    assert queue.look() is False


def test_a_look_over_a_long_line_ends_before_all_is_read(layout: Layout, clock: Clock, add_task: Add) -> None:
    """What it knows by then can be taken; half of the time later ones read the rest."""

    class Slow(LocalTree):
        def read(self, path: PurePosixPath) -> bytes:
            clock.now += 0.3
            return super().read(path)

    for _ in range(40):
        add_task()
    clock.tick = 0.0
    queue = Queue(Store(layout, Slow(layout.root)), clock)
    queue.look()
    assert clock.now == pytest.approx(32 * 0.3)
    assert len(order(queue)) == 32
    queue.look()
    assert len(order(queue)) == 32, "this node does something else meanwhile"
    clock.now += 10
    queue.look()
    assert len(order(queue)) == 40
    assert len(queue.waiting()) == 40


def test_it_looks_again_at_once_when_nothing_is_left(store: Store, queue: Queue, add_task: Add) -> None:
    """A worker without work does not wait for the time of the next look."""
    add_task()
    queue.look()
    for ticket in list(queue.tasks()):
        queue.taken(ticket, by_us=True)
        store.discard(TaskState.WAITING, ticket.task_id)
    assert order(queue) == []
    second = add_task()
    assert queue.look() is True
    assert order(queue) == [second]


def test_stories_take_turns_over_several_looks(store: Store, queue: Queue, clock: Clock, add_task: Add) -> None:
    """What was taken counts, though nothing of it is left to be seen."""
    for chapter in range(3):
        add_task(story_name="long", created_at=f"2026-11-20T00:00:0{chapter}Z")
        add_task(story_name="other", created_at=f"2026-11-21T00:00:0{chapter}Z")
    taken = []
    for _ in range(6):
        clock.now += 100
        queue.look()
        ticket = next(queue.tasks())
        queue.taken(ticket, by_us=True)
        store.discard(TaskState.WAITING, ticket.task_id)
        taken.append(ticket.story.rpartition("/")[2])
    assert taken == ["long", "other"] * 3


def test_a_changed_priority_is_seen_at_the_next_look(store: Store, queue: Queue, add_task: Add) -> None:
    """Even before it is time to list all tasks again; and only the changed task is read."""
    first = add_task(created_at="2026-11-20T00:00:00Z")
    second = add_task(created_at="2026-11-21T00:00:00Z")
    queue.look()
    assert order(queue) == [first, second]
    assert Orders(store.layout).prioritise(second, 90) is TaskState.WAITING
    assert queue.look() is True
    assert order(queue) == [second, first]
    assert queue.look() is False
    assert store.metadata(TaskState.WAITING, second).priority == 90
    assert not [path for path in store.layout.orders.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"priority": "x", "created_at": 1}'], ids=["empty", "list", "odd"])
def test_damaged_tasks_go_first(store: Store, queue: Queue, add_task: Add, content: bytes) -> None:
    """To be failed with an explanation by whoever takes them."""
    add_task(priority=100)
    damaged = add_task()
    (store.layout.task(TaskState.WAITING, damaged) / METADATA).write_bytes(content)
    assert queue.waiting()[0] == damaged


def test_a_task_that_is_gone_has_no_ticket(store: Store, queue: Queue, add_task: Add) -> None:
    """A suggestion may be older than what became of the task."""
    task_id = add_task()
    assert queue.ticket(task_id) is not None
    store.discard(TaskState.WAITING, task_id)
    assert Queue(store).ticket(task_id) is None


def test_a_link_that_is_gone_is_waited_for_once(layout: Layout, add_task: Add) -> None:
    """Not once more for each of the tasks that wait."""
    asked = []

    class Gone(LocalTree):
        def read(self, path: PurePosixPath) -> bytes:
            asked.append(path)
            raise Unreachable("there is no link")

    for _ in range(3):
        add_task()
    with pytest.raises(Unreachable):
        Queue(Store(layout, Gone(layout.root))).look()
    assert len(asked) == 1
