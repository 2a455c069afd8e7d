"""Whether this node may take tasks now: what operators have ordered, its working hours, and the rules of its root."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from shared.domain.names import readable
from shared.domain.node import NodeState
from shared.hours import HoursError, is_open, opens_at, parse
from shared.log import Logger
from shared.orders import Orders
from shared.records.lease import LeaseRecord
from shared.records.orders import Order, OrdersRecord
from shared.records.record import RecordError
from shared.store import Store
from shared.version import RULES

_SECONDS = 1.0  # what operators order takes effect within seconds


@dataclass(frozen=True)
class Off:
    """Why a node takes no task now.

    Attributes:
        at_once: whether it also gives back what it renders.
    """

    state: NodeState
    why: str
    at_once: bool = False


class Duty:
    """What one node is told, read again once a second at most."""

    def __init__(
        self, store: Store, node: str, log: Logger, now: Callable[[], datetime] = lambda: datetime.now().astimezone()
    ) -> None:
        self._store = store
        self._orders = Orders(store.layout, store.tree)
        self._node = node
        self._log = log
        self._now = now
        self._looked = float("-inf")
        self._off: Off | None = None

    @property
    def known(self) -> Off | None:
        """What :meth:`look` last found; nothing is read, so nobody has to wait for a link."""
        return self._off

    def begin(self) -> None:
        """Forget an order to drain that was meant for an earlier worker of this name."""
        with suppress(RecordError):
            self._orders.drained(self._node)

    def look(self) -> Off | None:
        """Why this node takes no task, or None where it may."""
        if (now := time.monotonic()) >= self._looked + _SECONDS:
            self._looked = now
            found = self._found()
            if found != self._off:
                self._tell(found)
            self._off = found
        return self._off

    def end(self) -> None:
        """The order to drain has been carried out."""
        self._orders.drained(self._node)

    def _found(self) -> Off | None:
        if off := self._outdated():
            return off
        try:
            own, farm = self._orders.read(self._node), self._orders.read()
        except RecordError as error:
            return Off(NodeState.PAUSED, f"its orders cannot be read ({error}); give them again with reelmill resume")
        except OSError:
            return self._off  # no information: what held goes on to hold
        if own.drain:
            return Off(NodeState.DRAINING, _by(own.drain), own.drain.at_once)
        if order := own.pause or farm.pause:
            whole = "the farm was paused" if order is farm.pause else "paused"
            return Off(NodeState.PAUSED, f"{whole} {_by(order)}", order.at_once)
        return self._off_hours(own)

    def _outdated(self) -> Off | None:
        with suppress(OSError, RecordError):
            lease = self._store.layout.lease
            rules = LeaseRecord.from_bytes(self._store.tree.read(self._store.at(lease)), str(lease)).rules
            if rules > RULES:
                return Off(
                    NodeState.OUTDATED, f"this root shares tasks by rules {rules}, and this program knows {RULES}"
                )
        return None

    def _off_hours(self, own: OrdersRecord) -> Off | None:
        try:
            hours = [parse(words) for words in own.hours]
        except HoursError as error:
            return Off(NodeState.PAUSED, f"{error}; set them again with reelmill hours")
        now = self._now()
        if is_open(hours, now):
            return None
        opening = opens_at(hours, now)
        until = f"until {opening:%a %H:%M}" if opening else "for ever"
        return Off(NodeState.OFF_HOURS, f"outside its working hours ({', '.join(own.hours)}) {until}")

    def _tell(self, found: Off | None) -> None:
        if found is None:
            self._log.info(f"Node {self._node} takes tasks again", name="node_on_duty", node=self._node)
        else:
            self._log.warning(
                f"Node {self._node} takes no more tasks: {found.why}", name="node_off_duty", node=self._node
            )


def _by(order: Order) -> str:
    why = f": {readable(order.why)}" if order.why else ""
    return f"by {readable(order.by)} at {order.when}{why}"
