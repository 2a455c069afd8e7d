"""Waits double up to the longest, and chance spreads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.backoff import wait_before


def test_waits_double_up_to_the_longest() -> None:
    waits = [wait_before(tries, 1.0, shortest=0.2, longest=5.0) for tries in range(1, 8)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_a_wait_is_between_half_and_all(tries: int, chance: float) -> None:
    """However often it failed."""
    full = wait_before(tries, 1.0, shortest=0.2, longest=5.0)
    assert full / 2 <= wait_before(tries, chance, shortest=0.2, longest=5.0) <= full <= 5.0
