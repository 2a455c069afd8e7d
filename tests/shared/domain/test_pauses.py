"""Pauses are found whatever the level of the voice and of the room."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.pauses import LEAST_SECONDS, pauses_of, read, written

WINDOW = 0.05


def voice(loud: float, quiet: float, *runs: tuple[float, bool]) -> list[float]:
    """Levels that vary a little, of runs of so many seconds in which is spoken or not."""
    chance = random.Random(1)  # noqa: S311
    return [
        (loud if spoken else quiet) + chance.uniform(-4, 4)
        for seconds, spoken in runs
        for _ in range(round(seconds / WINDOW))
    ]


@pytest.mark.parametrize(("loud", "quiet"), [(-15, -64), (-36, -58), (-50, -90)])
def test_pauses_lie_between_what_is_loud(loud: float, quiet: float) -> None:
    """To the window; what is shorter than a fifth of a second is part of a word."""
    levels = voice(loud, quiet, (0.5, False), (2.0, True), (0.1, False), (1.0, True), (0.7, False), (2.0, True))
    assert pauses_of(levels, WINDOW) == ((0.0, 0.5), (3.6, 4.3))


def test_a_click_does_not_end_a_pause() -> None:
    """One loud window between quiet ones is no word."""
    levels = voice(-20, -60, (1.0, True), (0.5, False), (0.05, True), (0.5, False), (1.0, True))
    assert pauses_of(levels, WINDOW) == ((1.0, 2.05),)


def test_pauses_are_recorded_to_the_window() -> None:
    """Also at the end of a day."""
    pauses = ((0.0, 0.4), (86_400.05, 86_400.25))
    assert read(written(pauses)) == pauses
    assert read("") == ()


@given(st.lists(st.floats(-100, 0), max_size=300))
def test_pauses_are_in_order(levels: list[float]) -> None:
    """They follow each other within the voice, none too short."""
    found = pauses_of(levels, WINDOW)
    times = [time for pause in found for time in pause]
    assert times == sorted(times)
    assert not times or (times[0] >= 0 and times[-1] <= len(levels) * WINDOW + 1e-9)
    assert all(end - start >= LEAST_SECONDS - 1e-9 for start, end in found)
