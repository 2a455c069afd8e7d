"""What becomes of a task after an attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.retry import COUNTED, Ending, GiveUp, Requeue, decide


@given(st.integers(1, 6), st.integers(1, 12), st.lists(st.sampled_from(Ending), min_size=60, max_size=60))
def test_no_history_exceeds_the_caps(max_attempts: int, max_starts: int, future: list[Ending]) -> None:
    """However attempts end, a task stops within its attempts and its starts."""
    history: list[Ending] = []
    for ending in future:
        history.append(ending)
        if isinstance(decide(history, max_attempts=max_attempts, max_starts=max_starts), GiveUp):
            break
    assert len(history) <= max_starts
    assert sum(ending in COUNTED for ending in history) <= max_attempts


def test_a_failed_render_is_given_up_at_once() -> None:
    """The same input would fail again."""
    decision = decide([Ending.FAILED], max_attempts=3, max_starts=10)
    assert isinstance(decision, GiveUp)
    assert decision.code == "render_failed"


@pytest.mark.parametrize("ending", [Ending.DIED, Ending.STALLED])
def test_a_worker_that_died_or_stalled_costs_an_attempt(ending: Ending) -> None:
    """Another try may do it, but not for ever."""
    assert isinstance(decide([ending] * 2, max_attempts=3, max_starts=10), Requeue)
    decision = decide([ending] * 3, max_attempts=3, max_starts=10)
    assert isinstance(decision, GiveUp)
    assert decision.code == "attempts_used_up"
    assert f"{ending.value}, {ending.value}" in decision.why


@pytest.mark.parametrize("ending", [Ending.GIVEN_BACK, Ending.NODE_TROUBLE])
def test_what_is_not_the_tasks_fault_costs_no_attempt_but_a_start(ending: Ending) -> None:
    """A drain or a full disk does not use a task up, yet it cannot circle for ever."""
    assert isinstance(decide([ending] * 9, max_attempts=3, max_starts=10), Requeue)
    decision = decide([ending] * 10, max_attempts=3, max_starts=10)
    assert isinstance(decision, GiveUp)
    assert decision.code == "starts_used_up"


def test_a_claim_that_never_became_an_attempt_goes_back() -> None:
    """A worker can die between taking a task and saying so."""
    assert isinstance(decide([], max_attempts=1, max_starts=1), Requeue)


def test_a_decision_says_why() -> None:
    """The words go into the log."""
    decision = decide([Ending.GIVEN_BACK, Ending.DIED], max_attempts=3, max_starts=10)
    assert decision == Requeue("attempt 2 ended: died")
