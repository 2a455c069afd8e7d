"""The states of a task and the only moves between them."""

from __future__ import annotations

import uuid
from enum import Enum

from shared.domain.errors import IllegalTransition


class TaskState(Enum):
    """A task is in exactly one of these; the value is the folder that says so."""

    WAITING = "tasks"
    PROCESSING = "processing"
    FINISHED = "output"
    FAILED = "trash/failed"


class Move(Enum):
    """What can happen to a task, each carried out by one rename."""

    CLAIM = "claim"
    GIVE_BACK = "give back"
    PUBLISH = "publish"
    FAIL = "fail"
    RETRY = "retry"


TRANSITIONS: dict[tuple[TaskState, Move], TaskState] = {
    (TaskState.WAITING, Move.CLAIM): TaskState.PROCESSING,
    (TaskState.WAITING, Move.FAIL): TaskState.FAILED,
    (TaskState.PROCESSING, Move.GIVE_BACK): TaskState.WAITING,
    (TaskState.PROCESSING, Move.PUBLISH): TaskState.FINISHED,
    (TaskState.PROCESSING, Move.FAIL): TaskState.FAILED,
    (TaskState.FAILED, Move.RETRY): TaskState.WAITING,
}


def after(state: TaskState, move: Move) -> TaskState:
    """The state a move leads to.

    Raises:
        IllegalTransition: the state does not allow the move.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise IllegalTransition(f"a task in {state.value}/ cannot {move.value}") from None


_NAMESPACE = uuid.UUID("a6d2e1de-7b9c-5d0e-9f57-2f1d0c0b8e11")


DEFAULT_PROFILE = "default"
"""The name of the profile that every farm has."""
PROFILE_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
"""What profiles may be called: they are also names of folders."""


def task_id_for(category: str, story: str, chapter: str, voice_sha256: str, profile: str = DEFAULT_PROFILE) -> str:
    """The id of the task for one version of one chapter in one profile: the same content gives the same task.

    It is a UUIDv5 (RFC 9562).
    """
    words = [category, story, chapter, voice_sha256, *([] if profile == DEFAULT_PROFILE else [profile])]
    return str(uuid.uuid5(_NAMESPACE, "\n".join(words)))


def is_task_id(name: str) -> bool:
    """Whether a folder name is a task id (anything else in a task folder is left alone)."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
