"""Whether a node behind a slow line renders all the time: it fetches, renders and uploads side by side.

Two network namespaces with a line between them, shaped both ways (tc tbf); a real sshd with the root at one end, and a
node at the other. First some tasks are rendered without a line, and the line is made so that fetching the inputs of a
task takes about half as long as its render, and uploading its video (with reading it back, to check it) as well. One
after the other the node would render half of the time.

    render_utilization        per cent of the time in which the node renders: from the first render's beginning to the
                              last one's end, by the stamps in the render.json of every video. Every task waits from
                              before the node starts, and has inputs of its own, so that no cache helps.
    render_utilization_100ms  the same, where every answer comes 100 ms later (a proxy; 50 ms each way).
    refetched_bytes           of media, when tasks with the same inputs come again: counted by the SFTP server.

What ffmpeg did is looked at beside it, in the kernel's list of processes, and printed.

    python -m benchmarks.pipeline            twenty tasks each; twenty-five minutes on two cores
    python -m benchmarks.pipeline --small    five each, and shorter: a quick check that all of it works

It takes root, for the namespaces.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.tasks import DEADLINE, RATE, SMALL, Media, Tasks, Wish
from console.init import lay_out
from main_worker.checks.cage import Cage
from main_worker.checks.pictures import examine_clip
from shared.config import Config
from shared.domain.layout import RENDER_RECORD, Layout
from shared.domain.media import VideoFacts
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.records.render import RenderRecord
from shared.store import Store
from tests.farside import SFTP_SERVERS, Sshd, free_port, programs_below, running_sshd
from tests.torture.namespaces import NEAR, Line, line_out, why_no_network
from tests.torture.stage import enter_namespace

_TASKS, _FEW, _AGAIN, _ALONE = 20, 5, 4, 3
_CLIPS = 2
_DELAY_SECONDS = 0.05  # each way
_SHARE = 0.5  # of a render, that fetching takes, and uploading
_END_SECONDS = 60.0  # for a node to end: where its line is broken, it tries for half a minute and more
_LOOK_SECONDS = 0.1  # between looks at the processes: a look takes some milliseconds of a processor
_REELMILL = str(Path(sys.executable).with_name("reelmill"))
_READ = re.compile(
    r'close "[^"]*/processing/[^/"]+/(?:video_part\d+\.mp4|voice\.mp3|music\.mp3|logo\.png)" bytes read (\d+)'
)


@dataclass(frozen=True)
class Size:
    """How much there is to render: the canvas, seconds of a video, tasks in a row, and how hard the encoder tries."""

    canvas: str
    seconds: float
    tasks: int
    preset: str


WHOLE = Size("640x360", 28.0, _TASKS, "slow")
FEW = Size("320x180", 12.0, _FEW, "medium")


class Material:
    """Tasks of one root; each has clips and a voice that no other has, or else those of an earlier one."""

    def __init__(self, folder: Path, layout: Layout, ffmpeg: Ffmpeg, size: Size) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._size = size
        self._store = Store(layout)
        self._layout = layout
        self._media = Media(folder, ffmpeg, SMALL)
        self._tasks = Tasks(layout, self._media)
        self._cage = Cage(Config(), ffmpeg, lambda: False)
        self._given = 0
        self._clip = self._make(
            "original.mp4",
            *(
                "-f",
                "lavfi",
                "-i",
                f"mandelbrot=s={size.canvas}:r={RATE}:start_scale=2,trim=duration={size.seconds / _CLIPS + 1}",
            ),
            *("-vf", "noise=alls=6:allf=t,format=yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "14"),
        )

    def wish(self) -> Wish:
        """A video of inputs that nobody has."""
        self._given += 1
        clips = tuple(self._own_clip(f"{self._given}-{part}") for part in range(_CLIPS))
        facts: dict[Path, VideoFacts] = {clip: examine_clip(self._cage, clip) for clip in clips}
        voice = self._media.voice(self._size.seconds)
        return Wish(self._size.canvas, voice, self._size.seconds, clips, facts)

    def add(self, wish: Wish) -> str:
        """Have a task of it wait; its id."""
        task_id = str(uuid.uuid4())
        if not self._store.add(self._tasks.stage(task_id, wish), task_id):
            raise SystemExit(f"task {task_id} is there twice")
        return task_id

    def bytes_of(self, wish: Wish) -> int:
        """Of the inputs that only this video has."""
        return sum(path.stat().st_size for path in (*wish.clips, wish.voice))

    def _own_clip(self, name: str) -> Path:
        """The clip again, as a file of other content and the same pictures."""
        return self._make(f"own{name}.mp4", "-i", str(self._clip), "-c", "copy", "-metadata", f"title={name}")

    def _make(self, name: str, *arguments: str) -> Path:
        path = self._folder / name
        command = [self._ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments, str(path)]
        subprocess.run(command, check=True, timeout=DEADLINE)
        return path


@dataclass(frozen=True)
class Rendered:
    """When the node rendered a video, in seconds since 1970, and what became of it."""

    began: float
    ended: float
    size: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Watch:
    """Looks which share of the time an ffmpeg of a node is there."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[tuple[float, bool]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def share(self, began: float, ended: float) -> float:
        """Per cent of that time, both seconds since 1970."""
        seen = [there for when, there in self._seen if began <= when <= ended]
        return 100 * sum(seen) / max(1, len(seen))

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._seen.append((time.time(), bool(programs_below(self._pid, "ffmpeg"))))


