"""What is told, decided from values alone: once when it begins, once when it is over, nothing that cannot be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.alerts.deciding import Limits, Memory, News, NodeView, View, decide
from shared.domain.node import Life
from shared.records.reason import CANCELLED

LIMITS = Limits(queue=10, error_share=0.25, error_tasks=4, free_bytes=10**10, standstill_seconds=600)
WELL = NodeView(Life.ALIVE, "idle")


def told(
    views: Iterable[View], memory: Memory | None = None, *, seconds: float = 10, limits: Limits = LIMITS
) -> list[str]:
    """What is told of views that follow each other: kind, state and about."""
    return [f"{item.kind} {item.state} {item.about}" for item in news(views, memory, seconds=seconds, limits=limits)]


def news(
    views: Iterable[View], memory: Memory | None = None, *, seconds: float = 10, limits: Limits = LIMITS
) -> list[News]:
    memory, now = memory or Memory(), 0.0
    found: list[News] = []
    for view in views:
        now += seconds
        memory, some = decide(memory, view, limits, now)
        found += some
    return found


# -- what happens once -------------------------------------------------------------------------------


def test_what_was_there_at_the_first_look_is_no_news() -> None:
    """A webhook that is added to a farm with a thousand videos does not get a thousand alerts."""
    assert told([View(finished=frozenset("ab"), failed={"c": "render_failed"}, rejected=frozenset("d"))]) == []


def test_what_comes_is_told_once() -> None:
    """And not again for as long as it is there."""
    later = View(finished=frozenset("a"), failed={"b": "render_failed"}, rejected=frozenset("c"))
    expected = ["video_finished happened a", "task_failed happened b", "drop_rejected happened c"]
    assert told([View(), later, later]) == expected


def test_a_task_that_is_tried_again_and_fails_again_is_told_again() -> None:
    """It left trash/failed/ meanwhile."""
    failed = View(failed={"b": "render_failed"})
    assert told([View(), failed, View(), failed]) == ["task_failed happened b"] * 2


def test_a_task_that_an_operator_cancelled_is_no_failure() -> None:
    """They know; and it does not count against the farm."""
    assert told([View(), *(View(failed=dict.fromkeys("abcdef"[:n], CANCELLED)) for n in range(1, 7))]) == []


# -- nodes -------------------------------------------------------------------------------------------


def node(life: Life = Life.ALIVE, state: str = "idle", beat: int = 0, **values: object) -> View:
    return View(nodes={"box": replace(WELL, life=life, state=state, beat=(1, beat), **values)})  # type: ignore[arg-type]


def test_a_node_that_dies_and_comes_back_is_told_twice() -> None:
    """Once each, however long it is dead."""
    views = [node(), node(Life.DEAD), node(Life.DEAD), node(beat=1), node(beat=2)]
    assert [item.words for item in news(views)] == [
        "Node box is dead; its task goes back to the queue",
        "Node box is back",
    ]


def test_a_dead_node_whose_record_is_taken_away_has_left() -> None:
    """An operator has cleared it away."""
    assert [item.words for item in news([node(Life.DEAD), View()])][-1] == "Node box has left the farm"


def test_a_node_that_leaves_by_itself_is_no_news() -> None:
    """It removes its record when it is stopped."""
    assert told([node(), View()]) == []


def test_a_dead_node_is_not_back_because_the_main_worker_was_restarted() -> None:
    """It looks alive until the lease is over; only a beat that is seen makes it so."""
    restarted = Memory(told=frozenset({("node_dead", "box")}))
    assert told([node(beat=7), node(beat=7), node(Life.DEAD, beat=7)], restarted) == []
    assert told([node(beat=7), node(beat=8)], restarted) == ["node_dead over box"]


def test_a_node_set_aside_says_why() -> None:
    """The reason is the node's own."""
    views = [node(), node(state="unhealthy", why="it failed 3 tasks that others rendered"), node(beat=1)]
    assert [item.words for item in news(views)] == [
        "Node box takes no tasks: it is unhealthy (it failed 3 tasks that others rendered)",
        "Node box is back",
    ]


# -- limits ------------------------------------------------------------------------------------------


def test_a_queue_that_swings_around_its_limit_is_one_trouble() -> None:
    """It is over once the queue is clearly shorter."""
    views = [View(waiting=waiting) for waiting in (10, 11, 10, 11, 9, 8, 11)]
    assert told(views) == ["queue_long began tasks", "queue_long over tasks", "queue_long began tasks"]


def test_a_disk_that_swings_around_its_limit_is_one_trouble() -> None:
    """It is over once there is clearly more room, and goes on while nobody can tell."""
    rooms = [11e9, 9.9e9, 10.1e9, None, 9e9, 11.1e9]
    views = [View(free_bytes=None if room is None else int(room)) for room in rooms]
    assert [item.words for item in news(views)] == [
        "Only 9.9 GB are free in the project root",
        "There is room again in the project root: 11.1 GB",
    ]


def test_a_node_with_a_full_disk_is_a_trouble_of_its_own() -> None:
    """Render boxes may have disks of their own."""
    assert told([node(state="low on disk"), node()]) == ["low_disk began box", "low_disk over box"]


