"""The main worker's loop: see what is there, take what is ready, make tasks, look after the dead, say so."""

from __future__ import annotations

import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice

from main_worker.alerts.alarm import Alarm
from main_worker.arrival.watch import Events
from main_worker.arrival.writers import ignore_lease_signals
from main_worker.metrics.keeping import Keeping
from main_worker.mill import Mill, Standing
from main_worker.nodes.handing import Handing
from main_worker.nodes.watching import Watching
from main_worker.retention import Retention
from main_worker.showing import Showing
from main_worker.turns import most_at_once
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble, overwrite_hint, write_hint
from shared.leash import can_isolate
from shared.log import Logger
from shared.nodes import Nodes
from shared.notify import Notifier
from shared.records.main import MOST_LISTED, MainRecord, PendingDrop
from shared.records.record import utc_now
from shared.recovery import Caps, Recovery
from shared.segments import SegmentCache
from shared.store import Store
from shared.version import PROGRAM

_BUSY_PAUSE = 0.5  # how often the end of the renders is looked for before an idle exit
_SWEEP_SECONDS = 3600.0  # what is kept for days need not be looked through more often
_SAY_SECONDS = 1.0  # the record is for people; with a thousand drops it is long


class MainWorker:
    """The main worker of one root; its caller holds the root's main lock."""

    def __init__(
        self, config: Config, layout: Layout, lease_seconds: float, ffmpeg: Ffmpeg, log: Logger, systemd: Notifier
    ) -> None:
        self._config = config
        self._layout = layout
        self._log = log
        self._systemd = systemd
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._changed = threading.Event()
        self._store = Store(layout)
        threads = most_at_once(config.ingest.workers)
        executor = ThreadPoolExecutor(threads, thread_name_prefix="ingest")
        self._mill = Mill(
            config, layout, ffmpeg, executor, 2 * threads, log, stopping=self._stop.is_set, wake=self._wake.set
        )
        self._events = Events(self._raw_changed)
        caps = Caps(config.worker.max_attempts, config.worker.max_starts)
        self._recovery = Recovery(self._store, caps, lease_seconds, log, time.monotonic, Nodes(layout, lease_seconds))
        watching = Watching(log, config.worker.min_free_bytes)
        self._handing = Handing(
            layout, self._store, Nodes(layout, lease_seconds), watching, Showing(self._store, log), log
        )
        self._alarm = Alarm(config.alerts, layout, Nodes(layout, lease_seconds), log)
        self._figures = Keeping(config.metrics, layout, Nodes(layout, lease_seconds), log)
        self._said: MainRecord | None = None
        self._said_at = -_SAY_SECONDS
        self._paused_since: str | None = None

    def stop(self) -> None:
        """Ask the worker to end soon; safe to call from a signal handler."""
        self._stop.set()
        self._wake.set()
        self._systemd.stopping()

    def run(self, *, until_idle: bool) -> None:
        """Work until :meth:`stop`, or with `until_idle` until nothing is left to do on this root."""
        self._log.info(f"Main worker is ready on {self._layout.root}", name="worker_started")
        if not can_isolate():
            self._log.warning("This system lets tools that read drops keep their network access", name="no_isolation")
        ignore_lease_signals()
        self._events.start(self._layout.raw, self._config.ingest.watch, self._log)
        watch = threading.Thread(target=self._recovery.keep_watch, args=(self._stop,), name="watch")
        watch.start()
        handing = threading.Thread(target=self._handing.keep_watch, args=(self._stop,), name="nodes")
        handing.start()
        alarm = threading.Thread(target=self._alarm.keep_watch, args=(self._stop,), name="alerts")
        alarm.start()
        figures = threading.Thread(target=self._figures.keep_watch, args=(self._stop,), name="figures")
        figures.start()
        sweeping = threading.Thread(target=self._sweep, name="retention")
        sweeping.start()
        try:
            self._loop(until_idle)
        finally:
            self._stop.set()
            self._events.stop()
            self._mill.close()
            watch.join()
            handing.join()
            sweeping.join()
            alarm.join()
            figures.join()
            self._log.info("Main worker has stopped", name="worker_stopped")

    def _sweep(self) -> None:
        """Remove now and then what has been kept long enough, beside the loop: much may take long."""
        retention = Retention(self._layout, self._config.retention, self._log)
        cache = SegmentCache(self._layout, "", self._config.worker.cache_bytes)
        while not self._stop.is_set():
            retention.sweep(datetime.now(UTC))
            try:
                cache.tidy()  # nodes that have not mounted the root bring segments, and cannot keep to the budget
            except OSError as error:
                self._log.warning(str(as_machine_trouble(error, "cannot tidy .farm/cache/")), name="retention_trouble")
            self._stop.wait(_SWEEP_SECONDS)

    def _raw_changed(self) -> None:
        self._changed.set()
        self._wake.set()

    def _loop(self, until_idle: bool) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            now = time.monotonic()
            if now >= self._mill.due(hurry=self._changed.is_set(), now=now):
                self._changed.clear()
                self._mill.look(now, self._events.take_clues())
            self._mill.turn(now)
            if not self._mill.is_working or now >= self._said_at + _SAY_SECONDS:
                standing = self._mill.standing(now)
                self._say(standing, now)
                if until_idle and not (standing.busy or self._changed.is_set()) and self._all_rendered():
                    self._log.info("Nothing is left to do", name="idle")
                    return
            self._systemd.ready()  # after the first turn, which reads the library and may take long
            self._systemd.alive()
            self._rest(_BUSY_PAUSE if until_idle else _SAY_SECONDS)

    def _rest(self, longest: float) -> None:
        """Sleep until something is due, or somebody calls."""
        now = time.monotonic()
        at = self._mill.rests_until(hurry=self._changed.is_set(), now=now)
        self._wake.wait(max(0.0, min(longest, at - now)))

    def _all_rendered(self) -> bool:
        return not (self._store.ids(TaskState.WAITING) or self._store.ids(TaskState.PROCESSING))

    def _say(self, standing: Standing, now: float) -> None:
        """Write what this worker knows for `reelmill status`; only a hint, so failing to is no trouble."""
        record = self._record(standing)
        self._said_at = now
        if self._said and record == self._said.changed(updated_at=record.updated_at):
            return
        self._said = record
        self._systemd.doing(record.words)
        try:
            try:
                write_hint(self._layout.main_record, record.to_bytes())
            except OSError:  # on a full disk the pause must be told all the same
                overwrite_hint(self._layout.main_record, record.changed(pending=(), waiting=()).to_bytes())
        except OSError as error:
            self._log.debug(str(as_machine_trouble(error, "cannot write the main worker's record")), name="hint_lost")

    def _record(self, standing: Standing) -> MainRecord:
        self._paused_since = (self._paused_since or utc_now()) if standing.paused else None
        pending = islice(standing.pending.items(), MOST_LISTED)
        return MainRecord(
            host=platform.node(),
            pid=os.getpid(),
            program=PROGRAM,
            state="paused" if standing.paused else "working" if standing.pending or standing.busy else "idle",
            trouble=standing.trouble,
            paused_since=self._paused_since,
            pending=tuple(PendingDrop(drop=f"raw/{readable(str(name))}", doing=doing) for name, doing in pending),
            pending_count=len(standing.pending),
            waiting=standing.waiting.first,
            waiting_count=standing.waiting.count,
            nodes=self._handing.verdicts,
            updated_at=utc_now(),
        )
