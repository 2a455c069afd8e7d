"""A lane takes turn after turn; a fault in it ends its worker, and a lane that is stuck does not look alive."""

from __future__ import annotations

import threading

from render_worker.lanes.lane import Lane

PATIENCE = 30.0


class Counting(Lane):
    """Counts its turns, and may fail in one."""

    def __init__(self, stop: threading.Event, fails_at: int = 0) -> None:
        super().__init__("counting", stop)
        self.turns = 0
        self._fails_at = fails_at
        self.reached = threading.Event()

    def turn(self) -> float:
        self.turns += 1
        if self.turns == self._fails_at:
            raise ValueError("this turn went wrong")
        if self.turns >= 3:
            self.reached.set()
        return 0.001


def test_turn_after_turn_until_it_is_to_stop() -> None:
    """Nothing else ends it."""
    stop = threading.Event()
    lane = Counting(stop)
    lane.start()
    assert lane.reached.wait(PATIENCE)
    stop.set()
    lane.join()
    assert lane.fault is None


def test_a_fault_stops_all_and_is_kept() -> None:
    """Else the worker would go on without one of its lanes."""
    stop = threading.Event()
    lane = Counting(stop, fails_at=2)
    lane.start()
    assert stop.wait(PATIENCE)
    lane.join()
    assert isinstance(lane.fault, ValueError)


def test_a_lane_in_one_turn_for_too_long_does_not_move() -> None:
    """Until it marks that it does, or waits because it is meant to."""
    lane = Counting(threading.Event())
    assert not lane.moves(0.0)
    lane.mark()
    assert lane.moves(60.0)
    with lane.waiting():
        assert lane.moves(0.0)
    assert not lane.moves(0.0)
