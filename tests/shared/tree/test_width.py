"""How many requests are on their way: what the line carries, and hardly more. On a simulated line and clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from shared.tree.tree import BLOCK
from shared.tree.width import MANY, Width

_SECONDS = 40.0
_SETTLED = 10.0  # what the first of it has taught


def carried(
    megabytes: float, seconds: float, other: Callable[[float], float] = lambda _: 0.0
) -> tuple[float, list[float]]:
    """Have blocks asked for over a line for a while.

    Args:
        megabytes: what the line carries in a second.
        seconds: after which a block is there and answered that has the line for itself.
        other: seconds that a request waits at a time, behind what else goes the way that requests go.

    Returns:
        Bytes a second, and how long each answer had to wait behind others of the same transfer.
    """
    width, now, free_at, done = Width(), 0.0, 0.0, 0
    each = BLOCK / (megabytes * 1e6)
    sent: deque[tuple[float, float]] = deque()
    lags = []
    while now < _SECONDS:
        while len(sent) < width.most:
            begins = max(free_at, now + other(now))
            free_at = begins + each
            sent.append((now, free_at + seconds))
        asked, answered = sent.popleft()
        now = max(now, answered)
        width.answered(asked, now)
        if now > _SETTLED:
            done += BLOCK
            lags.append(now - asked - seconds - each - other(asked))
    return done / (_SECONDS - _SETTLED), lags


LINES = [(0.3, 0.02), (0.6, 0.1), (6.0, 0.001), (6.0, 0.1), (6.0, 0.25), (20.0, 0.05)]


@pytest.mark.parametrize(("megabytes", "seconds"), LINES)
def test_the_line_is_full_and_nobody_else_waits_for_long(megabytes: float, seconds: float) -> None:
    """Nearly all that it carries; what is sent beside it waits for hardly longer than for an answer."""
    rate, lags = carried(megabytes, seconds)
    assert rate >= 0.8 * megabytes * 1e6
    assert max(lags) <= max(0.25, 1.5 * seconds, 3 * BLOCK / (megabytes * 1e6))


@pytest.mark.parametrize(("megabytes", "seconds"), LINES)
def test_what_goes_the_other_way_does_not_stop_it(megabytes: float, seconds: float) -> None:
    """Requests wait behind the blocks of an upload that begins later, for up to 0.15 s: that is not its own queue."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    rate, _ = carried(megabytes, seconds, lambda now: chance.uniform(0.0, 0.15) if now > _SETTLED / 2 else 0.0)
    fits = MANY * BLOCK / (seconds + 0.15)
    assert rate >= 0.6 * min(megabytes * 1e6, fits)


@pytest.mark.parametrize(("megabytes", "least", "most"), [(0.05, 4096, 4096), (0.6, 8192, 12288), (6.0, BLOCK, BLOCK)])
def test_pieces_are_as_large_as_the_line_carries_within_a_moment(megabytes: float, least: int, most: int) -> None:
    """Large ones on a slow line are what everybody else waits for."""
    width, now = Width(), 0.0
    for _ in range(100):
        sent, now = now, now + width.piece / (megabytes * 1e6)
        width.answered(sent, now, width.piece)
    assert least <= width.piece <= most
