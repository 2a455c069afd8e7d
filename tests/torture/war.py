"""The random war: many workers on one tree, and everything that can happen to them at any moment.

Workers take small tasks by the real protocol (queue, claim, pulse, publish, give back, fail, recovery); what they
render is a small file made of the task, written in pieces. A director kills them, freezes them beyond the lease and
lets them wake up, asks them to stop, and starts others; operators cancel, retry, prioritise and pause; some workers run
on a clock of their own (libfaketime), some get errors from strace now and then, and some reach the tree over SFTP from
a real sshd, whose sessions are killed. The tree lies on a small tmpfs of its own where mounts are allowed, and is
filled up now and then. In the end everybody is left in peace, and a checker reads the tree and what the workers wrote
down.

    python -m tests.torture.war                     5,000 tasks
    python -m tests.torture.war --tasks 300         a sample
    python -m tests.torture.war --root FOLDER       on a tree that is there already; workers are started by hand too

The last line is ``RESULT {…}``; the exit status is 1 where a task was lost, doubled or torn, or the rules were broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.layout import FINAL, METADATA, REASON, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.log import open_log
from shared.orders import Orders
from shared.process import open_root
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.orders import Order
from shared.records.reason import CANCELLED, Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.recovery import Recovery
from shared.settings import Log
from shared.store import Store
from shared.tree.remote import Remote
from tests.farside import Sshd, running_sshd, why_no_sshd
from tests.torture.stage import enter_namespace
from tests.torture.tracing import why_not
from tests.torture.warrior import CAPS, LEASE, content_of

_WORKERS, _FAR = 8, 2
_TMPFS_MB = 600
_FILLED_SECONDS = 1.5
_FROZEN = (1.3, 3.0)  # leases
_FOLLOWING = 60  # lines of a traceback that are told
_BLOWS_PER_SECOND = 15 / LEASE  # so that some are always at work
_PATIENCE = 240.0  # seconds in peace until every task must have ended


@dataclass
class Warrior:
    """One worker process; `log` is what it wrote down."""

    process: subprocess.Popen[bytes]
    thaws_at: float | None = None


@dataclass(frozen=True)
class Machine:
    """Where workers run: their root as it is seen there, and what stands in front of their command.

    With a `remote` the root is behind SFTP, and each worker has a home of its own in `root`.
    """

    root: Path
    before: tuple[str, ...] = ()
    remote: Remote | None = None

    def place(self, worker: str) -> Path:
        return self.root / worker if self.remote else self.root

    def link(self) -> tuple[str, ...]:
        """How a worker reaches what is behind SFTP."""
        found = self.remote
        return (str(found), str(found.key), str(found.known_hosts)) if found else ()


@dataclass
class Director:
    """Lets things happen to the workers of one tree."""

    layout: Layout
    history: Path
    chance: random.Random
    how: Sequence[str]
    machines: Sequence[Machine]
    sshd: Sshd | None = None
    warriors: list[Warrior] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    filled_until: float | None = None

    def recruit(self) -> None:
        """Start workers until there are enough; each writes a history of its own."""
        while len(self.warriors) < _WORKERS:
            name = f"w{self.counts['started']:05}"
            machine = self.machines[self.counts["started"] % len(self.machines)]
            self.counts["started"] += 1
            dressed = [*machine.before, *([] if machine.remote else self._dressed()), sys.executable]
            command = [*dressed, "-m", "tests.torture.warrior", str(machine.place(name)), name]
            self.counts["far workers"] += machine.remote is not None
            environment = os.environ | self._clock()
            log = (self.history / f"{name}.log").open("wb")
            process = subprocess.Popen(
                [*command, str(self.history / f"{name}.history"), *machine.link()],
                stderr=log,
                env=environment,
                process_group=0,
            )
            log.close()
            self.warriors.append(Warrior(process))

    def _dressed(self) -> list[str]:
        """Now and then a worker gets errors from its filesystem."""
        if "eio" not in self.how or self.chance.random() > 0.15:
            return []
        call = self.chance.choice(["rename", "fsync", "unlink", "mkdir", "link"])
        error = self.chance.choice(["EIO", "ENOSPC"])
        first, step = self.chance.randrange(20, 60), self.chance.randrange(30, 90)
        self.counts[f"workers with {error}"] += 1
        return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"inject={call}:error={error}:when={first}+{step}"]

    def _clock(self) -> dict[str, str]:
        """Now and then the clock of a worker's wall is wrong by hours, and runs too fast or too slow."""
        if "clock" not in self.how or self.chance.random() > 0.3:
            return {}
        self.counts["workers with a wrong clock"] += 1
        skew = self.chance.choice(["-3h", "+26h", "-400d"])
        return {"LD_PRELOAD": _FAKETIME, "FAKETIME": skew, "DONT_FAKE_MONOTONIC": "1"}

    def strike(self) -> None:
        """One thing happens to one worker, or an operator wants something."""
        alive = [one for one in self.warriors if one.thaws_at is None and one.process.poll() is None]
        blow = self.chance.choices(
            ["kill", "freeze", "stop", "cancel", "retry", "priority", "pause", "fill", "sever"],
            [80, 60, 40, 30, 30, 20, 4, 8, 40 if self.sshd else 0],
        )[0]
        if blow in ("kill", "freeze", "stop") and alive:
            victim = self.chance.choice(alive)
            self._hit(victim, blow)
        elif blow == "fill" and "disk" in self.how and self.filled_until is None:
            self._fill()
        elif blow == "sever":
            self._sever()
        elif blow not in ("fill", "kill", "freeze", "stop"):
            self._order(blow)

    def _hit(self, victim: Warrior, blow: str) -> None:
        number = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "stop": signal.SIGTERM}[blow]
        with suppress(ProcessLookupError):
            os.killpg(victim.process.pid, number)
            self.counts[{"kill": "kills", "freeze": "freezes", "stop": "stops"}[blow]] += 1
        if blow == "freeze":
            victim.thaws_at = time.monotonic() + self.chance.uniform(*_FROZEN) * LEASE

    def _order(self, verb: str) -> None:
        store, orders = Store(self.layout), Orders(self.layout)
        with suppress(OSError, RecordError):
            states = {"retry": [TaskState.FAILED]}.get(verb, [TaskState.WAITING, TaskState.PROCESSING])
            ids = [task_id for state in states for task_id in store.ids(state)]
            if verb == "pause":
                orders.pause(Order(by="war", when="now"))
                self.counts["pauses"] += 1
            elif ids:
                task_id = self.chance.choice(ids)
                if verb == "cancel":
                    self.counts["cancelled"] += store.cancel(task_id, _cancelled(task_id))
                elif verb == "retry":
                    self.counts["retried"] += store.retry(task_id, "war")
                else:
                    self.counts["prioritised"] += orders.prioritise(task_id, self.chance.randrange(101)) is not None

    def _sever(self) -> None:
        """Kill a session of the SFTP server, in whatever it is doing."""
        sessions = self.sshd.processes[1:] if self.sshd else []
        if sessions:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(sessions), signal.SIGKILL)
                self.counts["severed links"] += 1

    def _fill(self) -> None:
        """Fill the disk, all of it."""
        self.filled_until = time.monotonic() + _FILLED_SECONDS
        self.counts["full disks"] += 1
        with suppress(OSError), (self.layout.farm / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1 << 20))

    def tend(self) -> None:
        """Thaw who has been frozen long enough, empty the disk, end pauses, bury the dead."""
        now = time.monotonic()
        for one in self.warriors:
            if one.thaws_at is not None and now >= one.thaws_at:
                one.thaws_at = None
                with suppress(ProcessLookupError):
                    os.killpg(one.process.pid, signal.SIGCONT)
        if self.filled_until is not None and now >= self.filled_until:
            self.filled_until = None
            (self.layout.farm / "ballast").unlink(missing_ok=True)
        if self.chance.random() < 0.2:
            with suppress(OSError):
                Orders(self.layout).resume()
        self.warriors = [one for one in self.warriors if one.process.poll() is None]

    def make_peace(self) -> None:
        """Nothing happens to anybody any more, and no new orders come."""
        for one in self.warriors:
            one.thaws_at = 0.0 if one.thaws_at is not None else None
        if self.filled_until is not None:
            self.filled_until = 0.0
        self.how, self.sshd = (), None
        self.tend()
        Orders(self.layout).resume()

    def dismiss(self) -> None:
        for one in self.warriors:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGTERM)
        for one in self.warriors:
            try:
                one.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()


