"""What is fetched and not begun goes back as soon as the node may begin nothing; trouble does not spread over tasks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from render_worker.choosing import Choosing
from render_worker.commands.encoders import Way
from render_worker.fitting import Fitting
from render_worker.hauling import Told
from render_worker.lanes.board import Doing
from render_worker.lanes.delivering import Delivering
from render_worker.lanes.slot import Slot
from render_worker.lanes.taking import Taking
from render_worker.pace import Pace
from render_worker.progress import Report
from render_worker.room import Room
from render_worker.ways import Ways
from shared.config import load_config
from shared.domain.layout import Layout
from shared.domain.node import NodeState
from shared.domain.retry import Ending
from shared.domain.task import DEFAULT_PROFILE, TaskState
from shared.ffmpeg import find_ffmpeg
from shared.nodes import Nodes
from shared.orders import Orders
from shared.records.node import NodeRecord
from shared.records.orders import Order
from shared.records.reason import CANCELLED, Reason
from shared.segments import SegmentCache
from shared.store import Claim, Store
from shared.tree.tree import TreeTrouble
from tests.leftovers import leftovers
from tests.render_worker.lanes.conftest import AddTask, FarNode

ORDER = Order(by="ann", when="2026-01-01T00:00:00Z")


@pytest.fixture
def fetched() -> Slot[Claim]:
    return Slot()


@pytest.fixture
def taking(node: FarNode, fetched: Slot[Claim]) -> Taking:
    config, cache = load_config(None), SegmentCache(node.home, "far", 1 << 30)
    room = Room(node.home, cache, 0, node.log)
    ways = Ways({DEFAULT_PROFILE: (Way("libx264"),)})
    fitting = Fitting(config, node.home, find_ffmpeg(config.ffmpeg.path), ways, cache, room)
    return Taking(
        node.at,
        node.care,
        choosing=Choosing(node.store, "far", fitting, Nodes(node.home, 300.0, tree=node.tree), node.log),
        duty=node.duty,
        room=room,
        poll_seconds=0.1,
        self_test=lambda: True,
        fetched=fetched,
        delivering=Delivering(node.at, node.care, Pace(), None),
        sharing=None,
    )


def test_the_next_task_is_taken_and_fetched(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask
) -> None:
    """It waits to be begun."""
    task_id = add_task()
    assert taking.turn() == 0.0
    assert fetched.thing
    assert fetched.thing.task_id == task_id
    assert node.care.tasks == {task_id}


def test_a_task_that_is_fetched_while_the_node_is_paused_is_not_begun(
    farm: Layout,
    node: FarNode,
    taking: Taking,
    fetched: Slot[Claim],
    add_task: AddTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes back, though a render that has begun would go on to its end."""
    task_id = add_task()
    bring = node.hauling.bring

    def paused_meanwhile(claim: Claim, told: Told) -> int:
        came = bring(claim, told)
        Orders(farm).pause(ORDER, "far")
        node.duty.look()
        return came

    monkeypatch.setattr(node.hauling, "bring", paused_meanwhile)
    taking.turn()
    assert fetched.thing is None
    assert node.store.find(task_id) is TaskState.WAITING
    assert [one.ended for one in node.store.attempts(TaskState.WAITING, task_id)] == [Ending.GIVEN_BACK]
    assert not node.care.tasks


