"""Operators' verbs: cancel, priority, pause, resume, drain and hours, and why a task is where it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.live import NotOne, named
from shared.domain.layout import REASON, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.records.main import MainRecord, NodeVerdict
from shared.records.orders import Order, OrdersRecord
from shared.records.reason import Reason
from shared.store import Store

Add = Callable[..., str]


def reelmill(layout: Layout, *words: str) -> Result:
    return CliRunner().invoke(main, [words[0], "--root", str(layout.root), *words[1:]])


# -- naming --------------------------------------------------------------------------------------


def test_a_task_is_understood_by_its_names(store: Store, add_task: Add) -> None:
    """Its id or the beginning of that, the names it was dropped with, the names it is filed under."""
    task_id = add_task()
    add_task(chapter="chapter_0002", titles=("Fantasy", "Dragon Flight", "Chapter 2"))
    for word in (task_id, task_id[:8], "Fantasy/Dragon Flight/Chapter 1", "fantasy/dragon_flight/chapter_0001"):
        assert [task.task_id for task in named(store, [word])] == [task_id]


def test_a_storys_name_means_all_its_tasks(store: Store, add_task: Add) -> None:
    """Those of other stories are not touched."""
    ids = {add_task(chapter=f"chapter_{number:04}", titles=()) for number in range(3)}
    add_task(story_name="other", titles=())
    assert {task.task_id for task in named(store, ["fantasy/dragon_flight"])} == ids


def test_words_that_mean_nothing_or_several_things_change_nothing(
    layout: Layout, store: Store, add_task: Add, states: Callable[[], list[TaskState]]
) -> None:
    """All of them are told at once."""
    add_task(task_id="abcd0000-0000-4000-8000-000000000001", titles=(), chapter="1")
    add_task(task_id="abcd0000-0000-4000-8000-000000000002", titles=(), chapter="2")
    with pytest.raises(NotOne, match="could be any of"):
        named(store, ["abcd"])
    done = reelmill(layout, "cancel", "abcd", "nothing\x1b", "fantasy/dragon_flight/1")
    assert done.exit_code == 2
    assert "nothing was changed" in done.output
    assert "nothing\\x1b" in done.output
    assert states() == [TaskState.WAITING] * 2


@pytest.fixture
def states(store: Store) -> Callable[[], list[TaskState]]:
    return lambda: [state for state in TaskState for _ in store.ids(state)]


# -- cancel and priority -------------------------------------------------------------------------


def test_a_cancelled_task_says_who_and_why_and_can_be_retried(layout: Layout, store: Store, add_task: Add) -> None:
    """The word of `retry` is in its advice."""
    task_id = add_task()
    done = reelmill(layout, "cancel", task_id[:8], "--why", "wrong voice")
    assert done.exit_code == 0, done.output
    assert done.output == f"cancelled Fantasy/Dragon Flight/Chapter 1 ({task_id}), which was waiting\n"
    reason = Reason.read(layout.task(TaskState.FAILED, task_id) / REASON)
    assert (reason.code, reason.reason.endswith(": wrong voice.")) == ("cancelled", True)
    assert f"reelmill retry {task_id}" in reason.advice
    assert reelmill(layout, "retry", task_id).exit_code == 0
    assert store.find(task_id) is TaskState.WAITING


def test_a_task_in_work_is_cancelled(layout: Layout, store: Store, add_task: Add) -> None:
    """As JSON too."""
    task_id = add_task()
    claim = store.claim(task_id, "studio")
    assert claim is not None
    done = reelmill(layout, "cancel", "--json", "Fantasy/Dragon Flight/Chapter 1")
    assert json.loads(done.output)["items"] == [
        {
            "task_id": task_id,
            "name": "Fantasy/Dragon Flight/Chapter 1",
            "was": "being rendered",
            "outcome": "cancelled",
            "why": None,
        }
    ]
    assert not store.holds(claim)
    assert reelmill(layout, "cancel", task_id).exit_code == 2


def test_a_priority_is_changed(layout: Layout, store: Store, add_task: Add) -> None:
    """Of one task, or of all of a story; a number out of range is refused."""
    ids = [add_task(chapter=f"chapter_{number:04}", titles=()) for number in range(2)]
    done = reelmill(layout, "priority", "90", "fantasy/dragon_flight")
    assert done.exit_code == 0
    assert done.output.count("priority  90  fantasy/dragon_flight/chapter_000") == 2
    assert [store.metadata(TaskState.WAITING, task_id).priority for task_id in ids] == [90, 90]
    assert reelmill(layout, "priority", "101", ids[0]).exit_code == 2
    assert store.claim(ids[0], "studio") is not None
    assert "counts if it goes back to the queue" in reelmill(layout, "priority", "3", ids[0]).output


# -- pause, resume, drain, hours -----------------------------------------------------------------


def test_the_farm_is_paused_and_resumed(layout: Layout) -> None:
    """Status says by whom; a second resume says that there was nothing to resume."""
    assert (
        reelmill(layout, "pause", "--why", "moving").output == "paused the farm; take it back with: reelmill resume\n"
    )
    shown = reelmill(layout, "status").output
    assert "Farm          PAUSED by " in shown
    assert ": moving; go on with: reelmill resume" in shown
    assert reelmill(layout, "resume").output == "resumed the farm\n"
    assert reelmill(layout, "resume").output == "was not paused: the farm\n"
    assert "PAUSED" not in reelmill(layout, "status").output


def test_single_nodes_are_paused(layout: Layout, node: Callable[..., str]) -> None:
    """One that never worked here is a slip; what stays paused is told."""
    node("a"), node("b")
    assert reelmill(layout, "pause", "a", "--now").exit_code == 0
    pause = Orders(layout).read("a").pause
    assert pause is not None
    assert pause.at_once
    assert Orders(layout).read("b") == OrdersRecord()
    refused = reelmill(layout, "pause", "c")
    assert (refused.exit_code, "no node is called c; there are a, b" in refused.output) == (2, True)
    assert "still paused by themselves: a" in reelmill(layout, "resume").output
    assert reelmill(layout, "resume", "a").output == "resumed a\n"


def test_a_node_is_drained(layout: Layout, node: Callable[..., str]) -> None:
    """One that does not run has nothing to finish."""
    assert reelmill(layout, "drain", node()).output == "draining studio\n"
    assert Orders(layout).read("studio").drain is not None
    layout.node_record("studio").unlink()
    layout.node_lock("studio").touch()
    assert "does not run" in reelmill(layout, "drain", "studio").output


def test_a_node_has_working_hours(layout: Layout, node: Callable[..., str]) -> None:
    """They are shown, set and taken back; what nobody understands is refused and changes nothing."""
    node()
    assert reelmill(layout, "hours", "studio").output == "studio takes tasks at all hours\n"
    set_to = reelmill(layout, "hours", "studio", "22:00-06:00", "sat 00:00-24:00")
    assert set_to.output == "studio takes tasks 22:00-06:00, sat 00:00-24:00\n"
    assert reelmill(layout, "hours", "studio", "at night").exit_code == 2
    assert Orders(layout).read("studio").hours == ("22:00-06:00", "sat 00:00-24:00")
    assert reelmill(layout, "hours", "studio", "--always").output == "studio takes tasks at all hours\n"
    assert reelmill(layout, "hours", "studio", "--always", "22:00-06:00").exit_code == 2


# -- why -----------------------------------------------------------------------------------------


def why(layout: Layout, task_id: str) -> str:
    done = reelmill(layout, "status", "--why", task_id)
    assert done.exit_code == 0, done.output
    return done.output


def test_why_a_task_waits(layout: Layout, store: Store, add_task: Add, node: Callable[..., str]) -> None:
    """Its place in the queue, and of each node why it has not taken it."""
    add_task(created_at="2026-11-19T00:00:00Z")
    task_id = add_task()
    assert "No render worker runs; start one with: reelmill render" in why(layout, task_id)
    node("busy", state="rendering", label="fantasy/other/1")
    node("free")
    node("mac", profiles=["shorts"])
    node("paused")
    node("resting", state="resting", why="disk full")
    node("ill")
    Orders(layout).pause(Order(by="ann", when="now", why="lunch"), "paused")
    verdict = NodeVerdict(node="ill", what="late", words="shows no life since 18:03", since="now")
    MainRecord(host="h", pid=1, program="1", state="idle", nodes=(verdict,), updated_at="now").write(layout.main_record)
    said = why(layout, task_id)
    for words in (
        "It waits with priority 50, 2 of 2 in the queue.",
        "Node busy is rendering fantasy/other/1.",
        "Node free will take it when its turn comes.",
        'Node mac cannot encode the profile "default"',
        "Node paused was paused by ann: lunch.",
        "Node resting is resting: disk full.",
        "Node ill shows no life since 18:03.",
    ):
        assert words in said
    claim = store.claim(task_id, "free")
    assert claim is not None
    store.give_back(claim, Ending.FAILED, "the gate refused it")
    said = why(layout, task_id)
    assert "Attempt 1, by free, ended at " in said
    assert ": the gate refused it" in said
    assert "Node free has failed it before and leaves it to others for a while." in said


def test_a_task_that_waits_says_when_it_is_done(layout: Layout, add_task: Add, node: Callable[..., str]) -> None:
    """After those before it, at the nodes' pace; nothing where no node takes tasks, or has made one."""
    add_task(created_at="2026-11-19T00:00:00Z", voice_duration=3600.0)
    task_id = add_task(voice_duration=600.0)
    add_task(created_at="2026-11-21T00:00:00Z", voice_duration=86400.0)
    node("new")
    assert "2 of 3 in the queue.\n" in why(layout, task_id)
    node("studio", pace=1.0)
    node("new", state="paused")
    told = "2 of 3 in the queue; at the nodes' pace it is done about 1 h 10 min from now."
    assert told in why(layout, task_id)
    assert told in reelmill(layout, "show", task_id).output
    node("studio", pace=1.0, profiles=["shorts"])
    assert "2 of 3 in the queue.\n" in why(layout, task_id)
    node("studio", pace=1.0)
    Orders(layout).pause(Order(by="ann", when="now"))
    assert "2 of 3 in the queue.\n" in why(layout, task_id)


def test_why_a_task_is_in_work_or_has_ended(
    layout: Layout, store: Store, add_task: Add, fail_task: Add, node: Callable[..., str]
) -> None:
    """Who renders it and how far it is; why it failed; where the video is."""
    task_id = add_task()
    assert store.claim(task_id, node("studio", state="rendering")) is not None
    assert "Node studio renders it since " in why(layout, task_id)
    node("studio", state="rendering", task_id=task_id, phase="conforming", percent=43.2)
    assert "It is conforming: 43 % done." in why(layout, task_id)
    failed = fail_task(chapter="9", titles=())
    assert "It has failed: It failed." in why(layout, failed)
    layout.task(TaskState.PROCESSING, task_id).rename(layout.task(TaskState.FINISHED, task_id))
    assert f"It is finished: output/{task_id}/final.mp4" in why(layout, task_id)
    assert reelmill(layout, "status", "--why", "nothing").exit_code == 2
