"""A node in trouble of its own takes no task for a while, for longer each time, until one has ended well."""

from __future__ import annotations

import time
from collections.abc import Callable

from render_worker.lanes.board import Board, Doing
from shared.domain.errors import ReelmillError
from shared.domain.node import NodeState
from shared.log import Logger

_FIRST_SECONDS = 30.0  # a node in trouble would start one task after the other if it came back at once
_MOST_SECONDS = 600.0


class Resting:
    """Whether a node rests. Safe for several threads."""

    def __init__(self, node: str, board: Board, log: Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._board = board
        self._log = log
        self._clock = clock
        self._until = float("-inf")
        self._seconds = _FIRST_SECONDS

    @property
    def is_over(self) -> bool:
        return self._clock() >= self._until

    def begin(self, trouble: ReelmillError) -> None:
        """Rest, and say why; whoever rests already does not rest for longer."""
        if not self.is_over:
            return
        seconds = self._seconds
        self._until = self._clock() + seconds
        self._seconds = min(2 * seconds, _MOST_SECONDS)
        self._board.stands(Doing(NodeState.RESTING, str(trouble)))
        self._log.error(f"Taking no task for {seconds:.0f} s: {trouble}", name="node_trouble", node=self._node)

    def went_well(self) -> None:
        """A task has ended well: the next trouble is a first one."""
        self._seconds = _FIRST_SECONDS
