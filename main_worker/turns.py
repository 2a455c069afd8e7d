"""Whose turn it is: which of the drops that wait is worked on next, so that no kind holds up another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from enum import Enum

from shared.domain.drop import Drop, Kind, Misplaced


class Lane(Enum):
    """Drops that need the same of a machine."""

    PICTURES = "pictures"
    SOUNDS = "sounds"
    LINKS = "links"
    TRIFLES = "trifles"


_LANES = {
    Kind.VIDEO: Lane.PICTURES,
    Kind.FRAME: Lane.PICTURES,
    Kind.VOICE: Lane.SOUNDS,
    Kind.MUSIC: Lane.SOUNDS,
    Kind.LINK: Lane.LINKS,
    Kind.SETTINGS: Lane.TRIFLES,
}


def lane_of(drop: Drop | Misplaced) -> Lane:
    return _LANES[drop.kind] if isinstance(drop, Drop) else Lane.TRIFLES


def most_at_once(workers: int) -> int:
    """How many drops :func:`next_lane` lets be in work at the same time."""
    return workers + 3


def next_lane(waiting: Iterable[Lane], running: Collection[Lane], workers: int) -> Lane | None:
    """The lane that is served next, or None where nothing may begin now.

    Pictures and sounds share `workers` places and take turns. One more place is only for a sound, which costs
    little: it need not wait for pictures that take minutes. Slow servers hold up nothing but links, and what needs
    no decoding has a place of its own.

    Args:
        waiting: lanes in which a drop waits; of two that are equal the first is served.
    """
    busy = Counter(running)
    decoding = busy[Lane.PICTURES] + busy[Lane.SOUNDS]
    allowed = {
        Lane.PICTURES: decoding < workers,
        Lane.SOUNDS: decoding < workers or busy[Lane.SOUNDS] == 0,
        Lane.LINKS: busy[Lane.LINKS] == 0,
        Lane.TRIFLES: busy[Lane.TRIFLES] == 0,
    }
    return min((lane for lane in waiting if allowed[lane]), key=lambda lane: busy[lane], default=None)
