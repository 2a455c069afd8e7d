"""Whether the holder of a task is alive, judged from what one observer saw of its lock file.

Clocks of two hosts are never compared: `now` is always the observer's own monotonic clock in
seconds. A read that failed with an I/O error is no sighting and must not be passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_READS = 3  # one slow read, or two after a suspend, must not cost a living worker its task


@dataclass(frozen=True)
class Sighting:
    """What an observer knows of one lock file: its content (None: missing), since when, seen how often."""

    content: bytes | None
    since: float
    reads: int


def look(previous: Sighting | None, content: bytes | None, now: float) -> Sighting:
    """Add one good read of the lock file to what was seen before."""
    if previous is None or previous.content != content:
        return Sighting(content, now, 1)
    return Sighting(content, previous.since, previous.reads + 1)


def is_dead(sighting: Sighting, now: float, lease_seconds: float) -> bool:
    """Whether the holder must be taken for dead: unchanged, empty or missing for a whole lease, in enough reads."""
    return sighting.reads >= MIN_READS and now - sighting.since >= lease_seconds
