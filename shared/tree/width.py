"""How many requests are on their way over a line: what it carries, and hardly more. Pure; told by a clock in seconds.

More would only queue up on a slow line, where heartbeats, small requests and what goes the other way have to get
through as well. So there are more for as long as answers come about as fast as with next to nothing on its way, and
fewer, once for each time round, when they take longer (as in TCP Vegas, Brakmo and Peterson 1995). How fast that is, is
found out again and again, since whatever else goes over the line makes answers slower too: a transfer that took that
for its own fault would give way to the other one for ever.

What is sent goes in pieces that the line carries within a moment, so that others get in between.
"""

from __future__ import annotations

import math
import statistics

from shared.tree.tree import BLOCK

FEW, MANY = 2, 64  # a record needs two; 2 MiB keep 40 MB/s going over 50 ms
QUEUE_SECONDS = 0.1  # that an answer may wait behind others of the same transfer
_PIECE_SECONDS = 0.02  # that a line may take for a piece
_LEAST_PIECE = 4096
_PACE_SECONDS = 0.5  # over which is counted how much it carries
_SAMPLES = 4  # answers that tell how fast they come
_SURE_SECONDS = 6.0  # for so long that holds
_PART = 8  # of what is on its way, that is added each time round


class Width:
    """The number of requests for one transfer; :meth:`answered` is told of each answer."""

    def __init__(self, few: int = FEW, queue_seconds: float = QUEUE_SECONDS) -> None:
        """`queue_seconds`: how much longer than usual an answer may take."""
        self._few = few
        self._queue = queue_seconds
        self._carried, self._counted_from = 0, math.inf
        self.piece = BLOCK
        """Bytes that should go in one request."""
        self._width = float(few)
        self._usual: float | None = None
        self._samples: list[float] = []
        self._alone_from = -math.inf
        self._sure_until = math.inf
        self._eased_at = -math.inf
        self._is_growing = True

    @property
    def most(self) -> int:
        """How many may be on their way now."""
        return self._few if self._usual is None else int(self._width)

    def answered(self, sent: float, now: float, size: int = 0) -> None:
        """An answer has come to so many bytes that were sent then."""
        self._count(now, size)
        took = now - sent
        if self._usual is None:
            self._sample(sent, took, now)
        elif now >= self._sure_until:
            self._measure(now)
        elif took - self._usual < self._queue:
            self._width = min(self._width + (1 if self._is_growing else max(1 / self._width, 1 / _PART)), MANY)
        elif sent >= self._eased_at:  # what was asked for before it was eased says nothing new
            self._width = max(self._width * (1 / 2 if self._is_growing else 2 / 3), self._few)
            self._eased_at, self._is_growing = now, False
            if self._width == self._few:  # next to nothing is on its way: what makes answers slow is something else
                self._measure(now)
                self._is_growing = True

    def _count(self, now: float, size: int) -> None:
        self._counted_from = min(self._counted_from, now)
        self._carried += size
        if (passed := now - self._counted_from) >= _PACE_SECONDS:
            fits = int(self._carried / passed * _PIECE_SECONDS) // _LEAST_PIECE * _LEAST_PIECE
            self.piece = min(max(fits, _LEAST_PIECE), BLOCK)
            self._carried, self._counted_from = 0, now

    def _measure(self, now: float) -> None:
        """Find out anew how long an answer takes, by what is asked for from now on."""
        self._usual, self._samples, self._alone_from = None, [], now

    def _sample(self, sent: float, took: float, now: float) -> None:
        if sent < self._alone_from:
            return
        self._samples.append(took)
        if len(self._samples) == _SAMPLES:
            self._usual = statistics.fmean(self._samples)
            self._sure_until = now + _SURE_SECONDS
