"""What becomes of a task after an attempt, and when it is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.retry import COUNTED, Attempted, Crew, Decision, Ending, GiveUp, Requeue, decide, wait_seconds

ALONE = Crew(frozenset({"a"}))
FOUR = Crew(frozenset("abcd"))
NODES = st.sampled_from("abcdef")
CREWS = st.builds(Crew, st.frozensets(NODES), st.frozensets(NODES))


def of(*attempts: tuple[Ending, str], max_attempts: int = 3, max_starts: int = 10, crew: Crew = ALONE) -> Decision:
    return decide(
        [Attempted(ending, node) for ending, node in attempts],
        max_attempts=max_attempts,
        max_starts=max_starts,
        crew=crew,
    )


def code(decision: Decision) -> str | None:
    return decision.code if isinstance(decision, GiveUp) else None


@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.lists(st.builds(Attempted, st.sampled_from(Ending), NODES), min_size=60, max_size=60),
    CREWS,
)
def test_no_history_exceeds_the_cap_on_starts(
    max_attempts: int, max_starts: int, future: list[Attempted], crew: Crew
) -> None:
    """However attempts end, whoever makes them and whoever lives, a task stops within its starts."""
    history: list[Attempted] = []
    for attempt in future:
        history.append(attempt)
        if isinstance(decide(history, max_attempts=max_attempts, max_starts=max_starts, crew=crew), GiveUp):
            break
    assert len(history) <= max_starts


@given(st.integers(1, 6), st.lists(st.sampled_from(Ending), min_size=60, max_size=60))
def test_a_farm_of_one_node_does_not_exceed_the_attempts(max_attempts: int, future: list[Ending]) -> None:
    """There is nobody else to ask."""
    history: list[Attempted] = []
    for ending in future:
        history.append(Attempted(ending, "a"))
        if isinstance(decide(history, max_attempts=max_attempts, max_starts=60, crew=ALONE), GiveUp):
            break
    assert sum(one.ending in COUNTED for one in history) <= max_attempts


def test_what_the_only_node_refuses_is_given_up_at_once() -> None:
    """The same input would fail again, and nobody else can try."""
    assert code(of((Ending.FAILED, "a"))) == "render_failed"
    assert code(of((Ending.FAILED, "a"), crew=Crew())) == "render_failed"


def test_three_nodes_must_refuse_a_task_where_there_are_more() -> None:
    """One of them may be what is wrong; the same node failing again proves nothing new."""
    assert code(of((Ending.FAILED, "a"), crew=FOUR)) is None
    assert code(of((Ending.FAILED, "a"), (Ending.FAILED, "a"), (Ending.FAILED, "a"), crew=FOUR)) is None
    assert code(of((Ending.FAILED, "a"), (Ending.FAILED, "b"), crew=FOUR)) is None
    assert code(of((Ending.FAILED, "a"), (Ending.FAILED, "b"), (Ending.FAILED, "c"), crew=FOUR)) == "render_failed"


def test_all_capable_nodes_are_enough_where_they_are_fewer() -> None:
    """Two have tried, and there is no third."""
    assert code(of((Ending.FAILED, "a"), (Ending.FAILED, "b"), crew=Crew(frozenset("ab")))) == "render_failed"


def test_a_node_that_is_set_aside_counts_neither_against_the_task_nor_as_capable() -> None:
    """What it failed others can render."""
    crew = Crew(frozenset("abc"), frozenset("c"))
    assert code(of((Ending.FAILED, "c"), (Ending.FAILED, "a"), crew=crew)) is None
    assert code(of((Ending.FAILED, "c"), (Ending.FAILED, "a"), (Ending.FAILED, "b"), crew=crew)) == "render_failed"


@pytest.mark.parametrize("crew", [ALONE, FOUR])
@pytest.mark.parametrize(("ending", "wanted"), [(Ending.BAD_INPUT, "bad_input"), (Ending.CANCELLED, "cancelled")])
def test_for_its_input_or_an_operator_a_task_is_given_up_at_once(ending: Ending, wanted: str, crew: Crew) -> None:
    """No other node would do better."""
    assert code(of((ending, "a"), crew=crew)) == wanted


@pytest.mark.parametrize("ending", [Ending.DIED, Ending.STALLED])
def test_a_worker_that_died_or_stalled_costs_an_attempt(ending: Ending) -> None:
    """Another try may do it, but not for ever."""
    assert code(of(*[(ending, "a")] * 2)) is None
    decision = of(*[(ending, "a")] * 3)
    assert isinstance(decision, GiveUp)
    assert decision.code == "attempts_used_up"
    assert f"{ending.value}, {ending.value}" in decision.why


def test_attempts_are_used_up_only_by_as_many_nodes() -> None:
    """A single node that dies again and again must not use up a task of others."""
    assert code(of(*[(Ending.DIED, "a")] * 5, crew=FOUR)) is None
    assert code(of((Ending.DIED, "a"), (Ending.STALLED, "b"), (Ending.DIED, "c"), crew=FOUR)) == "attempts_used_up"


@pytest.mark.parametrize("ending", [Ending.GIVEN_BACK, Ending.NODE_TROUBLE])
def test_what_is_not_the_tasks_fault_costs_no_attempt_but_a_start(ending: Ending) -> None:
    """A drain or a full disk does not use a task up, yet it cannot circle for ever."""
    assert code(of(*[(ending, "a")] * 9)) is None
    assert code(of(*[(ending, "a")] * 10)) == "starts_used_up"


def test_a_claim_that_never_became_an_attempt_goes_back() -> None:
    """A worker can die between taking a task and saying so."""
    assert isinstance(of(max_attempts=1, max_starts=1), Requeue)


def test_a_decision_says_why() -> None:
    """The words go into the log."""
    assert of((Ending.GIVEN_BACK, "a"), (Ending.DIED, "a")) == Requeue("attempt 2 ended: died")


# -- waiting -------------------------------------------------------------------------------------


def wait(*attempts: tuple[Ending, str], node: str = "b", crew: Crew = FOUR, task: str = "t") -> float:
    return wait_seconds(task, [Attempted(ending, by) for ending, by in attempts], node, crew, 8.0)


def test_what_was_nobodys_fault_is_taken_at_once() -> None:
    """A new task, one given back, one whose node was in trouble."""
    assert wait() == wait((Ending.GIVEN_BACK, "a")) == wait((Ending.NODE_TROUBLE, "a")) == 0


def test_the_wait_doubles_and_ends_at_five_minutes() -> None:
    """With a quarter of jitter either way, the same for the same task, attempt and node."""
    for count, base in enumerate((8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0), start=1):
        assert 0.75 * base <= wait(*[(Ending.DIED, "a")] * count) <= 1.25 * base
    assert wait((Ending.DIED, "a")) == wait((Ending.DIED, "a"))
    assert len({wait((Ending.DIED, "a"), task=str(number)) for number in range(20)}) == 20


def test_a_node_that_failed_a_task_leaves_it_to_others_for_a_minute() -> None:
    """As long as there is one that could take it and has not failed it."""
    assert wait((Ending.FAILED, "b")) > 60
    assert wait((Ending.FAILED, "b"), crew=Crew(frozenset("b"))) <= 10
    assert wait((Ending.FAILED, "b"), crew=Crew(frozenset("ab"), frozenset("a"))) <= 10
    assert wait((Ending.FAILED, "b"), (Ending.FAILED, "a"), crew=Crew(frozenset("ab"))) <= 20
