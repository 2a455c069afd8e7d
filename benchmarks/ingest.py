"""What the main worker costs per drop beyond examining it, and whether that grows with the library and the queue.

Two roots, one with a library of 1,000 entries and an empty queue, one with 100,000 entries and 100,000 waiting tasks,
each with a real main worker process. The same drops (small clips, voices that become tasks, music) are given in rounds:
in each round once to a bare `Examiner` in this process, which examines as many at once as the main worker does and in
the same turns, once to the small root and once to the large one, in changing order, since machines are noisy. Each part
of a round ends when nothing is left in ``raw/`` and every voice has its task.

    overhead_ms_per_file        wall-clock time of a round on the large root less that of the bare examinations, per
                                drop; the median over the rounds. With decoding on all cores this is noisy.
    overhead_cpu_ms_per_file    processor time of the main worker's own process (its tools not counted) less that of
                                the bare examinations in this one, per drop; over all rounds. This is not noisy.
    cost_ratio_100k_over_1k     wall-clock time of a round on the large root over that on the small one; the median.
    cpu_ratio_100k_over_1k      the same of the worker's own processor time, over all rounds.
    rss_growth_kb_per_drop      by how much the large root's worker has grown over all drops but the first round's.
    start_seconds, rss_mb       until the worker has read the library and says that it is idle; and what it takes then.

    python -m benchmarks.ingest            1,000 drops; takes half an hour on two cores
    python -m benchmarks.ingest --small    a quick check that all of it works
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.seeding import fill_library, fill_queue
from console.init import lay_out
from main_worker.arrival.intake import files_below, judge
from main_worker.arrival.ready import Ready, identity_of
from main_worker.checks.cage import Cage
from main_worker.checks.examination import Examiner
from main_worker.turns import Lane, lane_of, most_at_once, next_lane
from shared.config import load_config
from shared.domain.drop import Drop
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.records.main import MainRecord
from shared.records.record import RecordError
from tests.main_worker.conftest import Media

_DEADLINE = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")
_Found = tuple[PurePosixPath, os.stat_result, Drop]
_CONFIG: dict[str, dict[str, Any]] = {"ingest": {"quiet_seconds": 0.1, "workers": os.cpu_count() or 2}}


@dataclass
class Spent:
    """What a way of taking drops in has cost so far: wall-clock seconds per round, processor seconds in all."""

    rounds: list[float] = field(default_factory=list)
    cpu: float = 0.0


class Bare:
    """Examines drops and does nothing else with them."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg) -> None:
        self.layout = lay_out(folder, _CONFIG)
        config = load_config(self.layout.config)
        self._examiner = Examiner(Cage(config, ffmpeg, lambda: False), self.layout.staging)
        self._workers = config.ingest.workers
        self.spent = Spent()

    def take(self) -> None:
        """Examine what lies in ``raw/``, then clear it away."""
        waiting: dict[Lane, list[_Found]] = {}
        for relative, status in sorted(files_below(self.layout.raw, {}).items(), reverse=True):
            drop = judge(relative, status)
            if isinstance(drop, Drop):
                waiting.setdefault(lane_of(drop), []).append((relative, status, drop))
        started, cpu = time.monotonic(), time.process_time()
        running: dict[Future[None], Lane] = {}
        with ThreadPoolExecutor(most_at_once(self._workers)) as pool:
            while any(waiting.values()) or running:
                lanes = [lane for lane in Lane if waiting.get(lane)]
                while lane := next_lane(lanes, running.values(), self._workers):
                    running[pool.submit(self._examine, *waiting[lane].pop())] = lane
                    lanes = [lane for lane in lanes if waiting[lane]]
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    future.result()
        self.spent.rounds.append(time.monotonic() - started)
        self.spent.cpu += time.process_time() - cpu
        shutil.rmtree(self.layout.raw)
        self.layout.raw.mkdir()

    def _examine(self, relative: PurePosixPath, status: os.stat_result, drop: Drop) -> None:
        ready = Ready(self.layout.raw / relative, relative, drop, identity_of(status), "the benchmark says so")
        made = self._examiner.examine(ready, drop, lambda _: None).made
        if made:
            made[0].unlink()


