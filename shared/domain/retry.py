"""What becomes of a task after an attempt ended without an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """How an attempt ended."""

    GIVEN_BACK = "given_back"  # the worker stopped or handed it on: nobody's fault
    NODE_TROUBLE = "node_trouble"  # the node's disk, memory or tools: not the task's fault
    STALLED = "stalled"  # ffmpeg showed no progress: a slow disk, or an input it hangs on
    FAILED = "failed"  # ffmpeg or the gate refused: the same input will fail again
    DIED = "died"  # the worker vanished, perhaps because of the task


@dataclass(frozen=True)
class Requeue:
    """Put the task back among the waiting ones."""

    why: str


@dataclass(frozen=True)
class GiveUp:
    """Move the task to ``trash/failed/``."""

    code: str
    why: str


COUNTED = frozenset({Ending.DIED, Ending.FAILED, Ending.STALLED})


def decide(endings: Sequence[Ending], *, max_attempts: int, max_starts: int) -> Requeue | GiveUp:
    """Decide from the endings of all attempts so far, oldest first; the last one just ended (none: it never began).

    Attempts given back, or ended by a node in trouble, do not count against the task, but every start counts
    against the cap, so that a task which makes workers stop cannot circle for ever.
    """
    if not endings:
        return Requeue("it was claimed but never started")
    last = endings[-1]
    if last is Ending.FAILED:
        return GiveUp("render_failed", "the render failed and the same input would fail again")
    counted = sum(ending in COUNTED for ending in endings)
    if counted >= max_attempts:
        return GiveUp("attempts_used_up", f"{counted} attempts ended without a video ({_listed(endings)})")
    if len(endings) >= max_starts:
        return GiveUp("starts_used_up", f"it was started {len(endings)} times without a video ({_listed(endings)})")
    return Requeue(f"attempt {len(endings)} ended: {last.value}")


def _listed(endings: Sequence[Ending]) -> str:
    return ", ".join(ending.value for ending in endings)
