"""How long to wait before something that failed is tried again."""

from __future__ import annotations

_DOUBLINGS = 30  # beyond that the longest wait is long reached, and a power of two grows without end


def wait_before(tries: int, chance: float, *, shortest: float, longest: float) -> float:
    """Seconds before the next try after `tries` failures: twice as long each time, up to `longest`.

    Half of it is left to `chance` (0 to 1), so that nodes which lost one server together do not come back together.
    """
    full = min(longest, shortest * 2.0 ** min(max(tries - 1, 0), _DOUBLINGS))
    return full * (0.5 + 0.5 * chance)
