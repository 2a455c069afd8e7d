"""Ends the main worker, or spoils its work, at every single step of ingest, and looks what is left.

For each kind of drop the system calls of an undisturbed ``--once`` that change the filesystem are counted. Then, for
each of them in turn, a fresh root is ingested with strace killing the worker at that very call, or failing it with
ENOSPC or EIO, once or from then on; calls that only read fail with EIO. In the instant after that, and again after a
clean restart, the invariants of the farm are checked, the outcome is compared with the undisturbed one, and a second
restart must change nothing. All this on one filesystem, with ``raw/`` on another, and with ``scanned/`` and ``trash/``
on others.

    python -m tests.torture.kill_at_every_step                     every step; takes long
    python -m tests.torture.kill_at_every_step --seconds 120       a sample that differs from day to day
    python -m tests.torture.kill_at_every_step --only NAME --keep  one failure again (NAME as it was reported)

The last line is ``RESULT {"points": …, "failures": …}``; the exit status is 1 where there were failures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg
from tests.torture.inspection import differences, picture, problems_at_any_time, problems_at_rest
from tests.torture.scenes import Scene, make_roots, make_scenes, serve_page
from tests.torture.stage import Case, Half, Stage, enter_namespace
from tests.torture.tracing import Call, Injection, Run, Step, run_once, why_not

_TOOL_READS, _TOOL_WRITES = 4, 2
_WITH_TOOL = ("clip", "music", "voice")
_FAULT_SIGNS = ("event=fault", "Traceback (most recent call last)")


@dataclass(frozen=True)
class Undisturbed:
    """What becomes of a scene when nothing goes wrong."""

    scene: Scene
    half: Half
    picture: Mapping[str, str]
    calls: tuple[Call, ...]

    @property
    def rejected(self) -> set[str]:
        return {name for name in self.picture if name.startswith("trash/")}


@dataclass(frozen=True)
class Point:
    """One thing that goes wrong at one step of one scene; `call` is what the step is in an undisturbed run."""

    scene: str
    half: Half
    injection: Injection
    call: str

    @property
    def name(self) -> str:
        return f"{self.scene}/{self.half.value}/{'ffmpeg:' * self.injection.in_tool}{self.injection}"


@dataclass(frozen=True)
class Judged:
    """What was found at one point."""

    point: Point
    problems: tuple[str, ...]
    log: str
    hit: bool


@dataclass(frozen=True)
class Torture:
    """Everything that is the same for all points; copied into every process of the pool."""

    stage: Stage
    scenes: Mapping[str, Scene]
    keep: bool
    until: float

    def undisturbed(self, where: tuple[str, Half]) -> Undisturbed:
        """Ingest a scene without any trouble, watched.

        Raises:
            SystemExit: even that went wrong.
        """
        scene, half = self.scenes[where[0]], where[1]
        with self.stage.case(scene, half) as case:
            run = run_once(case.layout.root, case.beside, trace=True)
            problems = [*self._at_rest(case), *_worker_problems(run)]
            if problems or run.status != 0:
                raise SystemExit(f"{scene.name}/{half.value} fails undisturbed: {problems}\n{run.log}")
            return Undisturbed(scene, half, picture(case.layout), run.calls)

    def judge(self, work: tuple[Point, Undisturbed]) -> Judged | None:
        """Let one thing go wrong, look, restart, look, restart, look; None when the time is up."""
        point, wanted = work
        if time.monotonic() > self.until:
            return None
        with self.stage.case(wanted.scene, wanted.half, self.keep) as case:
            run = run_once(case.layout.root, case.beside, injection=point.injection)
            problems = [f"at once: {words}" for words in problems_at_any_time(case.layout, case.dropped)]
            problems += _worker_problems(run)
            problems += _wrongly_rejected(case.layout, wanted)
            first = run_once(case.layout.root, case.beside)
            after_first = picture(case.layout)
            problems += [f"after a restart: {words}" for words in self._at_rest(case)]
            problems += [f"after a restart: {words}" for words in differences(wanted.picture, after_first)]
            problems += _worker_problems(first)
            if point.injection.signal:
                second = run_once(case.layout.root, case.beside)
                problems += [f"a second restart: {words}" for words in differences(after_first, picture(case.layout))]
                problems += _worker_problems(second)
            hit = run.status == -signal.SIGKILL or any("INJECTED" in call.text for call in run.calls)
            return Judged(point, tuple(problems), f"{run.log}--- restarted\n{first.log}", hit)

    def _at_rest(self, case: Case) -> list[str]:
        return [
            *problems_at_any_time(case.layout, case.dropped),
            *problems_at_rest(case.layout),
            *(f"outside the root: {name}" for name in case.outside()),
        ]


def points_of(undisturbed: Undisturbed) -> Iterator[Point]:
    """Everything that is to go wrong in a scene."""
    for call in undisturbed.calls:
        for injection in _injections(call):
            yield Point(undisturbed.scene.name, undisturbed.half, injection, call.text)
    if undisturbed.scene.name in _WITH_TOOL:
        for injection in _tool_injections():
            yield Point(undisturbed.scene.name, undisturbed.half, injection, "ffmpeg reads or writes")


def _injections(call: Call) -> Iterator[Injection]:
    if call.failed and not call.waits:
        return
    if call.changes or call.waits:
        yield Injection(call.step, signal="SIGKILL")
    if call.changes:
        for error in ("ENOSPC", "EIO"):
            yield Injection(call.step, error=error)
            yield Injection(call.step, error=error, always=True)
    elif not call.waits:
        yield Injection(call.step, error="EIO")


def _tool_injections() -> Iterator[Injection]:
    for number in range(1, _TOOL_READS + 1):
        yield Injection(Step("read", number), error="EIO", in_tool=True)
        if number > 1:  # what ffmpeg never could read one byte of, it takes for no video without a word about why
            yield Injection(Step("read", number), error="EIO", always=True, in_tool=True)
    for number in range(1, _TOOL_WRITES + 1):
        step = Step("write", number)
        yield Injection(step, signal="SIGKILL", in_tool=True)
        for error in ("ENOSPC", "EIO"):
            yield Injection(step, error=error, in_tool=True)
            yield Injection(step, error=error, always=True, in_tool=True)


def _worker_problems(run: Run) -> list[str]:
    problems = [f"the log has {sign}" for sign in _FAULT_SIGNS if sign in run.log]
    if run.status is None:
        problems.append("the worker hung")
    elif run.status not in (0, 1, 2, -signal.SIGKILL):
        problems.append(f"the worker ended with {run.status}")
    return problems


def _wrongly_rejected(layout: Layout, wanted: Undisturbed) -> list[str]:
    """Machine's trouble never rejects: nothing is in the trash that would not be there anyhow."""
    found = {str(layout.relative(path)) for path in layout.invalid.iterdir() if not path.name.startswith(".")}
    return [f"wrongly rejected: {name}" for name in sorted(found - wanted.rejected) if not name.endswith("README.md")]


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; returns the exit status."""
    options = _options(arguments)
    if reason := why_not():
        print(f"SKIPPED: system calls cannot be watched here: {reason}")
        print('RESULT {"points": 0, "failures": 0, "skipped": true}')
        return 0
    halves = [Half.ONE]
    if reason := enter_namespace():
        print(f"SKIPPED: what needs filesystems of its own: {reason}")
    else:
        halves += [Half.TWO, Half.SHELVES]
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with tempfile.TemporaryDirectory(prefix="reelmill-torture-", dir=options.into) as folder:
        return _run(options, Path(folder), halves)


def _run(options: argparse.Namespace, folder: Path, halves: Sequence[Half]) -> int:
    started = time.monotonic()
    (folder / "media").mkdir()
    scenes = make_scenes(folder / "media", find_ffmpeg(""), serve_page())
    beside = folder / "beside"
    (beside / "tmp").mkdir(parents=True)
    roots = make_roots(folder / "roots", scenes, lambda layout: _stock(layout, beside))
    until = started + options.seconds if options.seconds else math.inf
    torture = Torture(Stage(folder, roots), scenes, options.keep, until)
    wanted = [(name, half) for half in halves for name in scenes if name in (options.scene or scenes)]
    if options.only:
        wanted = [(name, half) for name, half in wanted if options.only.startswith(f"{name}/{half.value}/")]
    with get_context("fork").Pool(options.jobs) as pool:
        undisturbed = {(found.scene.name, found.half): found for found in pool.map(torture.undisturbed, wanted, 1)}
        points = _choose([point for found in undisturbed.values() for point in points_of(found)], options)
        print(f"{len(points)} points; undisturbed runs took {time.monotonic() - started:.0f} s", flush=True)
        work = ((point, undisturbed[point.scene, point.half]) for point in points)
        judged = pool.imap_unordered(torture.judge, work)
        done, missed, failures = _watch(judged, len(points), started)
        pool.close()
        pool.join()
    result = {"points": done, "failures": failures, "not_hit": missed, "seconds": round(time.monotonic() - started)}
    print(f"RESULT {json.dumps(result)}")
    return 1 if failures else 0


def _stock(layout: Layout, beside: Path) -> None:
    run = run_once(layout.root, beside)
    if run.status != 0:
        raise SystemExit(f"the library could not be stocked:\n{run.log}")


def _choose(points: list[Point], options: argparse.Namespace) -> list[Point]:
    if options.only:
        return [point for point in points if point.name.startswith(options.only)]
    if options.seconds or options.sample:
        random.Random(options.seed).shuffle(points)
        return points[: options.sample or len(points)]
    return points


def _watch(judged: Iterator[Judged | None], total: int, started: float) -> tuple[int, int, int]:
    """Tell of every point as it is judged; returns how many there were, how many not hit, and how many failed."""
    done = missed = failures = 0
    for found in filter(None, judged):
        done += 1
        missed += not found.hit
        if found.problems:
            failures += 1
            print(f"\nFAILED {found.point.name}\n  {found.point.call[:400]}")
            print("".join(f"  - {problem}\n" for problem in found.problems) + found.log, flush=True)
        if done % 100 == 0:
            print(f"{done} of {total} after {time.monotonic() - started:.0f} s, {failures} failed", flush=True)
    return done, missed, failures


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kill_at_every_step", description=(__doc__ or "").partition("\n")[0])
    memory = Path("/dev/shm")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, help="stop after this long; the points are then taken in random order")
    parser.add_argument("--sample", type=int, help="only so many points, chosen at random")
    parser.add_argument("--seed", default=datetime.now(UTC).date().isoformat(), help="of the choice; else the day")
    parser.add_argument("--scene", action="append", help="only this scene (may be repeated)")
    parser.add_argument("--only", help="only the points whose names begin so")
    parser.add_argument("--keep", action="store_true", help="leave the roots for looking at")
    parser.add_argument("--into", type=Path, default=memory if memory.is_dir() else None, help="where roots are made")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
