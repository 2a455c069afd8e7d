"""When a node works: spans of the day, on all days or on some, by the clock of its own wall. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from shared.domain.errors import ReelmillError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?(\d{1,2}:\d{2})-(\d{1,2}:\d{2})")
_WEEK_MINUTES = 7 * 24 * 60


class HoursError(ReelmillError):
    """Working hours that cannot be understood."""


@dataclass(frozen=True)
class Span:
    """A span of working time; one that ends before it begins, or when it begins, goes on through midnight.

    Attributes:
        days: days on which it begins, 0 being Monday.
    """

    days: frozenset[int]
    begins: time
    ends: time

    def holds(self, now: datetime) -> bool:
        clock = now.time().replace(second=0, microsecond=0)
        today, yesterday = now.weekday(), (now.weekday() - 1) % 7
        if self.begins < self.ends:
            return today in self.days and self.begins <= clock < self.ends
        return (today in self.days and clock >= self.begins) or (yesterday in self.days and clock < self.ends)


def parse(words: str) -> Span:
    """A span as people write it: ``22:00-06:00``, ``mon-fri 18:00-24:00``, ``sat 00:00-24:00``.

    Raises:
        HoursError: it is none.
    """
    found = _SPAN.fullmatch(" ".join(words.lower().split()))
    with suppress(ValueError):
        if found:
            days = _days(found[1], found[2] or found[1]) if found[1] else frozenset(range(7))
            return Span(days, _clock(found[3]), _clock(found[4]))
    raise HoursError(
        f'"{words}" are no working hours; write them as 22:00-06:00, or with days as "mon-fri 18:00-24:00"'
    )


def is_open(hours: Sequence[Span], now: datetime) -> bool:
    """Whether it is working time; without any hours it always is."""
    return not hours or any(span.holds(now) for span in hours)


def opens_at(hours: Sequence[Span], now: datetime) -> datetime | None:
    """When working time begins next, to the minute; None where it never does within a week."""
    moment = now.replace(second=0, microsecond=0)
    for _ in range(_WEEK_MINUTES + 1):
        if is_open(hours, moment):
            return moment
        moment += timedelta(minutes=1)
    return None


def _days(first: str, last: str) -> frozenset[int]:
    start, end = DAYS.index(first), DAYS.index(last)
    return frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))


def _clock(words: str) -> time:
    hour, _, minute = words.partition(":")
    return time(0 if (hour, minute) == ("24", "00") else int(hour), int(minute))
