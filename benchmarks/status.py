"""How long `reelmill status` takes on a large farm: 100,000 waiting tasks, 2,000 that failed, 1,000 nodes.

The command as a person calls it, started anew each time; the median of five. The last line is ``RESULT {…}``.

    python -m benchmarks.status            a minute to lay out, some seconds to measure
    python -m benchmarks.status --small    to see that it works
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.seeding import fill_queue
from console.init import lay_out
from shared.domain.layout import REASON, Layout
from shared.domain.task import TaskState
from shared.records.node import NodeRecord
from shared.records.reason import Reason

_RUNS = 5


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.status", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args(arguments)
    waiting, failed, nodes = (500, 50, 20) if options.small else (100_000, 2_000, 1_000)
    with tempfile.TemporaryDirectory(prefix="reelmill-status-") as name:
        layout = lay_out(Path(name) / "root")
        fill_queue(layout, waiting + failed)
        fail_some(layout, failed)
        add_nodes(layout, nodes)
        seconds = {words: statistics.median(timed(layout, *words.split()) for _ in range(_RUNS)) for words in _WAYS}
        for words, took in seconds.items():
            print(f"reelmill {words}: {took:.2f} s")
        print(f"RESULT {json.dumps({'seconds': round(seconds['status'], 2)})}")
    return 0


_WAYS = ("status", "status --json", "nodes", "tasks --limit 20", "history --limit 20")


def timed(layout: Layout, *words: str) -> float:
    """Seconds that a command takes, from its start to its end."""
    command = [str(Path(sys.executable).with_name("reelmill")), words[0], "--root", str(layout.root), *words[1:]]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def fail_some(layout: Layout, count: int) -> None:
    waiting = sorted(layout.state(TaskState.WAITING).glob("*-*"))
    reason = Reason(code="render_failed", reason="It failed.", advice="Look.", when="2026-11-20T18:03:44Z")
    for folder in waiting[:count]:
        reason.write(folder / REASON)
        folder.rename(layout.task(TaskState.FAILED, folder.name))


def add_nodes(layout: Layout, count: int) -> None:
    for number in range(count):
        NodeRecord(
            node=f"node-{number:04}",
            host="elsewhere",
            pid=1,
            program="1",
            state="rendering",
            label="category/story/chapter",
            percent=43.2,
            fps=210.0,
            updated_at="2026-11-20T18:03:44Z",
        ).write(layout.node_record(f"node-{number:04}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
