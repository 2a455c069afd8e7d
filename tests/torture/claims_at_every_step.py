"""Ends each verb of a task's life, or spoils it, at every single step, and looks what becomes of the task.

For each verb the system calls that change the filesystem are counted in an undisturbed run. Then, for each of them in
turn, the verb is done on a fresh root with strace killing the process at that very call, or failing it with ENOSPC or
EIO, once or from then on; and each rename is done but reported as failed, as a network filesystem may. In the instant
after that, and once an observer and a worker have gone on, the invariants are checked: the task is whole in one place,
its output complete, nothing left over, and a second recovery changes nothing.

    python -m tests.torture.claims_at_every_step                every step
    python -m tests.torture.claims_at_every_step --seconds 60   a sample that differs from day to day
    python -m tests.torture.claims_at_every_step --only NAME    one failure again (NAME as it was reported)

The last line is ``RESULT {"points": …, "failures": …}``; the exit status is 1 where there were failures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from shared.domain.errors import ReelmillError
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.files import is_private
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import HoldLost, Store
from tests.torture.task_verbs import CAPS, TASK, VERBS, VIDEO, Act, Verb, claim_of, new_root, recovery_of, render
from tests.torture.tracing import Call, Injection, Run, run_act, why_not

_SWEEPS = 8  # enough for an observer to see whatever it finds unchanged for a lease, and to act on it
_TROUBLE = 3  # exit status of a verb that met the machine's trouble and said so


@dataclass(frozen=True)
class Lie:
    """A rename that is done and reported as failed."""

    number: int

    def __str__(self) -> str:
        return f"lie=rename:when={self.number}"


@dataclass(frozen=True)
class Point:
    """One thing that goes wrong at one step of one verb."""

    verb: str
    fault: Injection | Lie
    call: str

    @property
    def name(self) -> str:
        return f"{self.verb}/{self.fault}"


@dataclass(frozen=True)
class Judged:
    point: Point
    problems: tuple[str, ...]
    log: str


def judge(point: Point, folder: Path) -> Judged:
    """Let one thing go wrong, look, let the farm go on, look."""
    with tempfile.TemporaryDirectory(prefix="verb-", dir=folder) as name:
        layout = new_root(Path(name))
        store, verb = Store(layout), VERBS[point.verb]
        verb.lay(store)
        run = _run(verb, layout, Path(name), point.fault)
        problems = [f"at once: {words}" for words in problems_at_any_time(layout)]
        if run.status not in (0, _TROUBLE, -signal.SIGKILL):
            problems.append(f"the verb ended with {run.status}")
        for stage in ("recovery", "a second recovery"):
            before = tree(layout)
            recover(store)
            if stage == "a second recovery" and tree(layout) != before:
                problems.append("a second recovery changed something")
        problems += [f"after recovery: {words}" for words in problems_at_rest(layout)]
        work(store)
        recover(store)
        problems += [f"in the end: {words}" for words in problems_at_rest(layout)]
        ends = places(layout)
        if len(ends) != 1 or ends[0] not in verb.ends:
            problems.append(f"in the end the task is in {[state.value for state in ends]}")
        return Judged(point, tuple(problems), run.log)


def _run(verb: Verb, layout: Layout, beside: Path, fault: Injection | Lie | None, *, trace: bool = False) -> Run:
    def prepare() -> Act:
        act = _careful(verb.prepare(Store(layout)))
        if isinstance(fault, Lie):
            _lie(fault.number)
        return act

    injection = fault if isinstance(fault, Injection) else None
    return run_act(prepare, layout.root, beside, trace=trace, injection=injection)


def _careful(act: Act) -> Act:
    """A verb as workers do it: the machine's trouble and a lost hold end it in an orderly way."""

    def run() -> int:
        try:
            return act()
        except (OSError, HoldLost, RecordError, ReelmillError) as error:
            with suppress(OSError):  # the log may be what cannot be written
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return _TROUBLE

    return run


def _lie(number: int) -> None:
    """From now on in this process, the n-th rename is done and fails."""
    honest: dict[str, Callable[..., None]] = {"rename": os.rename, "replace": os.replace}
    left = number

    def lying(name: str) -> Callable[..., None]:
        def rename(*paths: object, **options: object) -> None:
            nonlocal left
            honest[name](*paths, **options)
            left -= 1
            if left == 0:
                raise OSError(5, "Input/output error, though it was done")

        return rename

    os.rename, os.replace = lying("rename"), lying("replace")


def points_of(name: str, folder: Path) -> Iterator[Point]:
    """Everything that is to go wrong with a verb.

    Raises:
        SystemExit: it goes wrong undisturbed.
    """
    with tempfile.TemporaryDirectory(prefix="verb-", dir=folder) as place:
        layout = new_root(Path(place))
        VERBS[name].lay(Store(layout))
        run = _run(VERBS[name], layout, Path(place), None, trace=True)
        if run.status != 0:
            raise SystemExit(f"{name} fails undisturbed ({run.status}):\n{run.log}")
    renames = 0
    for call in run.calls:
        for injection in _injections(call):
            yield Point(name, injection, call.text)
        if call.step.call.startswith("rename") and not call.failed:
            renames += 1
            yield Point(name, Lie(renames), call.text)


