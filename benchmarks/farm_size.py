"""How many nodes one root carries: the real store and queue on a real tree in memory, with a simulated clock.

Each node takes a task, renders it for a while that only the clock knows, and publishes it. What it asks of the tree is
carried out for real, and counted: a request takes its way there and back, and the server works off one after the other.
Nodes that render ask for things as well (record, heartbeat, hold), which takes a share of the server.

The last line is ``RESULT {…}``: for each number of nodes the share of time in which they render, and the number at
which that falls below 95 %.

    python -m benchmarks.farm_size            some minutes
    python -m benchmarks.farm_size --small    to see that it works
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.seeding import fill_queue
from console.init import lay_out
from main_worker.nodes.assignment import Offer, Wish, assign
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.queue import Queue
from shared.records.render import RenderRecord
from shared.store import Store
from shared.tree.local import LocalTree

_LATENCY = 0.0008  # seconds there and back; `python -m tests.torture.two_machines --latencies` measures both over sshfs
_SERVICE = 0.00043  # seconds that the server works on one request, as one core does
_PER_ENTRY = 2e-6  # seconds that one name in a listing costs more
_BEATS = 4.4  # requests a second of a node that renders: its record (3), its hold (1), its heartbeat (2 in 5 s)
_RENDER_SECONDS = (20.0, 100.0)  # of one task
_HANDED_SECONDS = 2.0
_TASKS_PER_NODE = 6


class Clock:
    """The time of one node, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Server:
    """Works off one request after the other; `share` of its time goes into what rendering nodes ask for."""

    share: float
    free_at: float = 0.0
    requests: int = 0

    def serve(self, arrived: float, entries: int) -> float:
        """When a request is done that has arrived."""
        self.requests += 1
        seconds = (_SERVICE + entries * _PER_ENTRY) / max(1e-3, 1 - self.share)
        self.free_at = max(arrived, self.free_at) + seconds
        return self.free_at


class TimedTree:
    """A tree of this machine whose requests take the time of a far one."""

    def __init__(self, root: Path, clock: Clock, server: Server) -> None:
        self._tree = LocalTree(root)
        self._clock = clock
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., Any]:
        ask = getattr(self._tree, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            self._clock.now += _LATENCY / 2
            found, failed = None, None
            try:
                found = ask(*arguments, **options)
            except OSError as error:
                failed = error
            entries = len(found) if name == "entries" and found is not None else 0
            self._clock.now = self._server.serve(self._clock.now, entries) + _LATENCY / 2
            if failed:
                raise failed
            return found

        return timed


class Desk:
    """The main worker, which sits where the root is: every two seconds it suggests tasks to the nodes."""

    def __init__(self, layout: Layout, nodes: int) -> None:
        self.nodes = nodes
        self._store = Store(layout)
        self._queue = Queue(self._store)
        self._offers = [Offer(f"node-{number}") for number in range(nodes)]
        self.names = [offer.node for offer in self._offers]
        self._each = max(1, min(10, 3000 // nodes))
        self._lists: dict[str, list[str]] = {}
        self._made_at = float("-inf")

    def agenda(self, node: str, now: float) -> list[str]:
        """What a node finds suggested at a moment."""
        if now >= self._made_at + _HANDED_SECONDS:
            self._made_at = now
            self._queue.look(now=True)
            first = islice(self._queue.tasks(), 3 * self._each * self.nodes)
            self._lists = assign((Wish(one.task_id, "default", 60.0) for one in first), self._offers, self._each)
        return self._lists.get(node, [])


class Node:
    """One node: takes tasks as long as there are any."""

    def __init__(self, name: str, layout: Layout, server: Server, desk: Desk, chance: random.Random) -> None:
        self.clock = Clock()
        self.rendered = 0.0
        self._name = name
        self._store = Store(layout, TimedTree(layout.root, self.clock, server))  # type: ignore[arg-type]
        self._queue = Queue(self._store, self.clock)
        self._desk = desk
        self._chance = chance
        self._claim: Any = None

    def step(self) -> bool:
        """Publish what is rendered, or take the next task; False when there is none."""
        if self._claim:
            claim, self._claim = self._claim, None
            self._store.publish(claim)
            return True
        for task_id in self._desk.agenda(self._name, self.clock.now):
            if claim := self._store.claim(task_id, self._name):
                self._render(claim)
                return True
        self._queue.look()
        for ticket in self._queue.shared(self._desk.names, self._name):
            claim = self._store.claim(ticket.task_id, self._name)
            self._queue.taken(ticket, by_us=claim is not None)
            if claim:
                self._render(claim)
                return True
        return bool(self._queue.ids)

    def _render(self, claim: Any) -> None:
        """What a render leaves, and the time it takes."""
        (claim.folder / FINAL).write_bytes(b"video")
        claim.metadata.write(claim.folder / METADATA)
        RenderRecord(
            task_id=claim.task_id,
            attempt=1,
            token=claim.token,
            node=self._name,
            program="",
            ffmpeg="",
            encoder="",
            mode="",
            plan={},
            checks=(),
            sha256="",
            size=5,
            seconds=0,
            frames=0,
            timings={},
            started_at="",
            finished_at="",
        ).write(claim.folder / RENDER_RECORD)
        seconds = self._chance.uniform(*_RENDER_SECONDS)
        self.clock.now += seconds
        self.rendered += seconds
        self._claim = claim


def utilisation(nodes: int, into: Path | None) -> tuple[float, float]:
    """The share of time in which so many nodes render, and how busy they keep the server."""
    with tempfile.TemporaryDirectory(prefix="reelmill-size-", dir=into) as name:
        layout = lay_out(Path(name) / "root")
        fill_queue(layout, nodes * _TASKS_PER_NODE)
        chance = random.Random(nodes)
        server = Server(share=min(0.999, nodes * _BEATS * _SERVICE))
        desk = Desk(layout, nodes)
        farm = [Node(f"node-{number}", layout, server, desk, chance) for number in range(nodes)]
        turns = [(0.0, number) for number in range(nodes)]
        heapq.heapify(turns)
        while turns:
            _, number = heapq.heappop(turns)
            node = farm[number]
            if node.step():
                heapq.heappush(turns, (node.clock.now, number))
        # A node's time ends with its own last task: that others still render says nothing about the root.
        whole = sum(node.clock.now for node in farm)
        busy = server.share + server.requests * _SERVICE / max(node.clock.now for node in farm)
        return sum(node.rendered for node in farm) / whole, min(1.0, busy)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.farm_size", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    memory = Path("/dev/shm")  # noqa: S108 - not for anything that is kept
    options = parser.parse_args(arguments)
    into = memory if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30 else None
    sizes = (2, 5) if options.small else (10, 30, 100, 300, 600, 1000)
    curve: dict[int, float] = {}
    for nodes in sizes:
        share, busy = utilisation(nodes, into)
        curve[nodes] = round(share, 4)
        told = f"{nodes:>5} nodes render {100 * share:.1f} % of their time; the server is busy {100 * busy:.0f} %"
        print(told, flush=True)
    saturates = next((nodes for nodes, share in curve.items() if share < 0.95), None)  # noqa: PLR2004 - as asked
    print(f"RESULT {json.dumps({'utilisation': curve, 'below_95_percent_at': saturates})}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
