"""Whether a holder lives, judged by one observer's own clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.claim import MIN_READS, Sighting, is_dead, look

LEASE = 90.0
CONTENTS = st.sampled_from([None, b"", b"1", b"2"])
STEPS = st.lists(st.tuples(st.floats(0, 200), CONTENTS), min_size=1, max_size=30)


def observe(steps: list[tuple[float, bytes | None]]) -> tuple[Sighting, float]:
    now, seen = 0.0, None
    for wait, content in steps:
        now += wait
        seen = look(seen, content, now)
    assert seen is not None
    return seen, now


@given(STEPS)
def test_a_holder_is_dead_only_after_a_whole_lease_of_the_same_content(steps: list[tuple[float, bytes | None]]) -> None:
    """The verdict needs the lease time and three good reads, all since the last change."""
    seen, now = observe(steps)
    same = 0
    for _, content in reversed(steps):
        if content != steps[-1][1]:
            break
        same += 1
    quiet = now - sum(wait for wait, _ in steps[: len(steps) - same + 1])
    assert seen.reads == same
    if is_dead(seen, now, LEASE):
        assert same >= MIN_READS
        assert quiet >= LEASE - 1e-6


@given(STEPS, st.floats(0, 1000))
def test_a_change_is_life_however_long_the_observer_slept(
    steps: list[tuple[float, bytes | None]], slept: float
) -> None:
    """An observer that wakes up to a new counter starts to count anew."""
    seen, now = observe(steps)
    seen = look(seen, b"something new", now + slept)
    assert not is_dead(seen, now + slept, LEASE)
    assert seen == Sighting(b"something new", now + slept, 1)


def test_two_reads_around_a_long_sleep_are_not_enough() -> None:
    """After a suspend the holder gets the time to show itself."""
    seen = look(look(None, b"1", 0.0), b"1", 10_000.0)
    assert not is_dead(seen, 10_000.0, LEASE)
    assert is_dead(look(seen, b"1", 10_001.0), 10_001.0, LEASE)


def test_a_missing_lock_file_counts_like_a_silent_one() -> None:
    """A worker that died before it could make its lock is found too."""
    seen, now = observe([(0, None), (45, None), (45, None)])
    assert is_dead(seen, now, LEASE)


def test_many_quick_reads_do_not_shorten_the_lease() -> None:
    """It is time that counts, not diligence."""
    seen, now = observe([(0.1, b"1")] * 100)
    assert not is_dead(seen, now, LEASE)