def _cancelled(task_id: str) -> Reason:
    return Reason(code=CANCELLED, reason="It was cancelled by war.", advice="", task_id=task_id, when="now")


def stage_task(layout: Layout, task_id: str, number: int) -> None:
    """A task of which only its adding is missing; one in fifty can never be rendered."""
    staged = layout.staging / task_id
    staged.mkdir()
    Metadata(
        task_id=task_id,
        category="war",
        story_name=f"story {number % 7}",
        voice_file="voice.mp3",
        voice_duration=1.0,
        music_file=None,
        video_files=(),
        chapter=str(number),
        seed=number,
        inputs={"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=5)},
        render=RenderRequest(resolution="640x360", frame_rate=30),
        created_at=f"2026-11-20T{number:08}",
    ).write(staged / METADATA)


def fill_queue(layout: Layout, count: int) -> list[str]:
    """Add tasks, the way the main worker does."""
    ids = []
    (layout.scanned / "voice.mp3").write_bytes(b"voice")
    for number in range(count):
        task_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"war {number}"))
        stage_task(layout, task_id, number)
        assert Store(layout).add(layout.staging / task_id, task_id)
        ids.append(task_id)
    return ids


# -- checking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What the checker found; all but `takeovers` and `fenced` must be empty."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    torn: tuple[str, ...]
    broken: tuple[str, ...]
    takeovers: int
    fenced: int
    finished: int
    failed: int
    codes: dict[str, int]


