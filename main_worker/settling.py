"""Whether a drop is complete: decided from what was seen of it, with the present passed in.

The same rule holds at start-up as in operation: nothing is taken on its first sight, however old
its time stamps, since clocks of two hosts and copying programs that set times are no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """What must not change between looking at a drop and moving it."""

    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Sighting:
    """What was last seen of a drop, and since when (monotonic seconds) it has been so."""

    identity: Identity
    unchanged_since: float


@dataclass(frozen=True)
class Settled:
    """The drop may be taken; `evidence` says why."""

    evidence: str


@dataclass(frozen=True)
class Settling:
    """The drop must wait until `at` (monotonic seconds), if it does not change before; `why` is for people."""

    at: float
    why: str = "settling"


def look(previous: Sighting | None, identity: Identity, now: float) -> Sighting:
    """Add one look at a drop to what was seen before; any change starts the wait anew."""
    if previous is not None and previous.identity == identity:
        return previous
    return Sighting(identity, now)


def decide(sighting: Sighting, now: float, quiet_seconds: float, writer: bool | None = None) -> Settled | Settling:
    """Whether the drop has been unchanged for the quiet period, and no program has it open for writing.

    Args:
        writer: whether a program has, or None where that cannot be known (another host, another system).
    """
    ready = sighting.unchanged_since + quiet_seconds
    if now < ready:
        return Settling(ready)
    if writer:
        return Settling(now + quiet_seconds, "waiting for a program that has it open for writing")
    closed = ", and no program has it open for writing" if writer is False else ""
    return Settled(f"unchanged for {now - sighting.unchanged_since:.1f} s{closed}")
