"""Everything that turns drops into the library and the library into tasks, one turn at a time and by one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from main_worker.arrival.intake import Intake, View
from main_worker.arrival.settling import Clue, Patience
from main_worker.checks.cage import Cage
from main_worker.checks.examination import Examiner
from main_worker.ingest import Ingest
from main_worker.mounts import Mounts
from main_worker.pace import Pace
from main_worker.shelves.filing import Filing
from main_worker.shelves.library import Library
from main_worker.shelves.quarantine import tidy
from main_worker.tasks.preparer import Preparer, Waiting
from main_worker.troubles import Trouble, again
from shared.config import Config
from shared.domain.drop import Drop, classify
from shared.domain.errors import MachineTrouble, Stopped, ToolError
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble, original_name, put_back, remove_tree
from shared.log import Logger
from shared.store import Store


@dataclass(frozen=True)
class Standing:
    """How things stand after a turn.

    Attributes:
        pending: drops that are still in ``raw/``, each with what is done about it.
        paused: what keeps everything back, or None.
        trouble: what is in the way of anything at all, or None.
        busy: whether there is something to wait for that is bound to come.
    """

    pending: Mapping[PurePosixPath, str]
    waiting: Waiting
    paused: str | None
    trouble: str | None
    busy: bool


class Mill:
    """One root's ingest and its making of tasks; the caller holds the root's main lock."""

    def __init__(
        self,
        config: Config,
        layout: Layout,
        ffmpeg: Ffmpeg,
        executor: Executor,
        most: int,
        log: Logger,
        *,
        stopping: Callable[[], bool],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._layout = layout
        self._log = log
        self._library = Library(layout, log)
        self._mounts = Mounts(layout)
        self._intake = Intake(layout.raw, Patience(config.ingest.quiet_seconds, config.ingest.blind_quiet_seconds))
        cage = Cage(config, ffmpeg, stopping)
        self._preparer = Preparer(config, layout, self._library, Store(layout), cage, log)
        examiner = Examiner(cage, layout.staging)
        filing = Filing(layout, self._library, config.links.chunk_words)
        self._ingest = Ingest(config, layout, filing, examiner, executor, most, log, wake)
        self._is_open = False
        self._lost: str | None = None
        self._view = View()
        self._held_until: float | None = None
        self._looked, self._prepared = Pace(), Pace()
        self._is_stale = False
        self._known: tuple[int, int] | None = None
        self._waiting = Waiting()
        self._task_trouble: Trouble | None = None
        self._unread: Trouble | None = None

    def close(self) -> None:
        """Wait for what is under way; it ends soon once `stopping` is true."""
        self._ingest.close()

    def due(self, *, hurry: bool, now: float) -> float:
        """When the next look at ``raw/`` is to be taken (monotonic seconds); `hurry`: something has changed there."""
        wanted = [at for at in (self._view.next_at, self._held_until, now if hurry else None) if at is not None]
        return self._looked.due(self._config.ingest.rescan_seconds, min(wanted, default=None))

    def rests_until(self, *, hurry: bool, now: float) -> float:
        """When there is something to do again, unless an examination ends before (monotonic seconds)."""
        due = self.due(hurry=hurry, now=now)
        makes_tasks = self._is_open and not self._lost and self._is_behind()
        return min(due, self._prepared.earliest) if makes_tasks else due

    def look(self, now: float, clues: Mapping[str, Clue] | None = None) -> None:
        """See what lies in ``raw/``, and queue what is ready. The first look also tidies up and reads the library."""
        if self._is_lost():
            self._looked = Pace(now, max(0.0, time.monotonic() - now))
            return
        self._intake.distrust(self._ingest.again)
        view = self._intake.look(now, clues)
        if view.aside:
            self._restore(view.aside)
            view = self._intake.look(now, clues)
        self._unread = again(self._unread, "; ".join(view.unreadable), now) if view.unreadable else None
        before, self._view = self._view, view
        for words in sorted(set(view.unreadable) - set(before.unreadable)):
            self._log.error(f"What lies in {words}; it waits until it can be read", name="raw_unreadable")
        unseen = {name for name in self._ingest.troubles.drops if view.hides(name)}
        self._ingest.forget_all_but(unseen.union(ready.relative for ready in view.ready))
        self._held_until = self._ingest.offer(view.ready, now)
        self._is_stale = True  # a logo may have come, a clip may have been brought back: what waits is looked at again
        self._looked = Pace(now, max(0.0, time.monotonic() - now))

    def turn(self, now: float) -> None:
        """Begin and conclude what can be, and make the tasks that can be made."""
        if self._lost or not self._is_open:
            return
        if self._ingest.is_working and self._is_lost():  # what is filed now would be hidden when the mount is back
            return
        self._ingest.turn(now)
        if now >= self._prepared.earliest:
            self.prepare()

    def prepare(self) -> None:
        """Make the tasks that can be made, if anything has changed since this was last done."""
        now = time.monotonic()  # the turn may have begun long ago, and what it did before cost something else
        if self._lost or not self._is_open:
            return
        if self._is_behind() and not self._is_lost():  # what lies in a lost folder is not gone
            self._known, self._is_stale = (self._library.version, self._ingest.version), False
            arriving = self._arriving() if self._library.without_task() else ()
            self._prepare([drop for drop in map(classify, arriving) if isinstance(drop, Drop)])
            self._prepared = Pace(now, max(0.0, time.monotonic() - now))

    def _is_behind(self) -> bool:
        """Whether anything has changed that tasks are made of since they were last made."""
        return self._is_stale or self._known != (self._library.version, self._ingest.version)

    def _arriving(self) -> frozenset[PurePosixPath]:
        """Drops that are on their way into the library."""
        return frozenset((*self._view.arriving, *self._ingest.arriving))

    def settles_in(self, now: float) -> float:
        """Seconds until the first drop that settles may be complete."""
        return max(0.0, self._view.next_at - now) if self._view.next_at is not None else 0.0

    @property
    def is_taking(self) -> bool:
        """Whether drops are being taken in, and nothing keeps them all back."""
        return not self._lost and self._ingest.is_working and self._ingest.troubles.pause is None

    @property
    def is_working(self) -> bool:
        """Whether any drop is on its way, so that how things stand changes all the time."""
        return bool(self._ingest.is_working or self._view.settling)

    def standing(self, now: float) -> Standing:
        """How things stand."""
        troubles = self._ingest.troubles
        pending = {**self._view.settling, **self._ingest.states(now)}
        paused = self._lost or (troubles.pause.why if troubles.pause else None)
        own = [trouble for trouble in (self._task_trouble, self._unread) if trouble]
        single = next(iter(troubles.drops.values()), None)
        hopeless = troubles.is_hopeless and pending.keys() <= troubles.drops.keys() | self._stuck()
        return Standing(
            pending=pending,
            waiting=self._waiting,
            paused=paused,
            trouble=paused or next((trouble.why for trouble in own), single),
            busy=bool(self._lost or self._is_behind() or not all(trouble.is_hopeless for trouble in own))
            or bool(pending and not hopeless),
        )

    def _stuck(self) -> set[PurePosixPath]:
        """Drops that only a pause keeps back."""
        return set(self._ingest.arriving) if self._ingest.troubles.pause else set()

    def _open(self) -> None:
        """Clear up after an earlier main worker that was killed, and read the library."""
        for leftover in self._layout.staging.iterdir():
            remove_tree(leftover)
        for own in (self._layout.main_record, self._layout.mounts):  # others write into .farm/ as well
            for leftover in own.parent.glob(f".{own.name}.*.tmp"):
                leftover.unlink()
        tidy(self._layout)
        self._library.load()
        self._mounts.record()

    def _restore(self, aside: Iterable[Path]) -> None:
        """Give files their names back; forgotten probes go."""
        for path in aside:
            before = original_name(path)
            try:
                if before:
                    self._intake.distrust([PurePosixPath(before.relative_to(self._layout.raw))])
                    put_back(path, before)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                self._log.warning(str(as_machine_trouble(error, "cannot give it its name back")), name="leftover")

    def _cannot_open(self) -> str | None:
        if not self._is_open:
            try:
                self._open()
            except OSError as error:
                return str(as_machine_trouble(error, "cannot read the library"))
            self._is_open = True
        return None

    def _is_lost(self) -> bool:
        lost = self._mounts.trouble() or self._cannot_open()
        if lost and lost != self._lost:
            self._log.error(f"Ingest is paused and goes on by itself: {lost}", name="ingest_paused")
        elif self._lost and not lost:
            self._log.info("Every folder is in its place again; ingest goes on", name="ingest_resumed")
        self._lost = lost
        return lost is not None

    def _prepare(self, arriving: list[Drop]) -> None:
        try:
            self._waiting = self._preparer.prepare(arriving)
            if self._library.misses_some and not self._is_lost():
                self._library.forget_gone()
            self._task_trouble = None
        except Stopped:  # what has not become a task yet does so after the next start
            return
        except (OSError, MachineTrouble, ToolError) as error:
            doing = "cannot make a task"
            why = str(as_machine_trouble(error, doing)) if isinstance(error, OSError) else f"{doing}: {error}"
            if self._task_trouble is None or self._task_trouble.why != why:
                self._log.error(why, name="task_trouble")
            self._task_trouble = again(self._task_trouble, why, time.monotonic())