def judge(layout: Layout, history: Path, ids: Sequence[str]) -> Verdict:
    """Compare the tree with what was given and with what the workers wrote down."""
    store = Store(layout)
    places = {task_id: [state for state in TaskState if layout.task(state, task_id).is_dir()] for task_id in ids}
    published: dict[str, list[str]] = {}
    fenced = 0
    for line in _lines(history):
        what, task_id, token = line
        if what == "published":
            published.setdefault(task_id, []).append(token)
        fenced += what == "fenced"
    torn = list(_torn(layout, places))
    doubled = [f"{task_id} in {[s.value for s in where]}" for task_id, where in places.items() if len(where) > 1]
    doubled += [f"{task_id} published {len(tokens)} times" for task_id, tokens in published.items() if len(tokens) > 1]
    broken = [f"{task_id} still in {where[0].value}" for task_id, where in places.items() if not _is_over(where)]
    broken += list(_leftovers(layout))
    takeovers = 0
    for task_id, where in places.items():
        for state in where[:1]:
            attempts = [] if state is TaskState.FINISHED else store.attempts(state, task_id)
            takeovers += sum(one.ended is not None and one.ended.value == "died" for one in attempts)
            if len(attempts) > CAPS.max_starts:
                broken.append(f"{task_id} was started {len(attempts)} times")
    return Verdict(
        lost=tuple(task_id for task_id, where in places.items() if not where),
        doubled=tuple(doubled),
        torn=tuple(torn),
        broken=tuple(broken),
        takeovers=takeovers + sum("event=task_requeued" in line for _, lines in _logs(history) for line in lines),
        fenced=fenced,
        finished=len(store.ids(TaskState.FINISHED)),
        failed=len(store.ids(TaskState.FAILED)),
        codes=dict(Counter(_codes(layout, store))),
    )


def _codes(layout: Layout, store: Store) -> Iterator[str]:
    """Why tasks have failed."""
    for task_id in store.ids(TaskState.FAILED):
        with suppress(RecordError, FileNotFoundError):
            yield Reason.read(layout.task(TaskState.FAILED, task_id) / REASON).code


def _is_over(where: Sequence[TaskState]) -> bool:
    return not where or where[0] in (TaskState.FINISHED, TaskState.FAILED)


def _torn(layout: Layout, places: dict[str, list[TaskState]]) -> Iterator[str]:
    for task_id, where in places.items():
        for state in where:
            folder = layout.task(state, task_id)
            try:
                if state is TaskState.FINISHED:
                    record = RenderRecord.read(folder / RENDER_RECORD)
                    if (folder / FINAL).read_bytes() != content_of(task_id, record.token):
                        yield f"{task_id}: its video is not whole"
                if state is TaskState.FAILED:
                    Reason.read(folder / REASON)
                Metadata.read(folder / METADATA)
            except (RecordError, FileNotFoundError) as error:
                yield f"{task_id} in {state.value}: {error}"


def _leftovers(layout: Layout) -> Iterator[str]:
    folders = (layout.locks, layout.removed, layout.drafts, layout.staging, layout.state(TaskState.PROCESSING))
    for folder in folders:
        yield from (f"left in {folder.name}: {path.name}" for path in folder.iterdir())


def _lines(history: Path) -> Iterator[tuple[str, str, str]]:
    for path in history.glob("*.history"):
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            if len(words) == 3:
                yield words[0], words[1], words[2]


def _faults(history: Path) -> Iterator[str]:
    """What no worker should ever have written down, with what follows it."""
    for name, lines in _logs(history):
        for number, line in enumerate(lines):
            if "Traceback" in line or "event=fault" in line:
                yield "\n".join([name, *lines[number : number + _FOLLOWING]])


