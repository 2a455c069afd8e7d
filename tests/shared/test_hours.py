"""Working hours as people write them."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.hours import HoursError, is_open, opens_at, parse

MONDAY = 23  # of November 2026


def at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02}T{clock}:00")


@pytest.mark.parametrize(
    ("words", "day", "clock", "wanted"),
    [
        ("08:00-18:00", MONDAY, "08:00", True),
        ("08:00-18:00", MONDAY, "18:00", False),
        ("8:00-18:00", MONDAY, "07:59", False),
        ("22:00-06:00", MONDAY, "23:30", True),
        ("22:00-06:00", MONDAY, "05:59", True),
        ("22:00-06:00", MONDAY, "06:00", False),
        ("fri 22:00-06:00", MONDAY + 5, "05:00", True),  # Saturday, the night that began on Friday
        ("fri 22:00-06:00", MONDAY + 4, "05:00", False),
        ("mon-fri 18:00-24:00", MONDAY + 4, "23:59", True),
        ("mon-fri 18:00-24:00", MONDAY + 5, "18:00", False),
        ("sat-mon 00:00-24:00", MONDAY, "12:00", True),
        ("sat-mon 00:00-24:00", MONDAY + 1, "12:00", False),
        ("  SUN   00:00-24:00 ", MONDAY + 6, "00:00", True),
    ],
)
def test_a_span_holds_some_moments(words: str, day: int, clock: str, wanted: bool) -> None:
    """On the days on which it begins, through midnight where it ends before it begins."""
    assert parse(words).holds(at(day, clock)) is wanted


@pytest.mark.parametrize(
    "words", ["", "night", "22-6", "25:00-26:00", "22:60-23:00", "mo 10:00-11:00", "10:00", "24:01-1:00"]
)
def test_other_words_are_refused(words: str) -> None:
    """With an example of what is understood."""
    with pytest.raises(HoursError, match="write them as 22:00-06:00"):
        parse(words)


def test_without_hours_it_is_always_working_time() -> None:
    """That is how a node starts."""
    assert is_open([], at(MONDAY, "12:00"))
    assert opens_at([], at(MONDAY, "12:00")) == at(MONDAY, "12:00")


def test_one_of_several_spans_is_enough() -> None:
    """And the next one to begin is known."""
    hours = [parse("mon-fri 20:00-06:00"), parse("sat-sun 00:00-24:00")]
    assert is_open(hours, at(MONDAY + 6, "12:00"))
    assert not is_open(hours, at(MONDAY, "12:00"))
    assert opens_at(hours, at(MONDAY, "12:00")) == at(MONDAY, "20:00")
    assert opens_at([parse("wed 08:00-09:00")], at(MONDAY + 3, "10:00")) == datetime.fromisoformat(
        "2026-12-02T08:00:00"
    )
