"""The pulse: a heartbeat in the lock file, a watch over the hold, and a record for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from render_worker.commands.encoders import Way
from render_worker.lanes.board import Board, Doing
from render_worker.pace import Pace
from render_worker.progress import Report
from render_worker.pulse import Pulse
from render_worker.ways import Ways
from shared.domain.layout import Layout
from shared.domain.node import NodeState
from shared.domain.task import DEFAULT_PROFILE, TaskState
from shared.records.lock import LockRecord
from shared.records.node import Direction, NodeRecord
from shared.store import Claim, Store
from shared.tree.tree import NoInformation

WAYS = Ways({DEFAULT_PROFILE: (Way("libx264"),)}, {"libx264": 61.5})
WaitUntil = Callable[[Callable[[], object]], None]


@pytest.fixture
def store(farm: Layout) -> Store:
    """The tasks of the farm."""
    return Store(farm)


@pytest.fixture
def board() -> Board:
    """What the node says of itself."""
    return Board()


@pytest.fixture
def pulse(store: Store, board: Board) -> Iterator[Pulse]:
    """A pulse that beats ten times a second."""
    pulse = Pulse(store, "a", 0.1, WAYS, Pace(), board, "ffmpeg 7", lambda _: None)
    pulse.start()
    yield pulse
    pulse.stop()


@pytest.fixture
def claim(store: Store, add_task: Callable[..., str]) -> Iterator[Claim]:
    """A task that this process holds."""
    claim = store.claim(add_task(), "a")
    assert claim is not None
    yield claim
    claim.sign.release()


def counter(farm: Layout, claim: Claim) -> int:
    return LockRecord.read(farm.lock(claim.task_id, 1)).counter


def test_a_held_task_shows_life(farm: Layout, pulse: Pulse, claim: Claim, wait_until: WaitUntil) -> None:
    """The counter in the lock file rises for as long as the task is held, and the hold is not lost."""
    pulse.hold(claim)
    before = counter(farm, claim)
    wait_until(lambda: counter(farm, claim) >= before + 3)
    assert not pulse.lost(claim)


def test_a_task_let_go_shows_no_more_life(farm: Layout, pulse: Pulse, claim: Claim, wait_until: WaitUntil) -> None:
    """After letting go nothing is written into the lock file any more, though the node goes on beating."""
    pulse.hold(claim)
    pulse.let_go(claim)
    before = counter(farm, claim)
    record = farm.node_record("a")
    wait_until(record.exists)
    beats = NodeRecord.read(record).counter
    wait_until(lambda: NodeRecord.read(record).counter > beats + 3)
    assert counter(farm, claim) == before


def test_an_attempt_folder_that_is_gone_is_a_lost_hold(
    farm: Layout, pulse: Pulse, claim: Claim, wait_until: WaitUntil
) -> None:
    """When the task is taken away, the holder knows it by itself."""
    pulse.hold(claim)
    farm.task(TaskState.PROCESSING, claim.task_id).rename(farm.root / "taken")
    wait_until(lambda: pulse.lost(claim))


def test_a_heartbeat_that_cannot_be_written_is_a_lost_hold(
    farm: Layout, pulse: Pulse, claim: Claim, wait_until: WaitUntil
) -> None:
    """A holder whose lock file was removed could be taken for dead, so it stops."""
    pulse.hold(claim)
    farm.lock(claim.task_id, 1).unlink()
    wait_until(lambda: pulse.lost(claim))


def test_each_held_task_has_a_life_of_its_own(
    farm: Layout, store: Store, pulse: Pulse, claim: Claim, add_task: Callable[..., str], wait_until: WaitUntil
) -> None:
    """A node holds the task that it renders and the next one: one may be lost while the other goes on beating."""
    following = store.claim(add_task(), "a")
    assert following is not None
    pulse.hold(claim)
    pulse.hold(following)
    assert pulse.tasks == {claim.task_id, following.task_id}
    farm.lock(claim.task_id, 1).unlink()
    wait_until(lambda: pulse.lost(claim))
    before = counter(farm, following)
    wait_until(lambda: counter(farm, following) > before + 1)
    assert not pulse.lost(following)
    pulse.let_go(claim)
    assert pulse.tasks == {following.task_id}
    pulse.let_go(following)
    following.sign.release()


def test_the_record_says_what_the_node_does(farm: Layout, pulse: Pulse, board: Board, wait_until: WaitUntil) -> None:
    """State, task and figures are those last said; numbers are rounded for people."""
    report = Report("joining", 12.345, 60.0, 2.0, 7.5)
    board.makes(Doing(NodeState.RENDERING, None, "id", "fantasy/dragon/1", report))
    board.carries(Direction.FETCHING, "next", "fantasy/dragon/2", 25, 100)
    record = farm.node_record("a")
    wait_until(lambda: record.exists() and NodeRecord.read(record).state == "rendering")
    shown = NodeRecord.read(record)
    assert (shown.node, shown.encoder, shown.task_id, shown.label) == ("a", "libx264", "id", "fantasy/dragon/1")
    assert (shown.phase, shown.percent, shown.fps, shown.speed, shown.eta_seconds) == ("joining", 12.3, 60.0, 2.0, 7.5)
    assert (shown.free_bytes or 0) > 0
    assert (shown.profiles, shown.measured_fps) == ((DEFAULT_PROFILE,), {"libx264": 61.5})
    assert shown.words == "joining fantasy/dragon/1 12 % at 60 fps, 8 s left; fetching fantasy/dragon/2 25 %"


def test_a_pulse_that_stops_removes_the_record(store: Store, farm: Layout, wait_until: WaitUntil) -> None:
    """A node that left is not a dead node."""
    pulse = Pulse(store, "b", 0.1, WAYS, Pace(), Board(), "ffmpeg 7", lambda _: None)
    pulse.start()
    wait_until(farm.node_record("b").exists)
    pulse.stop()
    assert not farm.node_record("b").exists()


def test_a_record_that_cannot_be_written_stops_nothing(
    farm: Layout, pulse: Pulse, claim: Claim, wait_until: WaitUntil
) -> None:
    """The task is kept alive even where the node's own record has no place."""
    farm.node_record("a").unlink(missing_ok=True)
    farm.nodes.rename(farm.root / "nodes-away")
    pulse.hold(claim)
    before = counter(farm, claim)
    wait_until(lambda: counter(farm, claim) >= before + 3)
    assert not pulse.lost(claim)


