"""What becomes of a task after an attempt ended without an output, and when it is tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """How an attempt ended."""

    GIVEN_BACK = "given_back"  # the worker stopped or handed it on: nobody's fault
    NODE_TROUBLE = "node_trouble"  # the node's disk, memory or tools: not the task's fault
    STALLED = "stalled"  # ffmpeg showed no progress: a slow disk, or an input it hangs on
    FAILED = "failed"  # ffmpeg or the gate refused: the input, or something about this node
    BAD_INPUT = "bad_input"  # the input itself: no node can make a video of it
    DIED = "died"  # the worker vanished, perhaps because of the task
    UNDELIVERED = "undelivered"  # it was rendered, and its video could not be carried to the root
    CANCELLED = "cancelled"  # an operator wanted it


@dataclass(frozen=True)
class Attempted:
    """An attempt that has ended, and the node that made it."""

    ending: Ending
    node: str


@dataclass(frozen=True)
class Crew:
    """The nodes that live and can make a kind of video; those set aside fail what others can render."""

    capable: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Requeue:
    """Put the task back among the waiting ones."""

    why: str


@dataclass(frozen=True)
class GiveUp:
    """Move the task to ``trash/failed/``."""

    code: str
    why: str


Decision = Requeue | GiveUp

COUNTED = frozenset({Ending.DIED, Ending.FAILED, Ending.STALLED})

_FINAL = {
    Ending.CANCELLED: GiveUp("cancelled", "it was cancelled"),
    Ending.UNDELIVERED: GiveUp("upload_failed", "its video could not be uploaded"),
    Ending.BAD_INPUT: GiveUp("bad_input", "no node can make a video of its input"),
}

_MOST_SECONDS = 300.0
_JITTER = 0.25  # of the wait, either way, so that what failed together does not come back together
_FOR_OTHERS_SECONDS = 60.0  # time for a node that has not failed a task to take it


def decide(attempts: Sequence[Attempted], *, max_attempts: int, max_starts: int, crew: Crew) -> Decision:
    """Decide from all attempts so far, oldest first; the last one just ended (none: it never began).

    A task is given up for its input, or once as many nodes as `max_attempts` (all that can make it, where they are
    fewer) have failed it. Attempts given back, ended by a node in trouble, or made by a node that fails what others can
    render, do not count against it, but every start counts against the cap, so that a task which makes workers stop
    cannot circle for ever.
    """
    if not attempts:
        return Requeue("it was claimed but never started")
    last = attempts[-1].ending
    if last in _FINAL:
        return _FINAL[last]
    counted = [one for one in attempts if one.ending in COUNTED and one.node not in crew.set_aside]
    refused = {one.node for one in counted if one.ending is Ending.FAILED}
    enough = min(max_attempts, max(1, len(crew.capable - crew.set_aside)))
    if len(refused) >= enough:
        nodes = "its node" if len(refused) == 1 else f"{len(refused)} nodes"
        return GiveUp("render_failed", f"{nodes} failed to render it, and the same input would fail again")
    if len(counted) >= max_attempts and len({one.node for one in counted}) >= enough:
        return GiveUp("attempts_used_up", f"{len(counted)} attempts ended without a video ({_listed(attempts)})")
    if len(attempts) >= max_starts:
        return GiveUp("starts_used_up", f"it was started {len(attempts)} times without a video ({_listed(attempts)})")
    return Requeue(f"attempt {len(attempts)} ended: {last.value}")


def wait_seconds(task_id: str, attempts: Sequence[Attempted], node: str, crew: Crew, base: float) -> float:
    """How long a node leaves a waiting task alone, counted from when it first saw it waiting after these attempts.

    The wait doubles with each attempt that counted against the task, up to five minutes; a node that has failed it
    waits a minute longer while another one could take it. After what was nobody's fault there is none.

    Args:
        base: seconds after the first such attempt.
    """
    counted = [one for one in attempts if one.ending in COUNTED]
    if not counted:
        return 0.0
    wait = min(base * 2.0 ** (len(counted) - 1), _MOST_SECONDS) * _jitter(f"{task_id} {len(attempts)} {node}")
    failed = {one.node for one in counted}
    if node in failed and crew.capable - crew.set_aside - failed:
        wait += _FOR_OTHERS_SECONDS
    return wait


def _jitter(words: str) -> float:
    """A factor around one that is the same for the same words."""
    chance = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big") / 2**32
    return 1 + _JITTER * (2 * chance - 1)


def _listed(attempts: Sequence[Attempted]) -> str:
    return ", ".join(one.ending.value for one in attempts)
