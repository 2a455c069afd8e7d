"""When something is due again."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from main_worker.pace import Pace


def test_what_was_never_done_is_due_at_once() -> None:
    """Whatever the period."""
    assert Pace().due(3600.0) == -math.inf


def test_it_is_due_regularly_and_sooner_where_something_asks_for_it() -> None:
    """But a burst of calls is one look."""
    pace = Pace(ended=100.0, took=0.0)
    assert pace.due(5.0) == 105.0
    assert pace.due(5.0, wanted_at=102.0) == 102.0
    assert pace.due(5.0, wanted_at=900.0) == 105.0
    assert pace.due(5.0, wanted_at=0.0) == 100.1


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 1e4), st.none() | st.floats(0, 1e6))
def test_what_takes_long_leaves_most_of_the_time_to_others(
    ended: float, took: float, every: float, wanted: float | None
) -> None:
    """However urgent it is, it has at most a fifth of the time."""
    due = Pace(ended, took).due(every, wanted)
    assert due >= ended + 4 * took
    assert due > ended
    assert due <= max(ended + every, ended + 4 * took, ended + 0.1)
