"""The nodes of a root as one observer sees them."""

from __future__ import annotations

import os
import platform
from pathlib import Path, PurePosixPath

import pytest

from shared.domain.claim import Sighting
from shared.domain.layout import Layout
from shared.domain.node import Life, NodeState, life
from shared.domain.retry import Crew
from shared.lifesign import hold
from shared.nodes import Nodes
from shared.records.node import NodeRecord
from shared.tree.local import LocalTree
from shared.tree.tree import Unreachable

LEASE = 90.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nodes(layout: Layout, clock: Clock) -> Nodes:
    return Nodes(layout, LEASE, clock)


def say(layout: Layout, node: str, counter: int = 1, **changes: object) -> Path:
    """What a node writes about itself every second."""
    values: dict[str, object] = {
        "node": node,
        "host": "elsewhere",
        "pid": 1,
        "program": "1",
        "state": "idle",
        "counter": counter,
        "updated_at": "2026-11-20T18:03:44Z",
    }
    NodeRecord.model_validate(values | changes).write(layout.node_record(node))
    return layout.node_record(node)


def lives(nodes: Nodes) -> dict[str, Life]:
    return {name: seen.life for name, seen in nodes.look().items()}


def test_a_silent_node_is_late_and_then_dead_and_one_that_counts_lives(
    layout: Layout, nodes: Nodes, clock: Clock
) -> None:
    """By the observer's own clock: what the records say of the time is not believed."""
    say(layout, "silent")
    seen = []
    for second in range(100):
        say(layout, "lively", second)
        clock.now += 1.0
        seen.append(lives(nodes))
    assert {found["lively"] for found in seen} == {Life.ALIVE}
    ends = [next(n for n, found in enumerate(seen) if found["silent"] is wanted) for wanted in Life]
    assert ends == [0, LEASE / 3, LEASE]
    say(layout, "silent", 2)
    clock.now += 1.0
    assert lives(nodes)["silent"] is Life.ALIVE


def test_a_node_that_left_is_forgotten(layout: Layout, nodes: Nodes, clock: Clock) -> None:
    """It removed its record; a damaged one tells nothing new."""
    record = say(layout, "a")
    say(layout, "b")
    assert set(nodes.look()) == {"a", "b"}
    record.unlink()
    layout.node_record("b").write_text("{", "utf-8")
    clock.now += 1.0
    assert set(nodes.look()) == {"b"}


def test_a_node_of_this_host_that_ended_is_dead_at_once(layout: Layout, nodes: Nodes, clock: Clock) -> None:
    """The kernel knows: nobody holds its lock."""
    say(layout, "a", host=platform.node())
    handle = os.open(layout.node_lock("a"), os.O_RDWR | os.O_CREAT)
    assert hold(handle)
    assert lives(nodes) == {"a": Life.ALIVE}
    os.close(handle)
    clock.now += 1.0
    assert lives(nodes) == {"a": Life.DEAD}


def test_the_crew_of_a_profile(layout: Layout, nodes: Nodes) -> None:
    """Living nodes that can encode it, or do not say; and of all, those that are set aside."""
    say(layout, "a", profiles=["default", "shorts"])
    say(layout, "b", profiles=["default"], state=NodeState.UNHEALTHY.value)
    say(layout, "c")
    assert nodes.crew("shorts") == Crew(frozenset("ac"), frozenset("b"))
    assert nodes.crew("default") == Crew(frozenset("abc"), frozenset("b"))


def test_few_reads_are_no_evidence() -> None:
    """An observer that slept does not take everybody for dead."""
    assert life(Sighting(b"x", 0.0, 2), 1e6, LEASE, gone_here=False) is Life.ALIVE
    assert life(Sighting(b"x", 0.0, 3), 1e6, LEASE, gone_here=False) is Life.DEAD
    assert life(Sighting(b"x", 0.0, 1), 0.0, LEASE, gone_here=True) is Life.DEAD


def test_a_link_that_is_gone_is_waited_for_once(layout: Layout) -> None:
    """Not once more for each of the nodes."""
    asked = []

    class Gone(LocalTree):
        def read(self, path: PurePosixPath) -> bytes:
            asked.append(path)
            raise Unreachable("there is no link")

    for node in "abc":
        say(layout, node)
    assert Nodes(layout, LEASE, tree=Gone(layout.root)).look() == {}
    assert len(asked) == 1