class Silent:
    """A sign of life whose server cannot tell; a hand-made double of a lock file that cannot be read there."""

    def beat(self) -> None:
        raise NoInformation("the server could not read the lock file")

    def abandon(self) -> None: ...

    def release(self) -> None: ...


def test_a_lock_file_that_cannot_be_read_is_no_trouble_of_other_tasks(
    farm: Layout, store: Store, claim: Claim, add_task: Callable[..., str], wait_until: WaitUntil
) -> None:
    """There is a link: what is held beside it goes on beating, and is not lost with it."""
    following = store.claim(add_task(), "c")
    assert following is not None
    pulse = Pulse(store, "c", 0.1, WAYS, Pace(), Board(), "ffmpeg 7", lambda _: None)
    pulse.start()
    pulse.hold(replace(claim, sign=Silent()))
    pulse.hold(following)
    wait_until(lambda: pulse.lost(claim))
    before = counter(farm, following)
    wait_until(lambda: counter(farm, following) > before + 1)
    assert not pulse.lost(following)
    pulse.let_go(following)
    pulse.stop()
    following.sign.release()


def test_a_line_that_stands_still_is_waited_for_once(
    store: Store, claim: Claim, add_task: Callable[..., str], wait_until: WaitUntil
) -> None:
    """In turn for each held task it would take longer than a lease."""
    asked = []

    class Dead(Silent):
        def beat(self) -> None:
            asked.append(self)
            raise NoInformation("the link broke", everywhere=True)

    following = store.claim(add_task(), "c")
    assert following is not None
    pulse = Pulse(store, "c", 0.1, WAYS, Pace(), Board(), "ffmpeg 7", lambda _: None, 60.0)
    first, second = Dead(), Dead()
    pulse.hold(replace(claim, sign=first))
    pulse.hold(replace(following, sign=second))
    pulse.start()
    wait_until(lambda: len(asked) > 2)
    pulse.stop()
    assert set(asked) == {first}
    following.sign.release()


@pytest.mark.parametrize(("patience", "lost"), [(0.0, True), (60.0, False)])
def test_a_heartbeat_without_an_answer_is_borne_for_a_while(
    store: Store, claim: Claim, wait_until: WaitUntil, patience: float, lost: bool
) -> None:
    """Nobody takes the task before the lease has run out; a heartbeat that was refused is another matter."""
    pulse = Pulse(store, "c", 0.1, WAYS, Pace(), Board(), "ffmpeg 7", lambda _: None, patience)
    pulse.start()
    pulse.hold(replace(claim, sign=Silent()))
    if lost:
        wait_until(lambda: pulse.lost(claim))
    else:
        record = store.layout.node_record("c")
        wait_until(lambda: record.exists() and NodeRecord.read(record).counter > 5)
        assert not pulse.lost(claim)
    pulse.let_go(claim)
    pulse.stop()