class Bench:
    """A root behind an sshd, and a node at the other end of a line."""

    def __init__(self, folder: Path, layout: Layout, sshd: Sshd, line: Line) -> None:
        self.layout = layout
        self._folder = folder
        self._sshd = sshd
        self._line = line
        self._store = Store(layout)
        self.server_log = sshd.home / "transfers"

    @contextmanager
    def node(self, name: str, *, delayed: bool = False, far: bool = True) -> Iterator[int]:
        """A node at work, and its process; not `far`: on the root itself."""
        port = free_port() if delayed else None
        with contextlib.ExitStack() as stack:
            if port:
                stack.enter_context(self._proxy(port))
            remote = self._sshd.remote(self.layout.root, port)
            where = ["--remote", str(remote), "--home", str(self._folder / name)]
            command = [_REELMILL, "render", *(where if far else ["--root", str(self.layout.root)])]
            own = {"WORKER__NODE": name, "REMOTE__KEY": remote.key, "REMOTE__KNOWN_HOSTS": remote.known_hosts}
            environment = os.environ | {f"REELMILL_{key}": str(value) for key, value in own.items()}
            with self._log(name).open("ab") as log:
                before = self._line.before if far else ()
                process = stack.enter_context(
                    subprocess.Popen([*before, *command], env=environment, stderr=log, stdout=log)
                )
            try:
                yield process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def run(self, name: str, ids: Sequence[str], **how: bool) -> tuple[list[Rendered], float]:
        """Have the waiting tasks rendered by a node; what it rendered in turn, and the share that ffmpeg was there."""
        with self.node(name, **how) as pid:
            watch = Watch(pid)
            try:
                self._until_finished(ids, name)
            finally:
                watch.end()
        found = sorted((self._rendered(task_id) for task_id in ids), key=lambda one: one.began)
        return found, watch.share(found[0].began, found[-1].ended)

    def media_read(self) -> int:
        """Bytes of inputs that the server has given away so far."""
        return sum(int(found) for found in _READ.findall(self.server_log.read_text("utf-8", "replace")))

    def _rendered(self, task_id: str) -> Rendered:
        record = RenderRecord.read(self.layout.task(TaskState.FINISHED, task_id) / RENDER_RECORD)
        began, ended = (datetime.fromisoformat(stamp).timestamp() for stamp in (record.started_at, record.finished_at))
        return Rendered(began, ended, record.size)

    def _until_finished(self, ids: Sequence[str], name: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not all(self._store.is_finished(task_id) for task_id in ids):
            if time.monotonic() > deadline or self._store.has(TaskState.FAILED):
                raise SystemExit(f"not every task was rendered\n{self._log(name).read_text('utf-8')[-8000:]}")
            time.sleep(0.5)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    @contextmanager
    def _proxy(self, port: int) -> Iterator[None]:
        """At the node's end: a port that leads to the server, later both ways."""
        command = [sys.executable, "-m", "benchmarks.delay", str(port), self._sshd.address, str(self._sshd.port)]
        with subprocess.Popen([*self._line.before, *command, str(_DELAY_SECONDS)], stdout=subprocess.PIPE) as proxy:
            try:
                assert proxy.stdout is not None  # noqa: S101 - for the type checker
                proxy.stdout.readline()  # it listens
                yield
            finally:
                proxy.terminate()


def utilization(found: Sequence[Rendered]) -> float:
    """Per cent of the time from the first beginning to the last end in which something was rendered."""
    busy, until = 0.0, found[0].began
    for one in found:
        busy += max(0.0, one.ended - max(one.began, until))
        until = max(until, one.ended)
    return 100 * busy / (until - found[0].began)


def _measure(bench: Bench, material: Material, line: Line, size: Size) -> dict[str, float | int]:
    alone = [material.wish() for _ in range(_ALONE)]
    found, _ = bench.run("alone", [material.add(wish) for wish in alone], far=False)
    seconds = statistics.median(one.seconds for one in found[1:])
    out, fetched = statistics.median(one.size for one in found), material.bytes_of(alone[0])
    half = _SHARE * seconds
    down = fetched / half
    if out / down >= half:
        raise SystemExit(f"the videos ({out} bytes) are too large against their inputs ({fetched} bytes)")
    up = out / (half - out / down)  # what is uploaded is read back over the way down
    line.shape(down, up)
    _say(
        f"a render without a line takes {seconds:.1f} s, of {fetched / 1e6:.1f} MB, and gives {out / 1e6:.1f} MB: the "
        f"line carries {down / 1e6:.2f} MB/s down and {up / 1e6:.2f} MB/s up, {half:.1f} s each"
    )
    shares = []
    for name, delayed in (("prompt", False), ("late", True)):
        wishes = [material.wish() for _ in range(size.tasks)]
        before, least = bench.media_read(), sum(map(material.bytes_of, wishes))
        found, ffmpeg = bench.run(name, [material.add(wish) for wish in wishes], delayed=delayed)
        read = bench.media_read() - before
        if read < least:
            raise SystemExit(
                f"the server counted {read} bytes of inputs, and {least} were needed: it counts too little"
            )
        shares.append(utilization(found))
        lasted = statistics.median(one.seconds for one in found)
        _say(
            f"{size.tasks} tasks{', every answer 100 ms later' if delayed else ''}: {shares[-1]:.1f} % of "
            f"{found[-1].ended - found[0].began:.0f} s in renders of {lasted:.1f} s; an ffmpeg was there {ffmpeg:.1f} "
            f"% of the time; {read / 1e6:.1f} MB of inputs fetched ({least / 1e6:.1f} are the tasks' own)"
        )
    before = bench.media_read()
    bench.run(name, [material.add(wish) for wish in wishes[:_AGAIN]])
    again = bench.media_read() - before
    _say(f"{_AGAIN} tasks with inputs that the node has had: {again} bytes of media fetched again")
    return {
        "render_utilization": round(shares[0], 1),
        "render_utilization_100ms": round(shares[1], 1),
        "refetched_bytes": again,
    }


def open_to_all(root: Path) -> None:
    """Let the user of the nodes change everything, as a group that shares the root would."""
    for folder, names, files in os.walk(root):
        for path in [Path(folder), *(Path(folder, name) for name in (*names, *files))]:
            path.chmod(0o777 if path.is_dir() else 0o666)


def _say(words: str) -> None:
    print(words, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.pipeline", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few tiny tasks, to see that it works")
    parser.add_argument("--seconds", type=float, help="length of each video instead: of a longer one, more is hidden")
    options = parser.parse_args(arguments)
    server = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
    reason = why_no_network() or (None if server else f"there is no sftp-server at any of {', '.join(SFTP_SERVERS)}")
    reason = reason or enter_namespace(network=False)
    if reason:
        print(f"SKIPPED: no line can be made here: {reason}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started has to end
    size = FEW if options.small else WHOLE
    size = replace(size, seconds=options.seconds or size.seconds)
    os.umask(0)  # the user of the nodes works on the same root
    settings: dict[str, dict[str, Any]] = {
        "render": {"resolution": size.canvas, "preset": size.preset, "quality": 26, "encoder": "software"},
        "worker": {"conform_when_idle": False, "poll_seconds": 0.2, "min_free_bytes": 0},
    }
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as name, line_out() as line:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "media").mkdir()
        counted = f"Subsystem sftp {server} -u 000 -e -l VERBOSE 2>>{{}}/transfers"
        with running_sshd("", address=NEAR, prepare=lambda sshd: _count(sshd, counted)) as sshd:
            layout = lay_out(folder / "root", settings)
            open_to_all(layout.root)
            material = Material(folder / "media", layout, find_ffmpeg(""), size)
            found = _measure(Bench(folder, layout, sshd, line), material, line, size)
    print(f"RESULT {json.dumps(found)}")
    return 0


def _count(sshd: Sshd, line: str) -> None:
    """Have its SFTP servers write down what they give away."""
    (sshd.home / "transfers").touch(0o666)
    sshd.lines = line.format(sshd.home)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