def _logs(history: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines that each worker has written."""
    for path in history.glob("*.log"):
        yield path.stem, path.read_text("utf-8", "replace").splitlines()


# -- the program ---------------------------------------------------------------------------------

_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    how = ["disk", "eio", "clock"]
    if options.root:
        how.remove("disk")
    elif reason := enter_namespace():
        print(f"SKIPPED: full disks: {reason}")
        how.remove("disk")
    if reason := why_not():
        print(f"SKIPPED: errors of the filesystem: {reason}")
        how.remove("eio")
    if not Path(_FAKETIME).exists():
        print("SKIPPED: wrong clocks: libfaketime is not installed (apt install faketime)")
        how.remove("clock")
    os.umask(0)  # workers over SFTP are another user's
    with ExitStack() as stack:
        root, history = stack.enter_context(_tree(options.root, "disk" in how))
        machines, sshd = [Machine(root)] * (_WORKERS - options.far), None
        if reason := why_no_sshd() if options.far else None:
            print(f"SKIPPED: workers over SFTP: {reason}")
        elif options.far:
            sshd = stack.enter_context(running_sshd("Subsystem sftp internal-sftp -u 000\nMaxStartups 100"))
            machines += [Machine(history.parent / "homes", remote=sshd.remote(root))] * options.far
        return fight(open_root(root), history, how, options, machines, sshd)


@contextmanager
def _tree(given: Path | None, is_mounted: bool) -> Iterator[tuple[Path, Path]]:
    """The root, and a folder for what the workers write down, which is never full."""
    with tempfile.TemporaryDirectory(prefix="reelmill-war-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "history").mkdir()
        root = given or folder / "root"
        root.mkdir(exist_ok=True)
        if is_mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_MB}m,mode=777", "war", root], check=True)
        try:
            (root / "raw").mkdir(exist_ok=True)
            yield root, folder / "history"
        finally:
            if is_mounted:
                subprocess.run(["umount", "-l", root], check=True)
            elif not given:
                shutil.rmtree(root, ignore_errors=True)


def fight(
    layout: Layout,
    history: Path,
    how: Sequence[str],
    options: argparse.Namespace,
    machines: Sequence[Machine],
    sshd: Sshd | None = None,
) -> int:
    """Have it fought out on some machines, and tell how it went; returns the exit status."""
    chance = random.Random(options.seed)
    ids = fill_queue(layout, options.tasks)
    director = Director(layout, history, chance, how, machines, sshd)
    started = time.monotonic()
    sys.stderr = (history / "main.log").open("a", buffering=1)
    log = open_log("war", Log(file=False))
    recovery = Recovery(Store(layout), CAPS, LEASE, log, time.monotonic)
    while len(Store(layout).ids(TaskState.WAITING)) > options.tasks // 50 and time.monotonic() < started + options.most:
        director.recruit()
        director.strike()
        _sweep(recovery)
        time.sleep(chance.expovariate(_BLOWS_PER_SECOND))
        director.tend()
    director.make_peace()
    peace = time.monotonic()
    while time.monotonic() < peace + _PATIENCE and (
        Store(layout).has(TaskState.WAITING) or Store(layout).has(TaskState.PROCESSING) or list(_leftovers(layout))
    ):
        director.recruit()
        director.tend()
        _sweep(recovery)
        if not (Store(layout).has(TaskState.WAITING) or Store(layout).has(TaskState.PROCESSING)):
            director.dismiss()
            director.warriors = []
            for _ in range(6):
                _sweep(recovery)
                time.sleep(LEASE / 2)
            break
        time.sleep(0.3)
    director.dismiss()
    return _tell(judge(layout, history, ids), director, options, time.monotonic() - started, history)


def _sweep(recovery: Recovery) -> None:
    with suppress(OSError, RecordError):
        recovery.sweep()


def _tell(verdict: Verdict, director: Director, options: argparse.Namespace, seconds: float, history: Path) -> int:
    for what in ("lost", "doubled", "torn", "broken"):
        for words in getattr(verdict, what)[:20]:
            print(f"{what.upper()}: {words}")
    faults = list(_faults(history))
    for words in faults[:5]:
        print(f"FAULT: {words}")
    counts = director.counts
    result = {
        "tasks": options.tasks,
        "kills": counts["kills"],
        "freezes": counts["freezes"],
        "takeovers": verdict.takeovers,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "torn": len(verdict.torn),
        "broken": len(verdict.broken),
        "fenced": verdict.fenced,
        "finished": verdict.finished,
        "failed": verdict.failed,
        "codes": verdict.codes,
        "faults": len(faults),
        "seconds": round(seconds),
        **{name: count for name, count in sorted(counts.items()) if name not in ("kills", "freezes")},
    }
    print(f"RESULT {json.dumps(result)}")
    return 1 if verdict.lost or verdict.doubled or verdict.torn or verdict.broken or faults else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="war", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--most", type=float, default=3600.0, help="seconds after which peace is made in any case")
    parser.add_argument("--seed", default=str(time.time_ns()), help="of what happens")
    parser.add_argument("--far", type=int, choices=range(_WORKERS + 1), default=_FAR, help="workers over SFTP, of 8")
    parser.add_argument("--root", type=Path, help="an empty folder to fight in; a tmpfs otherwise")
    found = parser.parse_args(arguments)
    print(f"seed {found.seed}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
