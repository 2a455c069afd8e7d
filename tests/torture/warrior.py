"""One worker of the random war: the real protocol around a render that only writes a small file in pieces.

python -m tests.torture.warrior ROOT NAME HISTORY                 on a root that is mounted
python -m tests.torture.warrior HOME NAME HISTORY ADDRESS KEY KNOWN_HOSTS   on one behind SFTP, at that address
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from render_worker.commands.encoders import Way
from render_worker.duty import Duty
from render_worker.lanes.board import Board
from render_worker.pace import Pace
from render_worker.pulse import Pulse
from render_worker.ways import Ways
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.retry import Attempted, Crew, Ending, GiveUp, decide
from shared.domain.task import DEFAULT_PROFILE, TaskState
from shared.files import fsync_path
from shared.log import open_log
from shared.queue import Queue
from shared.records.reason import Reason
from shared.records.record import RecordError, utc_now
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.settings import Log
from shared.store import Claim, HoldLost, Store
from shared.tree.link import Link, Patience
from shared.tree.remote import Remote
from shared.tree.sftp import SftpTree

LEASE = float(os.environ.get("REELMILL_WAR_LEASE", "3"))
HEARTBEAT = LEASE / 6
CAPS = Caps(max_attempts=12, max_starts=40)
_PIECES, _PIECE = 6, 2048
_PIECE_SECONDS = 0.03
_LEAST_BYTES = 8 << 20
_REST_SECONDS = 2.0  # of a node in trouble; a real one rests half a minute
_LINK = Patience(connect=LEASE, reply=LEASE / 2, link=LEASE / 2, keep_alive=1.0)  # as much shorter as the lease is
_SPOILT = 50  # one task in so many can never be rendered


class Interrupted(Exception):
    """The worker was asked to stop, or its task was taken away."""


def content_of(task_id: str, token: str) -> bytes:
    """The whole video of a task as one attempt writes it."""
    return b"".join(hashlib.sha256(f"{task_id} {token} {n}".encode()).digest() * (_PIECE // 32) for n in range(_PIECES))


class Warrior:
    """One worker process."""

    def __init__(self, root: Path, name: str, history: Path, remote: Remote | None = None) -> None:
        self._layout = Layout(root)
        self._is_far = remote is not None
        self._store = Store(self._layout, SftpTree(Link(remote, _LINK)) if remote else None)
        self._queue = Queue(self._store)
        self._name = name
        self._chance = random.Random(f"{name} {os.getpid()}")
        self._history = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._log = open_log("warrior", Log(file=False))
        ways = Ways({DEFAULT_PROFILE: (Way("libx264"),)})
        patience = LEASE * 2 / 3 - HEARTBEAT if remote else 0.0
        self._pulse = Pulse(self._store, name, HEARTBEAT, ways, Pace(), Board(), "", lambda _: None, patience)
        self._duty = Duty(self._store, name, self._log)
        self._recovery = Recovery(self._store, CAPS, LEASE, self._log, time.monotonic)
        self._stop = threading.Event()

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        self._pulse.start()
        watch = threading.Thread(target=self._recovery.keep_watch, args=(self._stop,))
        watch.start()
        while not self._stop.is_set():
            try:
                if self._duty.look() or not self._has_room() or not self._take_one():
                    self._stop.wait(0.1)
            except (OSError, RecordError) as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                self._stop.wait(_REST_SECONDS if self._is_far else 0.3)  # which does not see that the disk is full
        watch.join()
        self._pulse.stop()

    def _has_room(self) -> bool:
        """As a real worker, it begins nothing on a full disk."""
        return shutil.disk_usage(self._layout.root).free >= _LEAST_BYTES

    def _take_one(self) -> bool:
        self._queue.look()
        for ticket in self._queue.tasks():
            if self._stop.is_set():
                return False
            claim = self._store.claim(ticket.task_id, self._name)
            self._queue.taken(ticket, by_us=claim is not None)
            if claim:
                self._pulse.hold(claim)
                try:
                    self._work(claim)
                except HoldLost:
                    self._note("fenced", claim)
                except OSError:
                    claim.sign.abandon()
                    raise
                finally:
                    self._pulse.let_go(claim)
                    if self._is_far:  # of its own double of the task
                        shutil.rmtree(self._layout.task(TaskState.PROCESSING, claim.task_id), ignore_errors=True)
                return True
        return False

    def _work(self, claim: Claim) -> None:
        try:
            self._render(claim)
        except Interrupted:
            if self._pulse.lost(claim):
                self._store.withdraw(claim)
                raise HoldLost(claim.task_id) from None
            self._end(claim, Ending.GIVEN_BACK)
        except OSError:
            self._end(claim, Ending.NODE_TROUBLE)
            self._stop.wait(_REST_SECONDS)
        else:
            if claim.metadata.seed % _SPOILT == 0:
                self._end(claim, Ending.BAD_INPUT)
            else:
                self._store.publish(claim)
                self._note("published", claim)

    def _render(self, claim: Claim) -> None:
        content = content_of(claim.task_id, claim.token)
        if self._is_far:
            claim.folder.mkdir(parents=True)
        with (claim.folder / FINAL).open("wb") as video:
            for start in range(0, len(content), _PIECE):
                if self._stop.is_set() or self._pulse.lost(claim):
                    raise Interrupted
                video.write(content[start : start + _PIECE])
                time.sleep(self._chance.expovariate(1 / _PIECE_SECONDS))
        fsync_path(claim.folder / FINAL)
        claim.metadata.write(claim.folder / METADATA)
        RenderRecord(
            task_id=claim.task_id,
            attempt=claim.attempt,
            token=claim.token,
            node=self._name,
            program="",
            ffmpeg="",
            encoder="",
            mode="",
            plan={},
            checks=(),
            sha256="",
            size=len(content),
            seconds=0,
            frames=0,
            timings={},
            started_at="",
            finished_at="",
        ).write(claim.folder / RENDER_RECORD)
        if self._is_far:
            for path in sorted(claim.folder.iterdir()):
                self._store.tree.upload(path, self._store.at(path), durable=False)

    def _end(self, claim: Claim, ending: Ending) -> None:
        before = self._store.attempts(TaskState.PROCESSING, claim.task_id)
        attempts = [Attempted(one.ended or Ending.DIED, one.node) for one in before if one.number < claim.attempt]
        attempts.append(Attempted(ending, self._name))
        decision = decide(attempts, max_attempts=CAPS.max_attempts, max_starts=CAPS.max_starts, crew=Crew())
        if isinstance(decision, GiveUp):
            reason = Reason(code=decision.code, reason="No.", advice="", task_id=claim.task_id, when=utc_now())
            self._store.fail(claim, ending, reason)
            self._note("failed", claim)
        else:
            self._store.give_back(claim, ending, ending.value)

    def _note(self, what: str, claim: Claim) -> None:
        os.write(self._history, f"{what} {claim.task_id} {claim.token}\n".encode())


if __name__ == "__main__":
    where, named, written, *link = sys.argv[1:]
    try:
        Path(where).mkdir(parents=True, exist_ok=True)  # a home of its own, where the tree is elsewhere
    except OSError as trouble:  # the disk is full just now: somebody else is started
        sys.exit(f"{named} has no home: {trouble}")
    Warrior(
        Path(where),
        named,
        Path(written),
        Remote.at(link[0], key=Path(link[1]), known_hosts=Path(link[2])) if link else None,
    ).run()
