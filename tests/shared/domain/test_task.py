"""The transition table of a task: every move it allows, and no other."""

from __future__ import annotations

import itertools
import uuid

import pytest

from shared.domain.errors import IllegalTransition
from shared.domain.task import DEFAULT_PROFILE, TRANSITIONS, Move, TaskState, after, is_task_id, task_id_for

ALLOWED = {
    (TaskState.WAITING, Move.CLAIM): TaskState.PROCESSING,
    (TaskState.WAITING, Move.FAIL): TaskState.FAILED,
    (TaskState.PROCESSING, Move.GIVE_BACK): TaskState.WAITING,
    (TaskState.PROCESSING, Move.PUBLISH): TaskState.FINISHED,
    (TaskState.PROCESSING, Move.FAIL): TaskState.FAILED,
    (TaskState.FAILED, Move.RETRY): TaskState.WAITING,
}
EVERYTHING = list(itertools.product(TaskState, Move))


def test_the_table_is_the_one_of_the_contract() -> None:
    """Nobody adds a move without saying so here."""
    assert TRANSITIONS == ALLOWED


@pytest.mark.parametrize(("state", "move"), [pair for pair in EVERYTHING if pair in ALLOWED])
def test_an_allowed_move_leads_to_its_state(state: TaskState, move: Move) -> None:
    """Each row of the table holds."""
    assert after(state, move) is ALLOWED[state, move]


@pytest.mark.parametrize(("state", "move"), [pair for pair in EVERYTHING if pair not in ALLOWED])
def test_an_illegal_move_names_state_and_move(state: TaskState, move: Move) -> None:
    """What is not in the table is refused, in words that say what was tried where."""
    with pytest.raises(IllegalTransition) as caught:
        after(state, move)
    assert state.value in str(caught.value)
    assert move.value in str(caught.value)


def test_nothing_leaves_the_output() -> None:
    """A finished task is finished for good."""
    assert not [move for state, move in TRANSITIONS if state is TaskState.FINISHED]


def test_the_same_chapter_content_is_the_same_task() -> None:
    """Making a task twice makes one task."""
    assert task_id_for("a", "b", "c", "d") == task_id_for("a", "b", "c", "d")


@pytest.mark.parametrize(
    "other", [("x", "b", "c", "d"), ("a", "x", "c", "d"), ("a", "b", "x", "d"), ("a", "b", "c", "x")]
)
def test_another_category_story_chapter_or_content_is_another_task(other: tuple[str, str, str, str]) -> None:
    """Each of the four parts tells tasks apart."""
    assert task_id_for(*other) != task_id_for("a", "b", "c", "d")


def test_each_profile_is_a_task_of_its_own() -> None:
    """The usual one keeps the ids of farms that know no other."""
    assert task_id_for("a", "b", "c", "d", DEFAULT_PROFILE) == task_id_for("a", "b", "c", "d")
    assert len({task_id_for("a", "b", "c", "d", name) for name in (DEFAULT_PROFILE, "shorts", "square")}) == 3


def test_a_task_id_is_a_uuid_of_version_5() -> None:
    """The contract says which kind of id it is."""
    found = task_id_for("a", "b", "c", "d")
    assert uuid.UUID(found).version == 5
    assert is_task_id(found)


@pytest.mark.parametrize("name", ["", "by-story", ".git", "5F0C0000-0000-5000-8000-000000000000", "5f0c" * 8])
def test_other_folder_names_are_no_task_ids(name: str) -> None:
    """Only the one spelling the farm writes counts, so no task has two names."""
    assert not is_task_id(name)
