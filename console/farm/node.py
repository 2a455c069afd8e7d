"""Render workers as people see them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field

from console.farm.main import is_main_running, main_record
from shared.domain.layout import Layout
from shared.domain.node import Life
from shared.nodes import is_gone_here
from shared.orders import Orders
from shared.records.main import MainRecord
from shared.records.node import NodeRecord
from shared.records.orders import Order, OrdersRecord
from shared.records.record import RecordError


class NodeView(BaseModel):
    """A render worker, whether it lives on this host, and what the main worker or an operator says of it."""

    model_config = ConfigDict(frozen=True)

    record: NodeRecord
    running: bool | None = Field(description="Unknown for workers of other hosts.")
    verdict: str | None = Field(None, description="What is wrong with it, as the main worker sees it, in words.")
    is_dead: bool = Field(False, description="Whether the main worker takes it for dead.")
    orders: OrdersRecord = Field(OrdersRecord(), description="What operators have told it.")

    @property
    def takes_tasks(self) -> bool:
        """Whether it will take tasks that wait: it lives, says so, and no operator keeps it from that."""
        is_told_not_to = self.orders.pause or self.orders.drain
        return self.running is not False and not self.is_dead and not is_told_not_to and self.record.takes_tasks


def nodes(layout: Layout) -> tuple[NodeView, ...]:
    """Every render worker that has a record, by name."""
    running = is_main_running(layout)
    return tuple(_nodes(layout, main_record(layout) if running else None))


def _nodes(layout: Layout, main: MainRecord | None) -> Iterable[NodeView]:
    verdicts = {verdict.node: verdict for verdict in main.nodes} if main else {}
    for path in sorted(layout.nodes.glob("[!.]*.json")):
        with suppress(RecordError, FileNotFoundError):
            record = NodeRecord.read(path)
            verdict = verdicts.get(record.node)
            here = record.host == platform.node()
            yield NodeView(
                record=record,
                running=not is_gone_here(layout, record) if here else None,
                verdict=verdict.words if verdict else None,
                is_dead=verdict is not None and verdict.what == Life.DEAD.value,
                orders=_orders(layout, record.node),
            )


def farm_pause(layout: Layout) -> Order | None:
    """Who has paused the whole farm, when and why."""
    return _orders(layout, None).pause


def _orders(layout: Layout, node: str | None) -> OrdersRecord:
    with suppress(RecordError):
        return Orders(layout).read(node)
    return OrdersRecord()
