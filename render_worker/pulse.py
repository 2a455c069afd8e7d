"""The worker's pulse: a thread that keeps the lock file beating, watches the hold, and says what the node does."""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from render_worker.pace import Pace
from render_worker.progress import Report
from render_worker.ways import Ways
from shared.domain.node import NodeState
from shared.records.node import NodeRecord
from shared.records.record import utc_now
from shared.store import Claim, Store
from shared.tree.tree import NoInformation
from shared.version import PROGRAM

_SECONDS = 1.0  # the contract: a holder checks its hold every second


@dataclass(frozen=True)
class Doing:
    """What a node is doing, for people."""

    state: NodeState
    why: str | None = None
    task_id: str | None = None
    label: str | None = None
    report: Report | None = None
    stepped_down: str | None = None


class Pulse:
    """Beats from :meth:`start` to :meth:`stop`; `lost` says that the held task is no longer ours.

    `tell` gets in words, every second, what the node's record says.
    """

    def __init__(
        self,
        store: Store,
        node: str,
        heartbeat_seconds: float,
        ways: Ways,
        pace: Pace,
        ffmpeg: str,
        tell: Callable[[str], None],
        patience: float = 0.0,
    ) -> None:
        """`patience`: seconds for which a heartbeat may fail for want of an answer before the hold counts as lost."""
        self._store = store
        self._node = node
        self._heartbeat = heartbeat_seconds
        self._patience = patience
        self._shown_at = 0.0
        self._ways = ways
        self._tell = tell
        self._pace = pace
        self._ffmpeg = ffmpeg
        self._ended = threading.Event()
        self._mutex = threading.Lock()
        self._claim: Claim | None = None
        self._lost = False
        self._doing = Doing(NodeState.STARTING)
        self._counter = 0
        self._thread = threading.Thread(target=self._beat_on, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and remove the node's record: a node that left is not a dead node."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # others see that it is gone as well
            self._store.tree.remove(self._store.at(self._store.layout.node_record(self._node)))

    def hold(self, claim: Claim) -> None:
        """Keep this claim alive from now on."""
        with self._mutex:
            self._claim, self._lost = claim, False
            self._shown_at = time.monotonic()

    def let_go(self) -> None:
        """Stop beating for the claim, before it is published, failed or given back."""
        with self._mutex:
            self._claim = None

    @property
    def lost(self) -> bool:
        """Whether the held task was taken away, or its heartbeat could not be written."""
        return self._lost

    def say(self, doing: Doing) -> None:
        self._doing = doing

    def _beat_on(self) -> None:
        last_beat = time.monotonic()
        while not self._ended.wait(min(_SECONDS, self._heartbeat)):
            now = time.monotonic()
            beat_due = now - last_beat >= self._heartbeat
            last_beat = now if beat_due else last_beat
            self._check(beat_due)
            with suppress(OSError):  # a record nobody can write is no reason to stop a render
                self._write_record()

    def _check(self, beat_due: bool) -> None:
        with self._mutex:
            claim = self._claim
            if claim is None:
                return
            try:
                if not self._store.holds(claim):
                    self._lost = True
                elif beat_due:
                    claim.sign.beat()
                    self._shown_at = time.monotonic()
            except NoInformation:  # a link that is down for a moment: nobody has taken anything from us yet
                self._lost = time.monotonic() - self._shown_at >= self._patience
            except OSError:
                self._lost = True

    def _write_record(self) -> None:
        doing, report = self._doing, self._doing.report
        self._counter += 1
        record = NodeRecord(
            node=self._node,
            host=platform.node(),
            pid=os.getpid(),
            program=PROGRAM,
            ffmpeg=self._ffmpeg,
            state=doing.state.value,
            why=doing.why,
            profiles=self._ways.profiles,
            measured_fps=self._ways.measured,
            pace=self._pace.speed,
            clips=self._pace.clips,
            counter=self._counter,
            encoder=self._ways.usual.encoder,
            decoder=self._ways.usual.decoder,
            stepped_down=doing.stepped_down,
            task_id=doing.task_id,
            label=doing.label,
            phase=report.phase if report else None,
            percent=round(report.percent, 1) if report else None,
            fps=report.fps if report else None,
            speed=report.speed if report else None,
            eta_seconds=report.eta_seconds if report else None,
            free_bytes=shutil.disk_usage(self._store.layout.root).free,
            updated_at=utc_now(),
        )
        self._tell(record.words)
        place = self._store.at(self._store.layout.node_record(self._node))
        self._store.tree.replace(place, record.to_bytes(), durable=False)