def test_too_many_failures_among_the_last_tasks_are_told_until_it_is_better() -> None:
    """Two of four are more than a quarter; one of four is not."""
    views = [View()]
    for number, ending in enumerate("FddFdd"):
        before = views[-1]
        failed = {**before.failed, **({f"{number}": "gate"} if ending == "F" else {})}
        finished = before.finished | ({f"{number}"} if ending == "d" else set())
        views.append(View(finished=finished, failed=failed))
    found = [item.words for item in news(views) if item.kind == "error_rate"]
    assert found == ["2 of the last 4 tasks failed (50%)", "The last tasks went well again"]


def test_few_tasks_are_no_share() -> None:
    """The first task of a farm that fails is not 100 %."""
    assert told([View(), View(failed={"a": "gate"})]) == ["task_failed happened a"]


def test_ingest_that_pauses_says_why() -> None:
    """As `reelmill status` does."""
    views = [View(), View(paused="the disk is full"), View()]
    assert [item.words for item in news(views)] == ["Nothing is taken in: the disk is full", "Drops are taken in again"]


# -- work that does not get on -----------------------------------------------------------------------


def test_nothing_rendered_while_work_waits_is_told_with_what_the_nodes_do() -> None:
    """After ten minutes here; and when it goes on."""
    waiting = replace(node(state="resting", why="cannot claim"), waiting=1)
    views = [*[waiting] * 62, replace(waiting, waiting=0)]
    assert [item.words for item in news(views)] == [
        "Nothing has been rendered for 10 minutes while 1 task waits: box is resting (cannot claim)",
        "Work goes on again",
    ]


def test_no_node_at_all_is_named() -> None:
    """The commonest reason."""
    assert news([View(waiting=3)] * 62)[0].words.endswith("while 3 tasks wait: no render node lives")


def test_a_long_render_that_gets_on_is_no_standstill() -> None:
    """Its percent rises, though nothing is finished for hours; once it stands still, the time begins."""
    views = [
        replace(node(state="rendering", work=("a", "conforming", float(percent))), waiting=1) for percent in range(90)
    ]
    assert told(views, seconds=500) == []
    assert told([*views, views[-1], views[-1]], seconds=500) == ["standstill began tasks"]


def test_a_restart_does_not_make_work_go_on() -> None:
    """What was told stays told until something really moves."""
    restarted = Memory(told=frozenset({("standstill", "tasks")}))
    assert told([View(waiting=1)] * 3, restarted) == []
    assert told([View(waiting=1)] * 100, restarted) == []
    moved = View(waiting=1, finished=frozenset("a"))
    assert told([View(waiting=1), moved], restarted) == ["video_finished happened a", "standstill over tasks"]


def test_tasks_that_no_living_node_can_encode_are_told() -> None:
    """By profile; a node that does not say what it can do may be able to, and without nodes it is a standstill."""
    wanting = View(waiting=1, wanted=frozenset({"default", "shorts"}))
    able, unable = frozenset({"default", "shorts"}), frozenset({"default"})

    def with_node(profiles: frozenset[str] | None, life: Life = Life.ALIVE) -> View:
        return replace(wanting, nodes={"box": replace(WELL, life=life, profiles=profiles)})

    views = [wanting, with_node(None), with_node(unable), with_node(able)]
    assert told(views) == ["no_encoder began shorts", "no_encoder over shorts"]


@pytest.mark.parametrize("field", ["queue", "standstill_seconds", "free_bytes"])
def test_a_limit_of_nothing_is_never_met(field: str) -> None:
    """0 turns it off."""
    limits = replace(LIMITS, **{field: 0})
    kinds = {"queue": "queue_long", "standstill_seconds": "standstill", "free_bytes": "low_disk"}
    assert not [line for line in told([View(waiting=99, free_bytes=0)] * 80, limits=limits) if kinds[field] in line]


# -- whatever happens --------------------------------------------------------------------------------

NODES = st.dictionaries(
    st.sampled_from(("a", "b")),
    st.builds(
        NodeView,
        life=st.sampled_from(Life),
        state=st.sampled_from(("idle", "unhealthy", "low on disk", "resting")),
        beat=st.tuples(st.just(1), st.integers(0, 3)),
        profiles=st.sampled_from((None, frozenset[str](), frozenset({"default"}))),
    ),
)
VIEWS = st.builds(
    View,
    finished=st.frozensets(st.sampled_from("abc")),
    failed=st.dictionaries(st.sampled_from("def"), st.sampled_from(("gate", CANCELLED))),
    rejected=st.frozensets(st.sampled_from("ghi")),
    waiting=st.integers(0, 15),
    wanted=st.frozensets(st.sampled_from(("default", "shorts"))),
    nodes=NODES,
    free_bytes=st.none() | st.integers(8 * 10**9, 12 * 10**9),
    paused=st.none() | st.just("full"),
)


@given(st.lists(VIEWS, max_size=12), st.lists(VIEWS, max_size=6))
def test_every_trouble_begins_and_ends_by_turns_also_over_a_restart(before: list[View], after: list[View]) -> None:
    """Never told twice, never over before it began, and what is remembered is exactly what is not over."""
    memory, now, open_troubles = Memory(), 0.0, Counter[tuple[str, str]]()
    for number, view in enumerate([*before, *after]):
        if number == len(before):  # only this outlives the process
            memory = Memory(told=memory.told, recent=memory.recent, began_at=now)
        now += 400
        memory, some = decide(memory, view, LIMITS, now)
        for item in some:
            open_troubles[item.kind, item.about] += {"began": 1, "over": -1, "happened": 0}[item.state]
        assert all(count in (0, 1) for count in open_troubles.values())
        assert {key for key, count in open_troubles.items() if count} == set(memory.told)
