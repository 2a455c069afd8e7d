"""When a node may take tasks: orders, hours, and the rules of its root."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import pytest

from render_worker.duty import Duty, Off
from shared.domain.layout import Layout
from shared.domain.node import NodeState
from shared.log import Logger, open_log
from shared.orders import Orders
from shared.records.lease import LeaseRecord
from shared.records.orders import Order, OrdersRecord
from shared.settings import Log
from shared.store import Store
from shared.version import RULES

ORDER = Order(by="ann\x1b", when="2026-11-20T18:03:44Z", why="new disk")
MONDAY_NOON = datetime.fromisoformat("2026-11-23T12:00:00")


@pytest.fixture
def log() -> Logger:
    return open_log("tests", Log(file=False))


@pytest.fixture
def look(farm: Layout, log: Logger) -> Callable[[], Off | None]:
    """A fresh look each time."""
    return lambda: Duty(Store(farm), "studio", log, lambda: MONDAY_NOON).look()


def test_without_orders_a_node_works(look: Callable[[], Off | None]) -> None:
    """So it is on a new root."""
    assert look() is None


@pytest.mark.parametrize("node", [None, "studio"])
def test_a_paused_node_takes_nothing(farm: Layout, look: Callable[[], Off | None], node: str | None) -> None:
    """Whether the farm is paused or the node; it says by whom, and names cannot upset a terminal."""
    Orders(farm).pause(ORDER, node)
    off = look()
    assert off is not None
    assert (off.state, off.at_once) == (NodeState.PAUSED, False)
    assert off.why.endswith("paused by ann\\x1b at 2026-11-20T18:03:44Z: new disk")
    Orders(farm).pause(ORDER.model_copy(update={"at_once": True}), node)
    assert (off := look()) is not None
    assert off.at_once
    Orders(farm).resume(node)
    assert look() is None


def test_a_drain_is_carried_out_once(farm: Layout, log: Logger) -> None:
    """A worker that is started later does not end for it."""
    Orders(farm).drain(ORDER, "studio")
    duty = Duty(Store(farm), "studio", log)
    assert (off := duty.look()) is not None
    assert off.state is NodeState.DRAINING
    duty.end()
    assert Orders(farm).read("studio") == OrdersRecord()
    Orders(farm).drain(ORDER, "studio")
    later = Duty(Store(farm), "studio", log)
    later.begin()
    assert later.look() is None


def test_outside_its_hours_a_node_takes_nothing(farm: Layout, look: Callable[[], Off | None]) -> None:
    """It says until when; hours that nobody understands pause it and say so."""
    Orders(farm).set_hours(("mon-fri 18:00-24:00", "sat 00:00-24:00"), "studio")
    assert look() == Off(
        NodeState.OFF_HOURS, "outside its working hours (mon-fri 18:00-24:00, sat 00:00-24:00) until Mon 18:00"
    )
    Orders(farm).set_hours(("11:00-13:00",), "studio")
    assert look() is None
    Orders(farm).set_hours(("noon",), "studio")
    assert (off := look()) is not None
    assert (off.state, "reelmill hours" in off.why) == (NodeState.PAUSED, True)


def test_orders_that_cannot_be_read_pause_the_node(farm: Layout, look: Callable[[], Off | None]) -> None:
    """Doing nothing is the safe mistake; it says how to mend it."""
    Orders(farm).pause(ORDER, "studio")
    farm.orders_of("studio").write_text("{", "utf-8")
    assert (off := look()) is not None
    assert off.state is NodeState.PAUSED
    assert "reelmill resume" in off.why


def test_a_program_too_old_for_its_root_takes_nothing(farm: Layout, look: Callable[[], Off | None]) -> None:
    """A newer one has changed the rules while it ran."""
    LeaseRecord(rules=RULES + 1, lease_seconds=90).write(farm.lease)
    assert (off := look()) is not None
    assert (off.state, f"knows {RULES}" in off.why) == (NodeState.OUTDATED, True)


def test_orders_are_read_once_a_second_and_told_once(
    farm: Layout, log: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A render asks many times a second whether it must stop."""
    duty = Duty(Store(farm), "studio", open_log("tests", Log(file=False)))
    assert duty.look() is None
    Orders(farm).pause(ORDER)
    assert duty.look() is None
    time.sleep(1.1)
    assert duty.look() is not None
    Orders(farm).resume()
    time.sleep(1.1)
    assert duty.look() is None
    said = capsys.readouterr().err
    assert (said.count("event=node_off_duty"), said.count("event=node_on_duty")) == (1, 1)
