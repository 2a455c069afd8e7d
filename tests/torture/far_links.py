"""The line of a whole SFTP node breaks, in every phase of its work and in every way; nobody helps the node.

A real node renders real tasks at the other end of a slow line between two network namespaces. In each case two tasks
with inputs of their own come, and when the node is seen in a phase (fetching, rendering, uploading, publishing, showing
life: by what lies on the two disks) the line breaks: packets are lost both ways, or only the
server's (a half-open connection), the cable is taken out, the sshd is killed with its sessions and started again, its
sessions are killed alone, the server's disk is full; and in the end there is a server that says "failed" to what it has
done. A phase may be shorter than what it takes to break a line, so the node stands still meanwhile (SIGSTOP), and goes
on when the line is broken. It is mended after a moment, or after more than a lease. Then the tasks have to end. One
that failed since its video could not be uploaded for longer than it is tried (the disk was full) is retried, and has to
end with just the video that the node kept.

    python -m tests.torture.far_links                 every case (half an hour; root)
    python -m tests.torture.far_links --seconds 30    short breaks, one in each phase, as long as no more have passed

The last line is ``RESULT {…}``; the exit status is 1 where a task was lost, doubled or torn, did not end, or left
something behind, or where recovery had more to do the second time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pipeline import Material, Size, open_to_all
from benchmarks.tasks import Wish
from console.init import lay_out
from shared.domain.layout import FINAL, REASON, RENDER_RECORD, SCRATCH, Layout
from shared.domain.task import TaskState
from shared.ffmpeg import find_ffmpeg
from shared.log import open_log
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.settings import Log
from shared.store import Store
from shared.tree.remote import Remote
from tests.farside import Sshd, running_sshd
from tests.strange_server import Ways, strange_server
from tests.torture.namespaces import NEAR, Line, line_out, why_no_network
from tests.torture.stage import enter_namespace

_REELMILL = str(Path(sys.executable).with_name("reelmill"))
_LEASE = 15.0
_CAPS = Caps(max_attempts=3, max_starts=10)
_SHORT, _LONG = 2.0, _LEASE * 1.5
_SIZE = Size("320x180", 6.0, 0, "medium")
_DOWN, _UP = 4e6, 6e5  # bytes a second: about a second for the inputs of a task, and for its video
_TMPFS_MB = 600
_PATIENCE = 240.0  # seconds until tasks must have ended; a node in trouble rests 30 s, and twice as long each time
_LOOK_SECONDS = 0.001  # between looks for a phase: a publishing takes some thousandths
_JUST_SECONDS = 0.02  # what has come so lately has come just now
_PAIRS = 10  # of tasks in which a phase has to be seen: one look may come too late
_LIES = frozenset({"rename", "posix_rename", "mkdir", "remove"})
_GIFTS = ("posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com")


@dataclass
class Node:
    """A node at work; `home` is what it has of its own."""

    process: subprocess.Popen[bytes]
    home: Layout


@dataclass
class Scene:
    """A root, its server, the line to it, and what is known of the tasks so far."""

    layout: Layout
    material: Material
    line: Line
    sshd: Sshd
    folder: Path
    chance: random.Random
    ids: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    breaks: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.layout)
        self.log = self.folder / "node.log"

    @contextmanager
    def node(self, name: str, remote: Remote, before: Sequence[str]) -> Iterator[Node]:
        home = self.folder / name
        own = {"WORKER__NODE": name, "REMOTE__KEY": remote.key, "REMOTE__KNOWN_HOSTS": remote.known_hosts}
        environment = os.environ | {f"REELMILL_{key}": str(value) for key, value in own.items()}
        command = [*before, _REELMILL, "render", "--remote", str(remote), "--home", str(home)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield Node(process, Layout(home))
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                self.problems.append(f"STUCK: node {name} did not end")
                process.kill()
                process.wait()

    def case(self, node: Node, phase: str, way: Way, seconds: float) -> None:
        """Tasks come, two at a time, and the line breaks when the node is in a phase, for so long."""
        began, name = time.monotonic(), f"{way.name} for {seconds:.0f} s while {phase}"
        for _ in range(_PAIRS):
            wishes = {self.material.add(wish): wish for wish in (self.material.wish(), self.material.wish())}
            self.ids += wishes
            if is_seen := self._break(node, phase, way, wishes):
                self.breaks[f"{way.name} while {phase}"] += 1
                time.sleep(seconds)
                way.mends(self)
            if not self._until(lambda ids=wishes: self._have_ended(ids), node, _PATIENCE):  # type: ignore[misc]
                self.problems.append(f"STUCK: after {name}: {[self.store.find(one) for one in wishes]}")
            for one in wishes:
                self._retry(node, one, name)
            self._clear(wishes)
            if is_seen:
                break
        else:
            self.problems.append(f"STUCK: the node was never seen {phase}")
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)

    def _break(self, node: Node, phase: str, way: Way, ids: Collection[str]) -> bool:
        """Break the line while the node is in a phase, if it is seen there before the tasks have ended."""
        while self._until(lambda: PHASES[phase](self, node) or self._have_ended(ids), node, _PATIENCE):
            node.process.send_signal(signal.SIGSTOP)
            try:
                if PHASES[phase](self, node):
                    way.breaks(self)
                    return True
            finally:
                node.process.send_signal(signal.SIGCONT)
            if self._have_ended(ids):
                break
        return False

    def _retry(self, node: Node, task_id: str, name: str) -> None:
        """What was only not uploaded is uploaded, once somebody asks for it."""
        if self.store.find(task_id) is not TaskState.FAILED:
            return
        reason = Reason.read(self.layout.task(TaskState.FAILED, task_id) / REASON)
        if reason.code != "upload_failed":
            self.problems.append(f"FAILED: {task_id} after {name}: {reason.reason}")
            return
        self.retried += 1
        self.hashes[task_id] = _hash(node.home.kept / task_id / FINAL)
        self.store.retry(task_id, "far_links")
        if not self._until(lambda: self._have_ended([task_id]), node, _PATIENCE):
            self.problems.append(f"STUCK: retried after {name}: {self.store.find(task_id)}")

    def _clear(self, wishes: Mapping[str, Wish]) -> None:
        """Note what was made, and make room for what comes."""
        for one, wish in wishes.items():
            if self.store.is_finished(one):
                self.hashes.setdefault(one, _hash(self.layout.task(TaskState.FINISHED, one) / FINAL))
                for clip in wish.clips:  # which no other task has: the disk is small
                    (self.layout.scanned / clip.name).unlink()

    def _have_ended(self, ids: Collection[str]) -> bool:
        return all(self.store.find(one) in (TaskState.FINISHED, TaskState.FAILED) for one in ids)

    def _until(self, happens: Callable[[], bool], node: Node, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if node.process.poll() is not None:
                raise SystemExit(f"the node ended with {node.process.returncode}\n{self.log.read_text()[-8000:]}")
            with suppress(FileNotFoundError):  # tasks move on while one looks
                if happens():
                    return True
            time.sleep(_LOOK_SECONDS)
        return False


# -- phases, as the two disks show them ----------------------------------------------------------


def _fetching(_: Scene, node: Node) -> bool:
    return any(node.home.cache.glob("inputs/.*.tmp"))


def _rendering(_: Scene, node: Node) -> bool:
    return any(node.home.state(TaskState.PROCESSING).glob(f"*/attempt-*/{SCRATCH}"))


def _uploading(scene: Scene, _: Node) -> bool:
    return any(scene.layout.state(TaskState.PROCESSING).glob(f"*/attempt-*/.{FINAL}.*.tmp"))


def _publishing(scene: Scene, _: Node) -> bool:
    return any(scene.layout.state(TaskState.PROCESSING).glob(f"*/attempt-*/{RENDER_RECORD}"))


def _showing_life(scene: Scene, _: Node) -> bool:
    """Just when a heartbeat has come: what comes next is the one that is lost."""
    now = time.time()
    return any(now - path.stat().st_mtime < _JUST_SECONDS for path in scene.layout.locks.glob("*.*.lock"))


PHASES: dict[str, Callable[[Scene, Node], bool]] = {
    "fetching": _fetching,
    "rendering": _rendering,
    "uploading": _uploading,
    "publishing": _publishing,
    "showing life": _showing_life,
}


# -- ways in which it breaks ---------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """How the line breaks, and is mended."""

    name: str
    breaks: Callable[[Scene], object]
    mends: Callable[[Scene], object]


def _sever(scene: Scene) -> None:
    for pid in scene.sshd.processes[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _fill(scene: Scene) -> None:
    with suppress(OSError), (scene.layout.farm / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1 << 20))
    with suppress(OSError), (scene.layout.farm / "ballast").open("ab", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1 << 10))


_MENDED: Callable[[Scene], object] = lambda scene: scene.line.mend()  # noqa: E731 - four ways share it
WAYS = (
    Way("packets lost", lambda scene: scene.line.drop(), _MENDED),
    Way("half-open", lambda scene: scene.line.drop(up=False), _MENDED),
    Way("unplugged", lambda scene: scene.line.unplug(), _MENDED),
    Way("sessions killed", _sever, lambda _: None),
    Way("sshd killed", lambda scene: scene.sshd.stop(), lambda scene: scene.sshd.start()),
    Way("disk full", _fill, lambda scene: (scene.layout.farm / "ballast").unlink()),
)


# -- checking ------------------------------------------------------------------------------------


def judge(scene: Scene) -> Counter[str]:
    """Compare the root with what was given (I1 to I6); problems are added to the scene's."""
    found: Counter[str] = Counter()
    for task_id in scene.ids:
        where = [state for state in TaskState if scene.layout.task(state, task_id).is_dir()]
        found["finished"] += where == [TaskState.FINISHED]
        found["failed"] += where == [TaskState.FAILED]
        if len(where) != 1:
            scene.problems.append(f"{'DOUBLED' if where else 'LOST'}: {task_id} in {[one.value for one in where]}")
        elif where == [TaskState.FINISHED]:
            scene.problems += _torn(scene, task_id)
    for folder in (scene.layout.locks, scene.layout.removed, scene.layout.drafts, scene.layout.staging):
        scene.problems += [f"LEFT: {path.name} in {folder.name}" for path in folder.iterdir()]
    left = [*scene.layout.state(TaskState.PROCESSING).iterdir(), *scene.folder.glob("node-*/processing/*")]
    scene.problems += [f"LEFT: {path}" for path in left]
    return found


