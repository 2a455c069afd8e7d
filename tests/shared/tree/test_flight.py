"""How many requests are on their way: what the line carries, and hardly more. On a simulated line and clock."""

from __future__ import annotations

from collections import deque

import pytest
from paramiko.message import Message

from shared.tree.session import _Flight
from shared.tree.tree import BLOCK

_ANSWERS = 2000


class Line:
    """A line that carries so many blocks a second, each there and answered after so many seconds when it is alone."""

    def __init__(self, blocks_per_second: float, seconds: float) -> None:
        self.now = 0.0
        self._each = 1 / blocks_per_second
        self._seconds = seconds
        self._free_at = 0.0
        self._answers: deque[float] = deque()

    def send(self) -> None:
        self._free_at = max(self._free_at, self.now) + self._each
        self._answers.append(self._free_at + self._seconds)

    def wait(self) -> None:
        """Until the next answer is there."""
        self.now = max(self.now, self._answers.popleft())


@pytest.mark.parametrize(
    ("megabytes", "seconds"), [(0.3, 0.02), (0.6, 0.1), (6.0, 0.001), (6.0, 0.1), (6.0, 0.25), (20.0, 0.05)]
)
def test_the_line_is_full_and_nobody_else_waits_for_long(
    monkeypatch: pytest.MonkeyPatch, megabytes: float, seconds: float
) -> None:
    """At least nine tenths of what it carries; what is sent beside it waits for two tenths of a second at most."""
    line = Line(megabytes * 1e6 / BLOCK, seconds)
    monkeypatch.setattr("shared.tree.session.time.monotonic", lambda: line.now)
    flight = _Flight()
    lags, began = [], 0.0
    sent: deque[float] = deque()
    for number in range(_ANSWERS):
        while flight.has_room:
            flight.sent(number, 0)
            sent.append(line.now)
            line.send()
        flight.next()
        line.wait()
        flight._async_response(0, Message(), number)  # noqa: SLF001 - called by paramiko
        lags.append(line.now - sent.popleft() - seconds - BLOCK / (megabytes * 1e6))
        if number == _ANSWERS // 4:  # what the first part of a file has taught
            began = line.now
    carried = (_ANSWERS * 3 // 4) * BLOCK / (line.now - began)
    assert carried >= 0.9 * megabytes * 1e6
    assert max(lags[_ANSWERS // 4 :]) <= 0.2
