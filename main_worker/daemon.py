"""The main worker's loop: see what is there, take what is ready, make tasks, look after the dead, say so."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import dataclass

from main_worker.cage import Cage
from main_worker.examination import Examiner
from main_worker.filing import Filing
from main_worker.ingest import Ingest
from main_worker.intake import Intake, View
from main_worker.library import Library
from main_worker.preparer import Preparer
from main_worker.watch import Hurry
from main_worker.writers import ignore_lease_signals
from shared import by_story
from shared.config import Config
from shared.domain.drop import Drop, classify
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble, remove_tree, write_hint
from shared.log import Logger
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.record import RecordError, utc_now
from shared.recovery import Caps, Recovery
from shared.store import Store
from shared.version import PROGRAM

_LEAST_PAUSE = 0.1  # a burst of events is one look at raw/
_BUSY_PAUSE = 0.5  # how often the end of the renders is looked for before an idle exit


@dataclass(frozen=True)
class _Seen:
    """What one round found; compared with the next to write the record only when something changed."""

    pending: tuple[PendingDrop, ...]
    waiting: tuple[WaitingVoice, ...]
    trouble: str | None
    busy: bool


class MainWorker:
    """The main worker of one root; its caller holds the root's main lock."""

    def __init__(self, config: Config, layout: Layout, lease_seconds: float, ffmpeg: Ffmpeg, log: Logger) -> None:
        self._config = config
        self._layout = layout
        self._log = log
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._store = Store(layout)
        self._library = Library(layout, log)
        self._intake = Intake(layout.raw, config.ingest.quiet_seconds)
        self._preparer = Preparer(config, layout, self._library, self._store, log)
        examiner = Examiner(Cage(config, ffmpeg, self._stop.is_set), layout.staging)
        filing = Filing(layout, self._library, config.links.chunk_words)
        self._ingest = Ingest(layout, filing, examiner, config.ingest.workers, log, self._wake.set)
        caps = Caps(config.worker.max_attempts, config.worker.max_starts)
        self._recovery = Recovery(self._store, caps, lease_seconds, log, time.monotonic)
        self._said: _Seen | None = None
        self._unreadable: tuple[str, ...] = ()

    def stop(self) -> None:
        """Ask the worker to end soon; safe to call from a signal handler."""
        self._stop.set()
        self._wake.set()

    def run(self, *, until_idle: bool) -> None:
        """Work until :meth:`stop`, or with `until_idle` until nothing is left to do on this root."""
        self._log.info(f"Main worker is ready on {self._layout.root}", name="worker_started")
        ignore_lease_signals()
        self._clear_leftovers()
        self._intake.restore()
        self._library.load()
        self._refresh_view()
        hurry = Hurry(self._wake)
        hurry.start(self._layout.raw, self._config.ingest.watch, self._log)
        watch = threading.Thread(target=self._recovery.keep_watch, args=(self._stop,), name="watch")
        watch.start()
        try:
            self._loop(until_idle)
        finally:
            self._stop.set()
            hurry.stop()
            self._ingest.close()
            watch.join()
            self._log.info("Main worker has stopped", name="worker_stopped")

    def _clear_leftovers(self) -> None:
        """Remove what an earlier main worker had begun to write when it was killed."""
        own = self._layout.main_record  # others write into .farm/ as well
        unfinished = [*own.parent.glob(f".{own.name}.*.tmp"), *self._layout.invalid.glob(".*.tmp")]
        for leftover in [*self._layout.staging.iterdir(), *unfinished]:
            remove_tree(leftover)

    def _loop(self, until_idle: bool) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            view, seen = self._round()
            self._say(seen)
            if until_idle and not seen.busy and self._all_rendered():
                self._log.info("Nothing is left to do", name="idle")
                return
            self._stop.wait(_LEAST_PAUSE)
            self._wake.wait(self._pause(view, until_idle=until_idle and not seen.busy))

    def _round(self) -> tuple[View, _Seen]:
        now = time.monotonic()
        self._ingest.finish(now)
        view = self._intake.look(now)
        if not view.unreadable:
            self._ingest.forget_all_but({ready.relative for ready in view.ready})
        for ready in view.ready:
            self._ingest.take(ready, now)
        self._note_unreadable(view.unreadable)
        on_their_way = [*view.settling, *self._ingest.checking]
        waiting, trouble = self._prepare([drop for drop in map(classify, on_their_way) if isinstance(drop, Drop)])
        states = [
            *view.settling.items(),
            *((name, "checking") for name in self._ingest.checking),
            *((name, f"put off: {why}") for name, why in self._ingest.put_off().items()),
        ]
        busy = bool(view.settling or self._ingest.checking) or not self._ingest.is_hopeless()
        pending = tuple(PendingDrop(drop=f"raw/{readable(str(name))}", doing=doing) for name, doing in states)
        stopped = trouble or "; ".join(view.unreadable)
        return view, _Seen(pending, waiting, stopped or self._ingest.trouble or None, busy or bool(stopped))

    def _prepare(self, arriving: list[Drop]) -> tuple[tuple[WaitingVoice, ...], str | None]:
        try:
            return self._preparer.prepare(arriving), None
        except OSError as error:
            trouble = str(as_machine_trouble(error, "cannot make a task"))
            if self._said is None or self._said.trouble != trouble:
                self._log.error(trouble, name="task_trouble")
            return (), trouble

    def _note_unreadable(self, unreadable: tuple[str, ...]) -> None:
        if unreadable != self._unreadable:
            self._unreadable = unreadable
            if unreadable:
                self._log.error(f"Cannot read part of raw/: {'; '.join(unreadable)}", name="raw_unreadable")
            else:
                self._log.info("All of raw/ can be read again", name="raw_readable")

    def _pause(self, view: View, *, until_idle: bool) -> float:
        longest = _BUSY_PAUSE if until_idle else self._config.ingest.rescan_seconds
        if view.next_at is None:
            return longest
        return max(0.0, min(longest, view.next_at - time.monotonic()))

    def _all_rendered(self) -> bool:
        return not (self._store.ids(TaskState.WAITING) or self._store.ids(TaskState.PROCESSING))

    def _say(self, seen: _Seen) -> None:
        """Write what this worker knows for `reelmill status`; only a hint, so failing to is no trouble."""
        if seen == self._said:
            return
        self._said = seen
        record = MainRecord(
            host=platform.node(),
            pid=os.getpid(),
            program=PROGRAM,
            state="paused" if seen.trouble else "working" if seen.pending else "idle",
            trouble=seen.trouble,
            pending=seen.pending,
            waiting=seen.waiting,
            updated_at=utc_now(),
        )
        try:
            write_hint(self._layout.main_record, record.to_bytes())
        except OSError as error:
            self._log.debug(str(as_machine_trouble(error, "cannot write the main worker's record")), name="hint_lost")

    def _refresh_view(self) -> None:
        """Link finished videos that a crash left without a link under their story's name."""
        for task_id in self._store.ids(TaskState.FINISHED):
            try:
                by_story.show(self._layout, self._store.metadata(TaskState.FINISHED, task_id))
            except (OSError, RecordError, MachineTrouble) as error:
                self._log.warning(f"Cannot link output/{task_id} by its story: {error}", name="view_late")
