"""When a drop counts as complete, decided with the present passed in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.settling import Identity, Settled, Settling, Sighting, decide, look

HERE = Identity(device=1, inode=2, size=3, mtime_ns=4)


def test_the_first_sight_of_a_drop_is_no_evidence() -> None:
    """However old its time stamps are, a drop is not taken the first time it is seen."""
    assert decide(look(None, HERE, 100.0), 100.0, 5.0) == Settling(105.0)


def test_a_drop_settles_exactly_after_the_quiet_period() -> None:
    """Unchanged for the quiet period is enough, and less is not."""
    seen = look(look(None, HERE, 100.0), HERE, 104.0)
    assert decide(seen, 104.9, 5.0) == Settling(105.0)
    assert decide(seen, 105.0, 5.0) == Settled("unchanged for 5.0 s")


def test_a_late_look_says_how_long_the_drop_was_quiet() -> None:
    """The evidence names the time that was observed, not the one that was asked for."""
    assert decide(look(None, HERE, 100.0), 112.34, 5.0) == Settled("unchanged for 12.3 s")


@pytest.mark.parametrize("what", ["device", "inode", "size", "mtime_ns"])
def test_any_change_starts_the_wait_anew(what: str) -> None:
    """A preallocated copy changes only its time, a replaced file perhaps only its inode."""
    changed = replace(HERE, **{what: 99})
    seen = look(look(None, HERE, 100.0), changed, 104.0)
    assert seen == Sighting(changed, 104.0)
    assert decide(seen, 105.0, 5.0) == Settling(109.0)


def test_a_drop_that_changes_back_waits_anew() -> None:
    """What was seen in between counts, even where the drop looks as it did at first."""
    seen = look(look(look(None, HERE, 0.0), replace(HERE, size=9), 3.0), HERE, 4.0)
    assert decide(seen, 5.0, 5.0) == Settling(9.0)


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 2)), min_size=1), st.floats(0.1, 20))
def test_a_drop_is_taken_only_after_a_whole_quiet_period(looks: list[tuple[float, int]], quiet: float) -> None:
    """Whatever is seen when, a settled drop was the same in every look of at least the quiet period."""
    now, changed_at, seen, last = 0.0, 0.0, None, -1
    for pause, size in looks:
        now += pause
        if size != last:
            last, changed_at = size, now
        seen = look(seen, replace(HERE, size=size), now)
        settled = isinstance(decide(seen, now, quiet), Settled)
        assert settled == (now >= changed_at + quiet)


def test_a_drop_that_a_program_has_open_for_writing_waits() -> None:
    """However quiet it is: a copy that stalls is no finished copy."""
    seen = look(None, HERE, 100.0)
    waits = decide(seen, 500.0, 5.0, writer=True)
    assert isinstance(waits, Settling)
    assert waits.at == 505.0
    assert "open for writing" in waits.why


def test_a_closed_drop_has_the_better_evidence() -> None:
    """What is recorded tells whether somebody knew that it was closed, or only that it was quiet."""
    seen = look(None, HERE, 100.0)
    assert decide(seen, 105.0, 5.0, writer=False) == Settled(
        "unchanged for 5.0 s, and no program has it open for writing"
    )
    assert decide(seen, 105.0, 5.0, writer=None) == Settled("unchanged for 5.0 s")
    assert decide(seen, 104.0, 5.0, writer=False) == Settling(105.0)
