"""Power loss: the filesystem under a farm at work is cut off at random moments, and looked at after the next mount.

An ext4 on a loop device is shut down by the ioctl that leaves nothing that was not flushed (``FS_IOC_SHUTDOWN`` without
a log flush), while workers claim, render and publish, tasks are added, and an operator cancels some. Whoever has been
told that something is done wrote that down elsewhere. After the next mount all of it must be so, and nothing torn; then
the workers go on, until the next loss of power.

    python -m tests.torture.power_loss              12 losses
    python -m tests.torture.power_loss --losses 3   a sample

The last line is ``RESULT {…}``; the exit status is 1 where something was lost or torn.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.layout import FINAL, METADATA, REASON, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.process import open_root
from shared.records.metadata import Metadata
from shared.records.reason import CANCELLED, Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Store
from tests.torture.stage import enter_namespace
from tests.torture.war import stage_task
from tests.torture.warrior import LEASE, content_of

_MEGABYTES = 96
_WORKERS = 6
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_SECONDS = (1.5, 6.0)  # until the power goes
_ADDED_PER_SECOND = 12.0


@dataclass
class Farm:
    """A filesystem that can lose its power, and what was acknowledged on it."""

    folder: Path
    chance: random.Random
    added: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return self.folder / "mount" / "root"

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def make(self) -> None:
        image = self.folder / "image"
        with image.open("wb") as stream:
            stream.truncate(_MEGABYTES << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        (self.folder / "mount").mkdir()
        (self.folder / "history").mkdir()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.folder / "image", self.folder / "mount"], check=True)
        (self.root / "raw").mkdir(parents=True, exist_ok=True)
        open_root(self.root)

    def unmount(self) -> None:
        subprocess.run(["umount", self.folder / "mount"], check=True)

    def lose_power(self) -> None:
        handle = os.open(self.folder / "mount", os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def work(self, round_number: int) -> None:
        """Let everybody work until the power goes."""
        workers = [self._start(f"r{round_number}w{number}") for number in range(_WORKERS)]
        ends = time.monotonic() + self.chance.uniform(*_SECONDS)
        store = Store(self.layout)
        while time.monotonic() < ends:
            with suppress(OSError, RecordError):
                self._add(store)
                self._cancel(store)
            time.sleep(self.chance.expovariate(_ADDED_PER_SECOND))
        self.lose_power()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def come_to_rest(self) -> None:
        """Let workers finish everything that is left."""
        workers = [self._start(f"last{number}") for number in range(_WORKERS)]
        store = Store(self.layout)
        ends = time.monotonic() + 60 * LEASE
        while time.monotonic() < ends and (store.has(TaskState.WAITING) or store.has(TaskState.PROCESSING)):
            time.sleep(0.3)
        for worker in workers:
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait(60)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        history = self.folder / "history"
        command = [sys.executable, "-m", "tests.torture.warrior", self.root, name, history / f"{name}.history"]
        with (history / f"{name}.log").open("wb") as log:
            return subprocess.Popen(list(map(str, command)), stderr=log, process_group=0)

    def _add(self, store: Store) -> None:
        task_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        stage_task(self.layout, task_id, len(self.added))
        if store.add(self.layout.staging / task_id, task_id):
            self.added.add(task_id)

    def _cancel(self, store: Store) -> None:
        if self.chance.random() < 0.1 and (ids := sorted(store.ids(TaskState.WAITING))):
            task_id = self.chance.choice(ids)
            reason = Reason(code=CANCELLED, reason="It was cancelled.", advice="", task_id=task_id, when="now")
            if store.cancel(task_id, reason):
                self.cancelled.add(task_id)

    # -- looking ---------------------------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        """What was acknowledged and is not so, and what is torn."""
        places = {
            task_id: [state for state in TaskState if self.layout.task(state, task_id).is_dir()]
            for task_id in self.added
        }
        for task_id, where in places.items():
            if not where:
                yield f"LOST: {task_id} was added and is nowhere"
            for state in where:
                yield from self._torn(task_id, state, alone=len(where) == 1)
        for task_id, token in self.published():
            where = places.get(task_id, [])
            if TaskState.FINISHED not in where:
                yield f"LOST: {task_id} was published and is in {[state.value for state in where]}"
            elif RenderRecord.read(self.layout.task(TaskState.FINISHED, task_id) / RENDER_RECORD).token != token:
                yield f"DOUBLED: {task_id} was published by {token} and is another's"
        for task_id in self.cancelled:
            if TaskState.FAILED not in places[task_id]:
                yield f"LOST: {task_id} was cancelled and is in {[state.value for state in places[task_id]]}"

    def _torn(self, task_id: str, state: TaskState, *, alone: bool) -> Iterator[str]:
        folder = self.layout.task(state, task_id)
        try:
            if state is TaskState.FINISHED:
                record = RenderRecord.read(folder / RENDER_RECORD)
                if (folder / FINAL).read_bytes() != content_of(task_id, record.token):
                    yield f"TORN: the video of {task_id}"
            if state is TaskState.FAILED:
                Reason.read(folder / REASON)
            Metadata.read(folder / METADATA)
        except (RecordError, FileNotFoundError) as error:
            if alone or state is TaskState.FINISHED:
                yield f"TORN: {task_id} in {state.value}: {error}"

    def published(self) -> Iterator[tuple[str, str]]:
        for path in (self.folder / "history").glob("*.history"):
            for line in path.read_text("utf-8").splitlines():
                words = line.split()
                if len(words) == 3 and words[0] == "published":
                    yield words[1], words[2]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="power_loss", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--losses", type=int, default=12)
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args(arguments)
    reason = enter_namespace() or (None if shutil.which("mkfs.ext4") else "mkfs.ext4 is not installed")
    if reason:
        print(f"SKIPPED: no filesystem can lose its power here: {reason}")
        print('RESULT {"losses": 0, "skipped": true}')
        return 0
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="reelmill-power-", dir="/var/tmp") as name:  # not on a tmpfs
        return _run(Farm(Path(name), random.Random(options.seed)), options.losses)


def _run(farm: Farm, losses: int) -> int:
    farm.make()
    found: list[str] = []
    try:
        farm.mount()
    except subprocess.CalledProcessError as error:
        print(f"SKIPPED: no loop device may be mounted here ({error})")
        print('RESULT {"losses": 0, "skipped": true}')
        return 0
    for number in range(losses):
        farm.work(number)
        farm.unmount()
        farm.mount()
        found += [f"after loss {number + 1}: {words}" for words in farm.problems()]
    farm.come_to_rest()
    found += [f"in the end: {words}" for words in farm.problems()]
    unfinished = len(Store(farm.layout).ids(TaskState.WAITING)) + len(Store(farm.layout).ids(TaskState.PROCESSING))
    farm.unmount()
    for words in found[:40]:
        print(words)
    result = {
        "losses": losses,
        "added": len(farm.added),
        "published": len(list(farm.published())),
        "cancelled": len(farm.cancelled),
        "lost": sum("LOST" in words for words in found),
        "doubled": sum("DOUBLED" in words for words in found),
        "torn": sum("TORN" in words for words in found),
        "unfinished": unfinished,
    }
    print(f"RESULT {json.dumps(result)}")
    return 1 if found or unfinished else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
