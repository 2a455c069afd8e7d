"""What operators tell the nodes: files that count as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.domain.layout import METADATA, Layout
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.records.orders import Order, OrdersRecord
from shared.records.record import RecordError
from shared.store import Claim, Store

ORDER = Order(by="ann", when="2026-11-20T18:03:44Z", why="new disk")


@pytest.fixture
def orders(layout: Layout) -> Orders:
    return Orders(layout)


@pytest.mark.parametrize("node", [None, "studio"])
def test_a_pause_holds_until_it_is_taken_back(orders: Orders, node: str | None) -> None:
    """For the farm or a node; taking it back twice says so."""
    assert orders.read(node) == OrdersRecord()
    orders.pause(ORDER, node)
    assert orders.read(node).pause == ORDER
    assert orders.read("another").pause is None
    assert orders.resume(node) is True
    assert orders.resume(node) is False
    assert orders.read(node).pause is None


def test_orders_of_one_node_do_not_replace_each_other(orders: Orders) -> None:
    """Hours stay when a pause ends, and a drain that was carried out is forgotten alone."""
    orders.set_hours(("22:00-06:00",), "studio")
    orders.pause(ORDER, "studio")
    orders.drain(ORDER, "studio")
    orders.drained("studio")
    assert orders.read("studio") == OrdersRecord(pause=ORDER, hours=("22:00-06:00",))
    orders.resume("studio")
    assert orders.read("studio").hours == ("22:00-06:00",)


def test_an_order_counts_where_the_file_was_damaged(layout: Layout, orders: Orders) -> None:
    """Whoever reads it is told; whoever orders anew mends it."""
    layout.orders.mkdir()
    layout.orders_of("studio").write_text("{", "utf-8")
    with pytest.raises(RecordError, match="node-studio"):
        orders.read("studio")
    orders.pause(ORDER, "studio")
    assert orders.read("studio").pause == ORDER


def test_a_priority_is_kept_in_the_task(
    store: Store, orders: Orders, add_task: Callable[..., str], take: Callable[..., Claim]
) -> None:
    """Also of one that is being rendered, for when it comes back; unknown keys survive, and what has ended stays."""
    task_id = add_task(extra="kept")
    assert orders.prioritise(task_id, 7) is TaskState.WAITING
    take(task_id)
    assert orders.prioritise(task_id, 8) is TaskState.PROCESSING
    metadata = store.metadata(TaskState.PROCESSING, task_id)
    assert (metadata.priority, metadata.model_extra) == (8, {"extra": "kept"})
    store.discard(TaskState.PROCESSING, task_id)
    assert orders.prioritise(task_id, 9) is None


def test_a_damaged_task_keeps_its_priority(store: Store, orders: Orders, add_task: Callable[..., str]) -> None:
    """Its metadata is not replaced by something else."""
    task_id = add_task()
    path = store.layout.task(TaskState.WAITING, task_id) / METADATA
    path.write_text("{", "utf-8")
    with pytest.raises(RecordError):
        orders.prioritise(task_id, 9)
    assert path.read_text("utf-8") == "{"
