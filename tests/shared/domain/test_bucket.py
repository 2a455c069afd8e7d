"""On average no more goes than may, at once no more than the burst, and a debt is waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bucket import Bucket, spend


def test_a_full_bucket_lets_a_burst_through() -> None:
    """And what comes right after it waits for all that is missing."""
    bucket, wait = spend(Bucket(100, 0), 0, 100, rate=10, burst=100)
    assert (bucket.level, wait) == (0, 0)
    bucket, wait = spend(bucket, 0, 50, rate=10, burst=100)
    assert (bucket.level, wait) == (-50, 5)
    assert spend(bucket, 5, 10, rate=10, burst=100)[1] == pytest.approx(1)


def test_it_does_not_fill_beyond_the_burst() -> None:
    """However long nothing went."""
    bucket, _ = spend(Bucket(0, 0), 1e6, 30, rate=10, burst=100)
    assert bucket.level == 70


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket, _ = spend(Bucket(10, 100), 50, 0, rate=10, burst=100)
    assert bucket == Bucket(10, 100)


@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.floats(0, 2)), min_size=1, max_size=50),
    st.floats(1, 1e6),
    st.floats(1, 1e6),
)
def test_no_more_goes_than_may(steps: list[tuple[int, float]], rate: float, burst: float) -> None:
    """Whoever waits as told never has more through than the burst and what the time gave."""
    bucket, now, gone = Bucket(burst, 0), 0.0, 0
    for amount, pause in steps:
        now += pause
        bucket, wait = spend(bucket, now, amount, rate, burst)
        now += wait
        gone += amount
        assert gone <= burst + rate * now + 1e-3 * (1 + gone)
