"""Loudness is counted as EBU Tech 3341 asks for in its test cases, here given as the levels of blocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.loudness import SILENCE_LUFS, integrated, mean


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ([(-23.0, 20)], -23.0),
        ([(-33.0, 20)], -33.0),
        ([(-36.0, 10), (-23.0, 60), (-36.0, 10)], -23.0),
        ([(-72.0, 10), (-36.0, 10), (-23.0, 60), (-36.0, 10), (-72.0, 10)], -23.0),
        ([(-26.0, 20), (-20.0, 20.1), (-26.0, 20)], -23.0),
    ],
)
def test_the_cases_of_the_standard(signal: list[tuple[float, float]], expected: float) -> None:
    """Cases 1 to 5: (level, seconds); within 0.1 LU."""
    levels = [level for level, seconds in signal for _ in range(round(10 * seconds))]
    assert integrated(levels) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("levels", [[], [-70.0], [-120.0, -math.inf]])
def test_silence_has_the_level_of_the_absolute_gate(levels: list[float]) -> None:
    """It is a number, so that whoever compares it need not think of infinity."""
    assert integrated(levels) == SILENCE_LUFS


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=50), st.integers(0, 50))
def test_pauses_do_not_count(levels: list[float], silent: int) -> None:
    """Silence changes nothing, and the loudness lies within what was heard."""
    assert integrated(levels + [-100.0] * silent) == pytest.approx(integrated(levels))
    assert min(levels) - 1e-6 <= integrated(levels) <= max(levels) + 1e-6
    assert mean(levels) <= integrated(levels) + 1e-6
