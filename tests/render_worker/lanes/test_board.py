"""What a node says of itself, as its lanes tell it."""

from __future__ import annotations

import pytest

from render_worker.lanes.board import Board, Doing
from shared.domain.node import NodeState
from shared.records.node import Direction


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(clock)


def test_what_is_made_comes_before_what_is_carried_before_how_it_stands(board: Board) -> None:
    """A node that renders is rendering, whatever else it does; one that only fetches says that."""
    board.stands(Doing(NodeState.IDLE))
    assert board.look()[0].state is NodeState.IDLE
    board.carries(Direction.FETCHING, "two", "tales/two", 0, 10)
    assert (board.look()[0].state, board.look()[0].task_id) == (NodeState.PREFETCHING, "two")
    board.makes(Doing(NodeState.RENDERING, task_id="one"))
    doing, transfers = board.look()
    assert (doing.task_id, [transfer.task_id for transfer in transfers]) == ("one", ["two"])
    board.makes(None)
    board.carried(Direction.FETCHING)
    board.carries(Direction.DELIVERING, "one", "tales/one", 0, 10)
    assert board.look()[0].state is NodeState.DELIVERING
    board.carried(Direction.DELIVERING)
    assert board.look() == (Doing(NodeState.IDLE), ())


def test_a_transfer_has_a_rate_of_its_last_seconds_and_an_end_in_sight(board: Board, clock: Clock) -> None:
    """A link that has become slow is shown as slow, not as what it was on average."""
    board.carries(Direction.FETCHING, "one", "tales/one", 0, 10_000)
    assert board.look()[1][0].bytes_per_second is None
    for _ in range(10):
        clock.now += 1
        board.carries(Direction.FETCHING, "one", "tales/one", int(clock.now - 100) * 500, 10_000)
    (transfer,) = board.look()[1]
    assert (transfer.bytes_per_second, transfer.eta_seconds) == (500, 10.0)
    assert transfer.words == "fetching tales/one 50 % at 0.0 MB/s, 10 s left"
    for _ in range(10):
        clock.now += 1
        board.carries(Direction.FETCHING, "one", "tales/one", 5000 + int(clock.now - 110) * 10, 10_000)
    (transfer,) = board.look()[1]
    assert transfer.bytes_per_second == 10
    assert transfer.eta_seconds == pytest.approx(490, abs=1)


def test_another_task_begins_anew(board: Board, clock: Clock) -> None:
    """The bytes of the one before do not count."""
    board.carries(Direction.FETCHING, "one", "tales/one", 900, 1000)
    clock.now += 10
    board.carries(Direction.FETCHING, "two", "tales/two", 0, 1000)
    clock.now += 1
    board.carries(Direction.FETCHING, "two", "tales/two", 100, 1000)
    (transfer,) = board.look()[1]
    assert (transfer.task_id, transfer.bytes_per_second) == ("two", 100)


def test_a_transfer_that_begins_anew_does_not_run_backwards(board: Board, clock: Clock) -> None:
    """One clip after another, or a damaged file once more, has less than was there before."""
    board.carries(Direction.DELIVERING, "", "conformed clips", 900, 1000)
    clock.now += 6
    board.carries(Direction.DELIVERING, "", "conformed clips", 100, 1000)
    (transfer,) = board.look()[1]
    assert (transfer.bytes_per_second, transfer.eta_seconds) == (0, None)
