"""Whose turn it is: which of the drops that wait is worked on next, so that no kind holds up another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from enum import Enum

from shared.domain.drop import Drop, Kind, Misplaced


class Lane(Enum):
    """Drops that wait for each other: of one kind, since a kind's drops come by the hundred, or soon done."""

    VOICE = "voice"
    VIDEO = "video"
    FRAME = "frame"
    MUSIC = "music"
    LINKS = "links"
    TRIFLES = "trifles"


_LANES = {
    Kind.VOICE: Lane.VOICE,
    Kind.VIDEO: Lane.VIDEO,
    Kind.FRAME: Lane.FRAME,
    Kind.CARD: Lane.FRAME,
    Kind.MUSIC: Lane.MUSIC,
    Kind.LINK: Lane.LINKS,
    Kind.SETTINGS: Lane.TRIFLES,
    Kind.TEXT: Lane.TRIFLES,
}
_DECODING = (Lane.VOICE, Lane.VIDEO, Lane.FRAME, Lane.MUSIC)


def lane_of(drop: Drop | Misplaced) -> Lane:
    return _LANES[drop.kind] if isinstance(drop, Drop) else Lane.TRIFLES


def most_at_once(workers: int) -> int:
    """How many drops :func:`next_lane` lets be in work at the same time."""
    return workers + 3


def next_lane(waiting: Iterable[Lane], running: Collection[Lane], workers: int) -> Lane | None:
    """The lane that is served next, or None where nothing may begin now.

    What has to be decoded shares `workers` places and takes turns. One more place is only for a voice, which costs
    little and of which a video is made: it need not wait for films and tracks that take minutes. Slow servers hold up
    nothing but links, and what needs no decoding has a place of its own.

    Args:
        waiting: lanes in which a drop waits; of two that are equal the first is served, so the one that was served
            longest ago had better come first.
    """
    busy = Counter(running)
    decoding = sum(busy[lane] for lane in _DECODING)
    allowed = {
        **dict.fromkeys(_DECODING, decoding < workers),
        Lane.VOICE: decoding < workers or busy[Lane.VOICE] == 0,
        Lane.LINKS: busy[Lane.LINKS] == 0,
        Lane.TRIFLES: busy[Lane.TRIFLES] == 0,
    }
    return min((lane for lane in waiting if allowed[lane]), key=lambda lane: busy[lane], default=None)