def _torn(scene: Scene, task_id: str) -> Iterator[str]:
    folder = scene.layout.task(TaskState.FINISHED, task_id)
    try:
        record = RenderRecord.read(folder / RENDER_RECORD)
        now = _hash(folder / FINAL)
    except (FileNotFoundError, RecordError) as error:
        yield f"TORN: {task_id}: {error}"
        return
    if now != record.sha256:
        yield f"TORN: the video of {task_id} is not the one of its record"
    if now != scene.hashes.get(task_id, now):
        yield f"CHANGED: the video of {task_id} was another one before"
    if record.attempt > _CAPS.max_starts:
        yield f"STARTED: {task_id} {record.attempt} times"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- the program ---------------------------------------------------------------------------------


def _cases(chance: random.Random, *, are_few: bool) -> list[tuple[str, Way, float]]:
    """Every phase with every way, for a moment and for long; or every phase with one, for a moment."""
    if are_few:  # a full disk has the node rest for half a minute
        return [(phase, chance.choice(WAYS[:-1]), _SHORT) for phase in chance.sample(list(PHASES), len(PHASES))]
    found = [(phase, way, seconds) for phase in PHASES for way in WAYS for seconds in (_SHORT, _LONG)]
    return chance.sample(found, len(found))


@contextmanager
def _swept(scene: Scene) -> Iterator[None]:
    """Recovery on the root's own disk, as a main worker runs it; twice more in the end, which has to be once (I7)."""
    ended, layout = threading.Event(), scene.layout
    recovery = Recovery(Store(layout), _CAPS, _LEASE, open_log("recovery", Log(file=False)), time.monotonic)
    thread = threading.Thread(target=recovery.keep_watch, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    recovery.sweep()
    once = set(layout.root.rglob("*"))
    recovery.sweep()
    scene.problems += [f"AGAIN: {path}" for path in once ^ set(layout.root.rglob("*"))]


def _fight(scene: Scene, options: argparse.Namespace, folder: Path) -> None:
    began = time.monotonic()
    cases = _cases(scene.chance, are_few=options.seconds is not None)
    with scene.node("node-far", scene.sshd.remote(scene.layout.root), scene.line.before) as node:
        for phase, way, seconds in (case for case in cases if options.only in f"{case[1].name} while {case[0]}"):
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                break
            scene.case(node, phase, way, seconds)
    if options.seconds is not None:
        return
    ways = Ways(extensions=_GIFTS)
    lies = Way(
        "failed, it says, and has done it",
        lambda _: setattr(ways, "denies", _LIES),
        lambda _: setattr(ways, "denies", frozenset()),
    )
    with (
        strange_server(folder, ways) as server,
        scene.node("node-lied-to", server.remote(scene.layout.root), ()) as node,
    ):
        for phase in (phase for phase in PHASES if options.only in f"{lies.name} while {phase}"):
            scene.case(node, phase, lies, _SHORT)


def _rest(scene: Scene) -> None:
    """Until what the dead left has been cleared away: a lease, and some sweeps."""
    deadline = time.monotonic() + 2 * _LEASE
    while time.monotonic() < deadline and any(
        path for folder in (scene.layout.locks, scene.layout.removed, scene.layout.drafts) for path in folder.iterdir()
    ):
        time.sleep(0.5)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="far_links", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, help="short breaks only, and no new one after so long")
    parser.add_argument(
        "--only", default="", help='cases whose name has these words, such as "half-open while fetching"'
    )
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args(arguments)
    reason = why_no_network() or enter_namespace(network=False)
    if reason:
        print(f"SKIPPED: no line can be broken here: {reason}")
        print('RESULT {"cases": 0, "skipped": true}')
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started has to end
    print(f"seed {options.seed}", flush=True)
    os.umask(0)  # the user of the nodes works on the same root
    settings: dict[str, dict[str, Any]] = {
        "render": {"resolution": _SIZE.canvas, "preset": _SIZE.preset, "encoder": "software"},
        "worker": {"lease_seconds": _LEASE, "heartbeat_seconds": 1.0, "poll_seconds": 0.2, "min_free_bytes": 0},
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reelmill-links-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "media").mkdir()
        (folder / "root").mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_MB}m,mode=777", "root", folder / "root"], check=True
        )
        stack.callback(lambda: subprocess.run(["umount", "-l", folder / "root"], check=True))
        line = stack.enter_context(line_out())
        sshd = stack.enter_context(running_sshd("Subsystem sftp internal-sftp -u 000\nMaxStartups 100", address=NEAR))
        line.shape(_DOWN, _UP)
        layout = lay_out(folder / "root", settings)
        open_to_all(layout.root)
        material = Material(folder / "media", layout, find_ffmpeg(""), _SIZE)
        scene = Scene(layout, material, line, sshd, folder, random.Random(options.seed))
        with _swept(scene):
            _fight(scene, options, folder)
            _rest(scene)
        beside = {"media", "root", "node.log", "node-far", "node-lied-to", "client", "known_hosts"}
        scene.problems += [f"OUTSIDE: {path.name}" for path in folder.iterdir() if path.name not in beside]
        found, told = judge(scene), scene.log.read_text("utf-8")
    faults = [line for line in told.splitlines() if "Traceback" in line or "event=fault" in line]
    for problem in [*scene.problems, *(f"FAULT: {line}" for line in faults)][:40]:
        print(problem)
    if scene.problems or faults or found["failed"]:
        print(told[-6000:])
    problems = Counter(problem.partition(":")[0].lower() for problem in scene.problems)
    counted = {
        word: problems[word] for word in ("lost", "doubled", "torn", "changed", "left", "stuck", "outside", "again")
    }
    events = ("task_claimed", "task_lost", "task_requeued", "node_trouble")
    print(
        "RESULT "
        + json.dumps(
            {
                "cases": sum(scene.breaks.values()),
                "tasks": len(scene.ids),
                "retried": scene.retried,
                **found,
                **counted,
                "faults": len(faults),
            }
            | {event: told.count(f"event={event}") for event in events}
            | {"seconds": round(time.monotonic() - began), "breaks": dict(scene.breaks)}
        )
    )
    return 1 if scene.problems or faults or found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
