"""What a node does now, as its lanes say it: for its record, for systemd, for whoever watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from render_worker.progress import Report
from shared.domain.node import NodeState
from shared.records.node import Direction, Transfer

_RATE_SECONDS = 5.0  # what a rate is taken of: long enough to be calm, short enough to be of now


@dataclass(frozen=True)
class Doing:
    """What a node is doing, for people."""

    state: NodeState
    why: str | None = None
    task_id: str | None = None
    label: str | None = None
    report: Report | None = None
    stepped_down: str | None = None


class Board:
    """The last word of each lane. Safe for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._standing = Doing(NodeState.STARTING)
        self._making: Doing | None = None
        self._transfers: dict[Direction, Transfer] = {}
        self._marks: dict[Direction, tuple[float, int]] = {}

    def stands(self, doing: Doing) -> None:
        """What the node is about while it makes nothing: idle, paused, low on disk."""
        self._standing = doing

    def makes(self, doing: Doing | None) -> None:
        """What is being rendered or conformed."""
        self._making = doing

    def carries(self, direction: Direction, task_id: str, label: str, done: int, size: int) -> None:
        """So many bytes of a task's have been carried, of so many."""
        now = self._clock()
        with self._mutex:
            before = self._transfers.get(direction)
            if before is None or before.task_id != task_id:
                self._marks[direction] = (now, done)
                self._transfers[direction] = _transfer(direction, task_id, label, done, size, None)
                return
            since, had = self._marks[direction]
            rate: float | None = before.bytes_per_second
            if now - since >= _RATE_SECONDS or (rate is None and now > since):
                rate = max(0, done - had) / (now - since)  # what is begun anew has less than it had
            if now - since >= _RATE_SECONDS:
                self._marks[direction] = (now, done)
            self._transfers[direction] = _transfer(direction, task_id, label, done, size, rate)

    def carried(self, direction: Direction) -> None:
        """Nothing is on its way any more."""
        with self._mutex:
            self._transfers.pop(direction, None)

    def look(self) -> tuple[Doing, tuple[Transfer, ...]]:
        """What the node does, and what is on its way."""
        with self._mutex:
            transfers = tuple(self._transfers.values())
        if doing := self._making:
            return doing, transfers
        for transfer in transfers:
            state = NodeState.PREFETCHING if transfer.direction is Direction.FETCHING else NodeState.DELIVERING
            return Doing(state, None, transfer.task_id, transfer.label), transfers
        return self._standing, transfers


def _transfer(direction: Direction, task_id: str, label: str, done: int, size: int, rate: float | None) -> Transfer:
    return Transfer(
        direction=direction,
        task_id=task_id,
        label=label,
        bytes_done=done,
        bytes=size,
        bytes_per_second=round(rate) if rate is not None else None,
        eta_seconds=round((size - done) / rate, 1) if rate else None,
    )
