"""What a render node may be doing, and what others make of its signs of life. Pure."""

from __future__ import annotations

from enum import Enum

from shared.domain.claim import MIN_READS, Sighting, is_dead


class NodeState(Enum):
    """What a node says of itself."""

    STARTING = "starting"
    IDLE = "idle"
    RENDERING = "rendering"
    PREFETCHING = "prefetching"
    DELIVERING = "delivering"  # nothing is left but to upload what it has rendered
    CONFORMING = "conforming"
    DRAINING = "draining"
    PAUSED = "paused"
    OFF_HOURS = "off hours"
    RESTING = "resting"  # after trouble of its own
    LOW_DISK = "low on disk"
    UNHEALTHY = "unhealthy"  # set aside: it failed what others can render
    OUTDATED = "outdated"  # too old for its root


HAS_TIME = frozenset({NodeState.STARTING, NodeState.IDLE, NodeState.DELIVERING, NodeState.CONFORMING})
"""It would render a task at once."""

TAKES_TASKS = HAS_TIME | {NodeState.RENDERING, NodeState.PREFETCHING}


class Life(Enum):
    """What an observer makes of a node."""

    ALIVE = "alive"
    LATE = "late"
    DEAD = "dead"


_LATE_SHARE = 1 / 3  # of the lease; a node writes its record every second


def life(sighting: Sighting, now: float, lease_seconds: float, *, gone_here: bool) -> Life:
    """Whether a node lives, from what one observer saw of its record (None: missing) by its own clock.

    Args:
        gone_here: whether the kernel of this host says that the node's process has ended.
    """
    if gone_here or is_dead(sighting, now, lease_seconds):
        return Life.DEAD
    if sighting.reads >= MIN_READS and now - sighting.since >= lease_seconds * _LATE_SHARE:
        return Life.LATE
    return Life.ALIVE
