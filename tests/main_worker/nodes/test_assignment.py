"""Which task fits which node best."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from main_worker.nodes.assignment import Offer, Wish, assign


def wishes(*seconds: float, profile: str = "default", clips: frozenset[str] = frozenset()) -> list[Wish]:
    return [Wish(f"{profile}-{number}", profile, length, clips) for number, length in enumerate(seconds)]


def test_a_node_gets_only_what_it_can_make() -> None:
    """One that does not say what it encodes is offered everything."""
    found = assign(
        [*wishes(1, 1, profile="av1"), *wishes(1, 1)], [Offer("a", frozenset({"default"})), Offer("b", None)], 10
    )
    assert found == {"a": ["default-0", "default-1"], "b": ["av1-0", "av1-1"]}


def test_a_faster_node_gets_more() -> None:
    """Three times as fast, three times as much; one that has rendered nothing yet counts as usual."""
    found = assign(wishes(*[10.0] * 8), [Offer("fast", pace=3.0), Offer("slow", pace=1.0)], 10)
    assert (len(found["fast"]), len(found["slow"])) == (6, 2)
    found = assign(wishes(*[10.0] * 8), [Offer("known", pace=2.0), Offer("new")], 10)
    assert (len(found["known"]), len(found["new"])) == (4, 4)


def test_a_node_gets_what_it_has_the_clips_for() -> None:
    """Though it comes second by name, and as long as it is not far busier."""
    clips = frozenset({"11111111", "22222222"})
    assert assign(wishes(10, clips=clips), [Offer("a"), Offer("b", clips=clips)], 10) == {"a": [], "b": ["default-0"]}
    found = assign(wishes(*[10] * 9, clips=clips), [Offer("a"), Offer("b", clips=clips)], 10)
    assert (len(found["a"]), len(found["b"])) == (3, 6)


def test_without_nodes_or_tasks_there_is_nothing_to_hand_out() -> None:
    """And that is no trouble."""
    assert assign(wishes(1), [], 10) == {}
    assert assign([], [Offer("a")], 10) == {"a": []}


@given(
    st.lists(st.tuples(st.sampled_from(["default", "av1", "none"]), st.floats(0.1, 1e4)), max_size=60),
    st.lists(
        st.tuples(st.sampled_from([None, ("default",), ("default", "av1")]), st.sampled_from([None, 0.5, 2.0])),
        max_size=6,
    ),
    st.integers(1, 5),
)
def test_every_task_is_handed_out_once_in_order_and_to_a_node_that_can(
    tasks: list[tuple[str, float]], nodes: list[tuple[tuple[str, ...] | None, float | None]], each: int
) -> None:
    """And as long as a node that can make it has room for it, it is handed out."""
    wanted = [Wish(f"{number:03}", profile, seconds) for number, (profile, seconds) in enumerate(tasks)]
    offers = [
        Offer(f"n{number}", None if profiles is None else frozenset(profiles), pace)
        for number, (profiles, pace) in enumerate(nodes)
    ]
    lists = assign(wanted, offers, each)
    assert lists == assign(wanted, offers, each)
    handed = [task_id for found in lists.values() for task_id in found]
    assert len(handed) == len(set(handed))
    by_id = {wish.task_id: wish for wish in wanted}
    for offer in offers:
        assert len(lists[offer.node]) <= each
        assert lists[offer.node] == sorted(lists[offer.node])
        assert all(offer.makes(by_id[task_id].profile) for task_id in lists[offer.node])
    for wish in wanted:
        if wish.task_id not in handed:
            assert all(len(lists[offer.node]) == each for offer in offers if offer.makes(wish.profile))