def test_a_task_that_is_cancelled_while_it_waits_for_its_turn_is_dropped(
    farm: Layout,
    node: FarNode,
    taking: Taking,
    fetched: Slot[Claim],
    add_task: AddTask,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """Nothing of it stays here, and another one has its place."""
    task_id, other = add_task(), add_task()
    taking.turn()
    claim = fetched.thing
    assert claim
    assert Store(farm).cancel(task_id, Reason(code=CANCELLED, reason="It was cancelled.", advice="", when="now"))
    node.pulse.start()
    wait_until(lambda: node.pulse.lost(claim))
    taking.turn()
    node.pulse.stop()
    assert fetched.thing is None
    assert not node.care.tasks
    assert not list(node.home.state(TaskState.PROCESSING).iterdir())
    assert leftovers(farm) == []
    assert node.store.find(task_id) is TaskState.FAILED
    assert node.resting.is_over
    taking.turn()
    assert fetched.thing
    assert fetched.thing.task_id == other


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other nodes are looked at each time, not now and then."""
    monkeypatch.setattr("render_worker.lanes.taking._ROUND_SECONDS", 0.0)


def beside(node: FarNode, profiles: tuple[str, ...] | None = None) -> None:
    """Another node of the farm, which has nothing to do."""
    record = NodeRecord(
        node="other", host="far", pid=1, program="1", state="idle", profiles=profiles, updated_at="2026-01-01T00:00:00Z"
    )
    node.tree.replace(node.store.at(node.store.layout.node_record("other")), record.to_bytes())


def ahead(node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask, eta: float | None = 600.0) -> str:
    """The node renders something, and has taken this task ahead of its turn."""
    task_id = add_task()
    taking.turn()
    assert fetched.thing
    node.board.makes(Doing(NodeState.RENDERING, report=Report("joining", 50.0, 60.0, 2.0, eta)))
    return task_id


@pytest.mark.usefixtures("rounds")
def test_what_was_taken_ahead_is_left_to_a_node_that_has_nothing_to_do(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask
) -> None:
    """Once that was seen twice: between two tasks a node has nothing to do for a moment."""
    task_id = ahead(node, taking, fetched, add_task)
    beside(node)
    taking.turn()
    assert fetched.thing
    taking.turn()
    assert fetched.thing is None
    assert node.store.find(task_id) is TaskState.WAITING
    assert [one.why for one in node.store.attempts(TaskState.WAITING, task_id)] == [
        "another node has nothing to do and can begin it now"
    ]
    taking.turn()
    assert fetched.thing is None, "it is for the other node now"


@pytest.mark.usefixtures("rounds")
@pytest.mark.parametrize(
    ("profiles", "eta", "more"),
    [((), 600.0, False), (None, 10.0, False), (None, 600.0, True)],
    ids=["the other cannot make it", "it is begun here within moments", "something waits for the other"],
)
def test_what_was_taken_ahead_stays_where_that_is_better(
    node: FarNode,
    taking: Taking,
    fetched: Slot[Claim],
    add_task: AddTask,
    profiles: tuple[str, ...] | None,
    eta: float,
    more: bool,
) -> None:
    """To give it back costs another fetch."""
    ahead(node, taking, fetched, add_task, eta)
    beside(node, profiles)
    if more:
        add_task()
    for _ in range(3):
        taking.turn()
    assert fetched.thing


@pytest.mark.usefixtures("rounds")
def test_what_was_taken_ahead_stays_while_nobody_can_tell_who_has_nothing_to_do(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that is down for a moment ends no worker."""
    ahead(node, taking, fetched, add_task)
    beside(node)

    def refuse(_profile: str) -> bool:
        raise TreeTrouble("there is no link")

    monkeypatch.setattr(Choosing, "is_wanted_elsewhere", lambda _, profile: refuse(profile))
    for _ in range(3):
        taking.turn()
    assert fetched.thing


def test_a_node_that_cannot_claim_one_task_does_not_try_all(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests, and says so."""
    for _ in range(5):
        add_task()
    tried = []

    def refuse(task_id: str, _node: str) -> Claim | None:
        tried.append(task_id)
        raise TreeTrouble("Cannot write .farm/locks: Failure")

    monkeypatch.setattr(node.store, "claim", refuse)
    assert fetched.take(0) is None
    taking.turn()
    assert len(tried) == 1
    assert node.board.look()[0].state is NodeState.RESTING


def test_what_was_fetched_stays_while_nobody_can_tell_what_is_kept_in_vain(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To tidy up without a link is no trouble that would end anything."""

    def refuse() -> None:
        raise TreeTrouble("there is no link")

    monkeypatch.setattr(node.hauling, "tidy", refuse)
    add_task()
    taking.turn()
    assert fetched.thing
    assert node.resting.is_over


def test_a_kept_video_is_delivered_where_there_is_no_room_to_render_it(
    node: FarNode, taking: Taking, fetched: Slot[Claim], add_task: AddTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others leave the task to this node, which would otherwise never take it."""
    task_id = add_task()
    claim = node.claim(task_id)
    node.render(claim)
    node.hauling.keep(claim)
    node.care.give_back(claim)
    monkeypatch.setattr(Fitting, "fits", lambda *_: False)
    taking.turn()
    assert fetched.thing is None
    assert node.care.tasks == {task_id}


def test_a_task_whose_leftovers_cannot_be_removed_has_ended_all_the_same(
    node: FarNode, add_task: AddTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else this node would never take it again, and never be drained."""

    def refuse(_claim: Claim) -> None:
        raise OSError(30, "Read-only file system")

    claim = node.claim(add_task())
    monkeypatch.setattr(node.hauling, "let_go", refuse)
    node.care.give_back(claim)
    assert not node.care.tasks
    assert not node.resting.is_over
    assert node.store.find(claim.task_id) is TaskState.WAITING


def test_a_drained_node_ends_though_its_order_cannot_be_taken_back(
    farm: Layout, node: FarNode, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only operators may write orders it would rest for ever instead."""
    Orders(farm).drain(ORDER, "far")
    node.duty.look()

    def refuse() -> None:
        raise TreeTrouble("The server does not allow to write .farm/orders/node-far.json")

    monkeypatch.setattr(node.duty, "end", refuse)
    taking.turn()
    assert node.stop.is_set()
    assert node.resting.is_over
