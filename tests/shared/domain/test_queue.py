"""The order of waiting tasks: priority, then story by story in turn."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.queue import Ticket, after, carried_on, in_turn, spread


def tickets(story: str, count: int, *, since: int = 0, priority: int = 50) -> list[Ticket]:
    return [Ticket(f"2026-11-20T{since + number:06}", f"{story}-{number}", story, priority) for number in range(count)]


def ids(found: list[Ticket], turns: dict[str, int] | None = None) -> list[str]:
    return [ticket.task_id for ticket in in_turn(found, turns or {})]


def test_priority_goes_before_everything() -> None:
    """Then a story's oldest task goes first."""
    found = tickets("a", 2) + tickets("b", 1, since=9, priority=60)
    assert ids(found) == ["b-0", "a-0", "a-1"]


def test_a_single_chapter_does_not_wait_for_five_hundred() -> None:
    """It is the second to go, however late it came."""
    assert ids(tickets("long", 500) + tickets("short", 1, since=5000))[:3] == ["long-0", "short-0", "long-1"]


def test_the_story_that_was_served_longest_ago_goes_first() -> None:
    """Otherwise the oldest story would go first after every task."""
    assert ids(tickets("a", 2) + tickets("b", 2, since=9), {"a": 2, "b": 1}) == ["b-0", "a-0", "b-1", "a-1"]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_stories_take_turns_and_nothing_is_lost(lengths: list[int], chance: object) -> None:
    """At any moment no story with tasks left is more than one behind another; the order of arrival does not matter."""
    found = [ticket for number, count in enumerate(lengths) for ticket in tickets(f"s{number}", count, since=number)]
    order = list(in_turn(found, {}))
    assert set(order) == set(found)
    assert len(order) == len(found)
    chance.shuffle(found)  # type: ignore[attr-defined]
    assert list(in_turn(found, {})) == order
    done: Counter[str] = Counter()
    for ticket in order:
        done[ticket.story] += 1
        left = [f"s{number}" for number, count in enumerate(lengths) if done[f"s{number}"] < count]
        assert all(done[story] >= max(done.values()) - 1 for story in left)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=60))
def test_no_story_starves_whatever_else_arrives(arrivals: list[tuple[int, int]]) -> None:
    """One task is taken after each arrival; a story is never passed over more often than there are others."""
    waiting, passed = tickets("patient", 200), 0
    turns: dict[str, int] = {}
    for number, (story, moment) in enumerate(arrivals):
        waiting.append(Ticket(f"2026-11-20T{moment:06}", f"{story}-{number}", f"s{story}", 50))
        turns = carried_on(turns, {ticket.story for ticket in waiting})
        ticket = next(in_turn(waiting, turns))
        waiting.remove(ticket)
        turns[ticket.story] = after(turns)
        passed = 0 if ticket.story == "patient" else passed + 1
        assert passed <= 4


def test_the_turns_of_stories_that_wait_no_more_are_forgotten() -> None:
    """New ones come at the end of the round."""
    assert carried_on({"a": 7, "b": 9, "gone": 11}, {"a", "b", "new"}) == {"a": 7, "b": 9, "new": 10}
    assert carried_on({}, {"a"}) == {"a": 1}
    assert carried_on({"a": 3}, set()) == {}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=40),
    st.sets(st.text(max_size=3)),
    st.integers(0, 9),
)
def test_nodes_reach_for_different_tasks_of_the_first_few(
    found: list[tuple[int, int]], others: set[str], passed: int
) -> None:
    """Nobody comes later than so many places; alone a node keeps the order, and priority stays before everything."""
    order = [Ticket("", f"{number}", f"s{story}", 50 - number // 5) for number, (story, _) in enumerate(found)]
    places = {ticket: place for place, ticket in enumerate(order)}
    mixed = list(spread(order, others, "me"))
    assert sorted(mixed, key=places.__getitem__) == order
    assert all(abs(places[ticket] - place) < len(others | {"me"}) for place, ticket in enumerate(mixed))
    assert list(spread(order, [], "me")) == order
    assert [ticket.priority for ticket in mixed] == sorted((ticket.priority for ticket in mixed), reverse=True)
    assert sorted(spread(order, others, "me", passed), key=places.__getitem__) == order


def test_no_two_nodes_begin_with_the_same_task() -> None:
    """That is what it is for: of as many tasks as there are nodes each has a first one of its own."""
    order, nodes = tickets("a", 20), [f"node-{number}" for number in range(7)]
    firsts = {next(spread(order, nodes, node)) for node in nodes}
    assert firsts == set(order[:7])
    seconds = {next(spread(order, nodes, node, passed=7)) for node in nodes}
    assert seconds == set(order[7:14])
    assert list(spread(order, nodes, "node-0", passed=7))[-7:] == order[:7]