class Worker:
    """A main worker process on a root."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.spent = Spent()
        self._tasks = self._count_tasks()
        started = time.monotonic()
        with layout.root.with_suffix(".log").open("wb") as log:
            command = [sys.executable, "-m", "main_worker", "--root", os.fspath(layout.root)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        self._until(self._is_idle)
        self.start_seconds = time.monotonic() - started
        self.rss = [self.rss_kb()]

    def expect(self, tasks: int) -> None:
        """So many tasks more have to be there when all that is dropped has been taken in."""
        self._tasks += tasks

    def take(self) -> None:
        """Wait until everything in ``raw/`` has been taken in and every voice has its task."""
        started, cpu = time.monotonic(), self._cpu()
        self._until(lambda: not _drops_in(self.layout.raw))
        self._until(self._has_tasks)
        self.spent.rounds.append(time.monotonic() - started)
        self.spent.cpu += self._cpu() - cpu
        self.rss.append(self.rss_kb())

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_DEADLINE)

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0])

    def _cpu(self) -> float:
        """Processor seconds of the process itself; children count for themselves."""
        values = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / _TICKS

    def _is_idle(self) -> bool:
        with suppress(FileNotFoundError, RecordError):
            record = MainRecord.read(self.layout.main_record)
            return record.pid == self._process.pid and record.state == "idle"
        return False

    def _has_tasks(self) -> bool:
        return self._count_tasks() >= self._tasks

    def _count_tasks(self) -> int:
        return len(os.listdir(self.layout.root / "tasks"))  # noqa: PTH208 - a hundred thousand names

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(self.layout.root.with_suffix(".log").read_text("utf-8"))
            time.sleep(0.05)


def _drops_in(raw: Path) -> bool:
    return any(isinstance(judge(relative, status), Drop) for relative, status in files_below(raw, {}).items())


class Drops:
    """An endless supply of small drops of which no two have the same content: of ten, five clips and one music."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._clip, self._voice, self._music = media.clip(), media.sound(), media.sound("music.mp3", seconds=3)
        self._given = 0

    def next(self, count: int) -> list[tuple[Path, str]]:
        """So many files, each with its place below ``raw/``."""
        given = [self._file(number) for number in range(self._given, self._given + count)]
        self._given += count
        return given

    def _file(self, number: int) -> tuple[Path, str]:
        category = f"category-{number // 10 % 4}"
        match number % 10:
            case 0:
                return self._media.variant(self._music, number), f"music/{category}/new-{number}.mp3"
            case 2 | 4 | 6 | 8:
                place = f"story/{category}/new-{number // 40}/voice/chapter_{number:04d}.mp3"
                return self._media.variant(self._voice, number), place
            case _:
                return self._media.variant(self._clip, number), f"video/{category}/new-{number}.mp4"


def put(layout: Layout, files: Sequence[tuple[Path, str]]) -> None:
    """Give files to a root: copied beside their places under hidden names, then renamed, all at once."""
    copies = []
    for source, where in files:
        target = layout.raw / where
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.part")
        shutil.copyfile(source, hidden)
        copies.append((hidden, target))
    for hidden, target in copies:
        hidden.rename(target)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Make the roots, run all rounds, and return the figures."""
    (folder / "media").mkdir()
    ffmpeg = find_ffmpeg("")
    drops = Drops(Media(folder / "media", ffmpeg))
    bare = Bare(folder / "bare", ffmpeg)
    few, many = _root(folder / "small", options.entries // 100, 0), _root(folder / "large", *[options.entries] * 2)
    small, large = Worker(few), Worker(many)
    print(f"both workers are ready: small {small.start_seconds:.1f} s, large {large.start_seconds:.1f} s", flush=True)
    try:
        for number in range(-(-options.drops // options.round)):
            files = drops.next(options.round)
            voices = sum("/voice/" in where for _, where in files)
            small.expect(voices)
            large.expect(voices)
            order: list[Bare | Worker] = [bare, small, large]
            for way in order[number % 3 :] + order[: number % 3]:
                put(way.layout, files)
                way.take()
            said = "  ".join(f"{way.spent.rounds[-1]:.2f}" for way in order)
            print(f"round {number + 1}: bare, small, large: {said} s", flush=True)
    finally:
        small.close()
        large.close()
    return _figures(bare.spent, small, large, options.round)


def _root(folder: Path, entries: int, tasks: int) -> Layout:
    layout = lay_out(folder, _CONFIG)
    started = time.monotonic()
    fill_library(layout, entries)
    fill_queue(layout, tasks)
    print(f"seeded {entries} entries and {tasks} tasks in {time.monotonic() - started:.0f} s", flush=True)
    return layout


def _figures(bare: Spent, small: Worker, large: Worker, per_round: int) -> dict[str, float]:
    overheads = [(mine - alone) / per_round for mine, alone in zip(large.spent.rounds, bare.rounds, strict=True)]
    ratios = [mine / other for mine, other in zip(large.spent.rounds, small.spent.rounds, strict=True)]
    files = per_round * len(bare.rounds)
    later = max(1, files - per_round)
    return {
        "overhead_ms_per_file": round(statistics.median(overheads) * 1000, 1),
        "overhead_cpu_ms_per_file": round((large.spent.cpu - bare.cpu) / files * 1000, 2),
        "cost_ratio_100k_over_1k": round(statistics.median(ratios), 3),
        "cpu_ratio_100k_over_1k": round(large.spent.cpu / small.spent.cpu, 3),
        "rss_growth_kb_per_drop": round((large.rss[-1] - large.rss[1]) / later, 2),
        "rss_growth_kb_per_drop_1k": round((small.rss[-1] - small.rss[1]) / later, 2),
        "rss_mb": round(large.rss[0] / 1024),
        "rss_mb_1k": round(small.rss[0] / 1024),
        "start_seconds": round(large.start_seconds, 1),
        "start_seconds_1k": round(small.start_seconds, 1),
        "drops": files,
    }


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.ingest", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000, help="of the large library, and tasks in its queue")
    parser.add_argument("--drops", type=int, default=1000)
    parser.add_argument("--round", type=int, default=100, help="drops per round")
    parser.add_argument("--small", action="store_true", help="2,000 entries and 20 drops, to see that it works")
    parser.add_argument("--into", type=Path, help="where the roots are made; else the folder for temporary files")
    options = parser.parse_args(arguments)
    if options.small:
        options.entries, options.drops, options.round = 2000, 20, 10
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-", dir=options.into) as folder:
        print(f"RESULT {json.dumps(measure(Path(folder), options))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