def _injections(call: Call) -> Iterator[Injection]:
    if call.failed or call.waits:
        return
    if call.changes:
        yield Injection(call.step, signal="SIGKILL")
        for error in ("ENOSPC", "EIO"):
            yield Injection(call.step, error=error)
            yield Injection(call.step, error=error, always=True)
    else:
        yield Injection(call.step, error="EIO")


# -- going on ------------------------------------------------------------------------------------


def recover(store: Store) -> None:
    recovery = recovery_of(store)
    for _ in range(_SWEEPS):
        recovery.sweep()


def work(store: Store) -> None:
    """A worker takes what waits and makes a video of it."""
    if TASK in store.ids(TaskState.WAITING):
        claim = claim_of(store, "healthy")
        render(claim)
        store.publish(claim)


# -- looking -------------------------------------------------------------------------------------


def places(layout: Layout) -> list[TaskState]:
    return [state for state in TaskState if layout.task(state, TASK).is_dir()]


def problems_at_any_time(layout: Layout) -> Iterator[str]:
    """What may not be even in the instant after a kill."""
    found = places(layout)
    if not found:
        yield "LOST: the task is nowhere"
    if TaskState.FINISHED in found:
        yield from _output_problems(layout.task(TaskState.FINISHED, TASK))
    elif len(found) > 1:
        yield f"DOUBLED: the task is in {[state.value for state in found]}"
    for state in found:
        if state is not TaskState.FINISHED:
            try:
                Metadata.read(layout.task(state, TASK) / METADATA)
            except (RecordError, FileNotFoundError) as error:
                if TaskState.FINISHED not in found:
                    yield f"TORN: {error}"


def _output_problems(folder: Path) -> Iterator[str]:
    try:
        if (folder / FINAL).read_bytes() != VIDEO:
            yield "TORN: the video is not whole"
        RenderRecord.read(folder / RENDER_RECORD)
        Metadata.read(folder / METADATA)
    except (RecordError, FileNotFoundError) as error:
        yield f"TORN: {error}"


def problems_at_rest(layout: Layout) -> Iterator[str]:
    """What may not be left once nobody does anything."""
    found = places(layout)
    if len(found) != 1 or TaskState.PROCESSING in found:
        yield f"the task is in {[state.value for state in found]}"
    yield from problems_at_any_time(layout)
    for folder in (layout.locks, layout.removed, layout.drafts, layout.state(TaskState.PROCESSING)):
        yield from (f"left in {folder.name}: {path.name}" for path in folder.iterdir())
    yield from (f"a private name is left: {path}" for path in layout.root.rglob("*") if is_private(path))
    for state in found:
        starts = len(Store(layout).attempts(state, TASK))
        if starts > CAPS.max_starts:
            yield f"{starts} starts"


def tree(layout: Layout) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(layout.root.rglob("*"))}


# -- the program ---------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if reason := why_not():
        print(f"SKIPPED: system calls cannot be watched here: {reason}")
        print('RESULT {"points": 0, "failures": 0, "skipped": true}')
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reelmill-torture-", dir=options.into) as name:
        folder = Path(name)
        points = [point for verb in VERBS for point in points_of(verb, folder)]
        if options.only:
            points = [point for point in points if point.name.startswith(options.only)]
        elif options.seconds:
            random.Random(options.seed).shuffle(points)
        print(f"{len(points)} points of {len(VERBS)} verbs", flush=True)
        done, failures = _all(points, folder, options)
    seconds = round(time.monotonic() - started)
    print(f"RESULT {json.dumps({'points': done, 'failures': failures, 'seconds': seconds})}")
    return 1 if failures else 0


def _all(points: Sequence[Point], folder: Path, options: argparse.Namespace) -> tuple[int, int]:
    done = failures = 0
    until = time.monotonic() + (options.seconds or float("inf"))
    with get_context("fork").Pool(options.jobs, _quiet) as pool:
        for found in pool.imap_unordered(_judge, ((point, folder, until) for point in points)):
            if found is None:
                continue
            done += 1
            if found.problems:
                failures += 1
                print(f"\nFAILED {found.point.name}\n  {found.point.call[:300]}")
                print("".join(f"  - {problem}\n" for problem in found.problems) + found.log, flush=True)
    return done, failures


def _quiet() -> None:
    """What observers say of the tasks they look after is expected here; a verb's own words go to its log."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _judge(work: tuple[Point, Path, float]) -> Judged | None:
    point, folder, until = work
    return judge(point, folder) if time.monotonic() < until else None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="claims_at_every_step", description=(__doc__ or "").partition("\n")[0])
    memory = Path("/dev/shm")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, help="stop after this long; the points are then taken in random order")
    parser.add_argument("--seed", default=datetime.now(UTC).date().isoformat(), help="of the order; else the day")
    parser.add_argument("--only", help="only the points whose names begin so")
    parser.add_argument("--into", type=Path, default=memory if memory.is_dir() else None, help="where roots are made")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
