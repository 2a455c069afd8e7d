"""What a node was doing when, told by whoever does it, from any thread: what the four figures are counted from.

Fetching, rendering and delivering may run side by side, as often as there are lanes for them. That a node rendered
nothing was lost time only if a task waited, which the next look for one tells.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from shared.domain.figures import Activity, Counts, Outcome, Spent, decide, spend

_MINUTE = 60.0  # what is not told by the end of a task is told no more often
_QUIET = 600.0  # and no more often than so where nothing happens, so that a night is a few lines


@dataclass(frozen=True)
class Entry:
    """What was counted since the entry before; `task_id` where a task ended with it."""

    counts: Counts
    task_id: str | None = None
    outcome: Outcome | None = None


class Worklog:
    """Counts by a clock in seconds; :meth:`take` gives what is to be written down."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._at = self._taken_at = clock()
        self._busy: Counter[str] = Counter()
        self._spent = Spent()
        self._rendered: dict[str, float] = {}
        self._entries: list[Entry] = []

    @contextmanager
    def rendering(self, task_id: str) -> Iterator[None]:
        """While a task is rendered."""
        began = self._clock()
        self._look(found=True)
        try:
            with self._during("rendering"):
                yield
        finally:
            with self._mutex:
                self._rendered[task_id] = self._rendered.get(task_id, 0.0) + self._clock() - began

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """While the files of a task come."""
        with self._during("fetching"):
            yield

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """While a video goes."""
        with self._during("delivering"):
            yield

    def fetched(self, size: int) -> None:
        """So many bytes came over a link; not what was here already."""
        self._add(Counts(fetched_bytes=size))

    def delivered(self, size: int) -> None:
        """So many bytes went over a link."""
        self._add(Counts(delivered_bytes=size))

    def looked(self, *, found: bool) -> None:
        """This node looked for a task: one was there for it, or none was."""
        self._look(found=found)

    def ended(self, task_id: str, outcome: Outcome) -> None:
        """A task has ended on this node."""
        with self._mutex:
            self._spend()
            seconds = self._rendered.pop(task_id, 0.0)
            counts = {
                Outcome.FINISHED: Counts(finished=1, render_seconds=seconds),
                Outcome.FAILED: Counts(failed=1),
                Outcome.GIVEN_BACK: Counts(given_back=1),
            }[outcome]
            self._entries.append(Entry(self._spent.counts + counts, task_id, outcome))
            self._spent = replace(self._spent, counts=Counts())

    def take(self, *, all_of_it: bool = False) -> list[Entry]:
        """What is to be written down now: an entry for each task that ended, and what else was counted, now and then.

        `all_of_it` keeps nothing back but the time of which nobody knows yet whether a task waited.
        """
        with self._mutex:
            self._spend()
            now = self._clock()
            if self._is_due(now) or all_of_it:
                if self._spent.counts != Counts():
                    self._entries.append(Entry(self._spent.counts))
                    self._spent = replace(self._spent, counts=Counts())
                self._taken_at = now
            taken, self._entries = self._entries, []
            return taken

    def _is_due(self, now: float) -> bool:
        is_quiet = replace(self._spent.counts, idle=0.0) == Counts()
        return now - self._taken_at >= (_QUIET if is_quiet else _MINUTE)

    @contextmanager
    def _during(self, what: str) -> Iterator[None]:
        with self._mutex:
            self._spend()
            self._busy[what] += 1
        try:
            yield
        finally:
            with self._mutex:
                self._spend()
                self._busy[what] -= 1

    def _look(self, *, found: bool) -> None:
        with self._mutex:
            self._spend()
            self._spent = decide(self._spent, found=found)

    def _add(self, counts: Counts) -> None:
        with self._mutex:
            self._spent = replace(self._spent, counts=self._spent.counts + counts)

    def _spend(self) -> None:
        now = self._clock()
        activity = Activity(**{name: number > 0 for name, number in self._busy.items()})
        self._spent = spend(self._spent, activity, max(0.0, now - self._at))
        self._at = now
