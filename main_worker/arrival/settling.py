"""Whether a drop is complete: decided from what was seen of it, with the present passed in.

Evidence, best first: it was renamed into place; a sidecar (``.done``, ``.sha256``) says so; its writer closed it and
it then stayed the same for the quiet period. The same rule holds at start-up as in operation: nothing is taken for
the age of its time stamps, since clocks of two hosts and copying programs that set times are no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not change between looking at a drop and moving it."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class Clue(Enum):
    """What is known of how a file came under its name."""

    RENAMED = "renamed into place"
    CLOSED = "closed by its writer"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was last seen of a drop, since when (monotonic seconds) it has been so, and how it came.

    `first_seen` is when anything was first seen under its name.
    """

    identity: Identity
    unchanged_since: float
    clue: Clue | None = None
    first_seen: float = 0.0


@dataclass(frozen=True, slots=True)
class Checksum:
    """A ``.sha256`` beside a drop: the hash it names, or None where none can be read from it."""

    sha256: str | None


class Done(Enum):
    """A ``.done`` beside a drop."""

    DONE = "done"


Marker = Checksum | Done


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a drop must stay the same, in seconds.

    Attributes:
        quiet: where it is known that no program has it open for writing.
        blind: where that cannot be known: network mounts, files of other users.
    """

    quiet: float
    blind: float


@dataclass(frozen=True, slots=True)
class Settled:
    """The drop may be taken.

    Attributes:
        evidence: why, in words.
        certain: whether it is whole for sure, so that a damage found in it is no sign of an unfinished copy.
        sha256: the hash its content must have, if its writer named one.
    """

    evidence: str
    certain: bool = False
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Settling:
    """The drop must wait until `at` (monotonic seconds), if it does not change before; `why` is for people."""

    at: float
    why: str = "settling"


def look(previous: Sighting | None, identity: Identity, clue: Clue | None, now: float) -> Sighting:
    """Add one look at a drop to what was seen before; any change starts the wait anew."""
    if previous is None or previous.identity != identity:
        return Sighting(identity, now, clue, previous.first_seen if previous else now)
    if clue is None or (Clue.RENAMED in (clue, previous.clue) and previous.clue is not None):
        return previous
    return Sighting(identity, previous.unchanged_since, clue, previous.first_seen)


def asks_for_writers(seen: Sighting, marker: Marker | None, now: float, patience: Patience) -> bool:
    """Whether it matters by now if some program has the drop open for writing (asking means opening it)."""
    return _has_proof(seen, marker) or now >= seen.unchanged_since + patience.quiet


def decide(
    seen: Sighting, now: float, patience: Patience, *, marker: Marker | None = None, writer: bool | None = None
) -> Settled | Settling:
    """Whether a drop is complete.

    Args:
        marker: the sidecar that lies beside it.
        writer: whether a program has it open for writing; None where that cannot be known or was not asked.
    """
    if writer:
        return Settling(now + patience.quiet, "waiting for a program that has it open for writing")
    if marker is Done.DONE:
        return Settled("its .done is there", certain=True)
    is_quiet = now >= seen.unchanged_since + patience.quiet
    if isinstance(marker, Checksum) and marker.sha256 and (is_quiet or writer is False):
        return Settled("it matches its .sha256", sha256=marker.sha256)  # certain only once it is found to match
    if seen.clue is Clue.RENAMED:
        return Settled(Clue.RENAMED.value, certain=True)
    return _after_a_quiet_time(seen, now, patience, marker, writer)


def _after_a_quiet_time(
    seen: Sighting, now: float, patience: Patience, marker: Marker | None, writer: bool | None
) -> Settled | Settling:
    if now < seen.unchanged_since + patience.quiet:
        return Settling(seen.unchanged_since + patience.quiet)
    closed = writer is False or seen.clue is Clue.CLOSED
    if not closed and now < seen.unchanged_since + patience.blind:
        why = "settling; whether a program still writes it cannot be seen from here"
        return Settling(seen.unchanged_since + patience.blind, why)
    evidence = f"unchanged for {now - seen.unchanged_since:.1f} s"
    if writer is False:
        evidence += ", and no program has it open for writing"
    elif closed:
        evidence += " after its writer closed it"
    if marker is not None:
        evidence += "; its .sha256 names no SHA-256 hash and was not used"
    return Settled(evidence)


def _has_proof(seen: Sighting, marker: Marker | None) -> bool:
    return seen.clue is Clue.RENAMED or marker is Done.DONE or (isinstance(marker, Checksum) and bool(marker.sha256))
