"""What it costs to take a task, whether that grows with the queue, and how fast many workers take tasks together.

    claims_per_s             tasks that 32 processes took in a second, all together, of 10,000 that wait.
    cost_ratio_100k_over_1k  time of taking one task (looking for the next, and claiming it) with 100,000 waiting over
                             that with 1,000; of several rounds in changing order, the median.
    doubled                  tasks that two processes took.

Giving back, which is no part of a claim, keeps the queue as long as it was; its time is not counted.

    python -m benchmarks.claims            five minutes on two cores
    python -m benchmarks.claims --small    a quick check that it works
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.seeding import fill_queue
from console.init import lay_out
from shared.domain.layout import Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.queue import Queue
from shared.store import Claim, Store

_PROCESSES = 32
_BATCH = 50  # claims whose time is taken together: a clock is read between them, not within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--into", type=Path, help="folder for the roots; the temporary folder otherwise")
    parser.add_argument("--take", nargs=3, metavar=("ROOT", "NODE", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.take:
        root, node, seconds = given.take
        take(Layout(Path(root)), node, float(seconds))
        return
    few, many, crowd = (100, 2_000, 500) if given.small else (1_000, 100_000, 10_000)
    seconds, rounds = (2.0, 2) if given.small else (10.0, 3)
    with root_of(few, given.into) as small, root_of(many, given.into) as large:
        ratio = cost_ratio(small, large, seconds, rounds)
    with root_of(crowd, given.into) as shared:
        rate, doubled = crowded(shared, seconds)
    result = {"claims_per_s": round(rate), "cost_ratio_100k_over_1k": round(ratio, 2), "doubled": doubled}
    print(f"RESULT {json.dumps(result)}")


@contextmanager
def root_of(tasks: int, into: Path | None) -> Iterator[Layout]:
    """A root with so many waiting tasks."""
    with tempfile.TemporaryDirectory(prefix="reelmill-claims-", dir=into) as name:
        layout = lay_out(Path(name) / "root")
        fill_queue(layout, tasks)
        yield layout


# -- one after the other -------------------------------------------------------------------------


def cost_ratio(small: Layout, large: Layout, seconds: float, rounds: int) -> float:
    """How much more a claim costs on the large root; the median over rounds."""
    claimers = {"1k": Claimer(small), "100k": Claimer(large)}
    ratios = []
    for number in range(rounds):
        order = sorted(claimers, reverse=number % 2 == 1)
        cost = {name: claimers[name].cost(seconds) for name in order}
        ratios.append(cost["100k"] / cost["1k"])
        print(
            f"round {number + 1}: {1000 * cost['1k']:.2f} ms with few, {1000 * cost['100k']:.2f} ms with many waiting"
        )
    return statistics.median(ratios)


class Claimer:
    """One worker that has been at it for a while: its first look, which reads every task, is behind it."""

    def __init__(self, layout: Layout) -> None:
        self._store = Store(layout)
        self._queue = Queue(self._store)
        self._queue.look()

    def cost(self, seconds: float) -> float:
        """Seconds that taking one task takes, over so many seconds of taking."""
        spent, count = 0.0, 0
        while spent < seconds:
            started = time.perf_counter()
            claims = [self._take() for _ in range(_BATCH)]
            spent += time.perf_counter() - started
            count += len(claims)
            for claim in claims:
                self._store.give_back(claim, Ending.GIVEN_BACK, "measured")
        return spent / count

    def _take(self) -> Claim:
        while True:
            self._queue.look()
            for ticket in self._queue.tasks():
                claim = self._store.claim(ticket.task_id, "node")
                self._queue.taken(ticket, by_us=claim is not None)
                if claim:
                    return claim


# -- all at once ---------------------------------------------------------------------------------


def crowded(layout: Layout, seconds: float) -> tuple[float, int]:
    """Tasks taken in a second by many processes together, and how many were held by two at the same time."""
    command = [sys.executable, "-m", "benchmarks.claims", "--take", str(layout.root)]
    crowd = [
        subprocess.Popen([*command, f"node-{number}", str(seconds)], stdout=subprocess.PIPE, text=True)
        for number in range(_PROCESSES)
    ]
    for process in crowd:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        process.stdout.readline()
    (layout.farm / "go").touch()
    taken = [line for process in crowd for line in process.communicate()[0].split()]
    there = len(Store(layout).ids(TaskState.PROCESSING))
    print(f"{len(taken)} claims by {_PROCESSES} processes in {seconds:g} s; {there} tasks in processing/")
    return len(taken) / seconds, len(taken) - len(set(taken))


def take(layout: Layout, node: str, seconds: float) -> None:
    """Take tasks for a while, and print them."""
    store = Store(layout)
    queue = Queue(store)
    queue.look()
    print("ready", flush=True)
    while not (layout.farm / "go").exists():
        time.sleep(0.001)
    ends = time.monotonic() + seconds
    taken = []
    crowd = [f"node-{number}" for number in range(_PROCESSES)]
    while time.monotonic() < ends and queue.ids:
        queue.look()
        for ticket in queue.shared(crowd, node):  # as a render worker does
            claim = store.claim(ticket.task_id, node)
            queue.taken(ticket, by_us=claim is not None)
            if claim:
                claim.sign.abandon()  # thousands of open files are no part of it
                taken.append(ticket.task_id)
                break
    print("\n".join(taken))


if __name__ == "__main__":
    main()
