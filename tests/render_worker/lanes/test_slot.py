"""A slot between two threads: room for one thing, which may be taken back."""

from __future__ import annotations

import threading
import time

from render_worker.lanes.slot import Slot

PATIENCE = 30.0


def test_what_is_left_there_is_taken_once() -> None:
    """One thing fits; a second one only after somebody has taken the first."""
    slot: Slot[str] = Slot()
    assert slot.put("a", 0)
    assert not slot.put("b", 0)
    assert slot.thing == "a"
    assert slot.take(0) == "a"
    assert slot.take(0) is None
    assert slot.put("b", 0)


def test_it_is_wanted_until_there_is_something() -> None:
    """Whoever asked in vain has nothing else to do, also after it has stopped waiting."""
    slot: Slot[str] = Slot()
    assert not slot.is_wanted
    assert not slot.wait_until_wanted(0)
    assert slot.take(0) is None
    assert slot.is_wanted
    assert slot.wait_until_wanted(0)
    assert slot.put("a", 0)
    assert not slot.wait_until_wanted(0)
    assert slot.take(0) == "a"
    assert not slot.is_wanted


def test_what_nobody_took_can_be_taken_back() -> None:
    """Then there is room again, and nobody else gets it."""
    slot: Slot[str] = Slot()
    assert slot.take_back() is None
    slot.put("a", 0)
    assert slot.take_back() == "a"
    assert slot.wait_for_room(0)
    assert slot.take(0) is None


def test_a_thousand_things_go_from_thread_to_thread() -> None:
    """None is lost, doubled, or out of order, however the threads meet."""
    slot: Slot[int] = Slot()
    got: list[int] = []

    def taker() -> None:
        while len(got) < 1000:
            if (thing := slot.take(0.01)) is not None:
                got.append(thing)

    thread = threading.Thread(target=taker)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    for number in range(1000):
        while not slot.put(number, 0.01):
            assert time.monotonic() < deadline
    thread.join(PATIENCE)
    assert got == list(range(1000))
