"""The waiting tasks of a root in the order they should run, read from the disk as rarely as may be.

With 100,000 tasks a look costs a second; what a claim costs must not depend on that. So a look is taken again only once
the last one has become a twentieth of the time that has passed since, or nothing is left of what it saw. Where each
answer takes a tenth of a second, they are read some at a time, and some are enough to go on with: a look ends after
some seconds, and half of the time is spent on further ones until all tasks are known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import PurePosixPath

from shared.domain.layout import METADATA
from shared.domain.queue import DAMAGED, Ticket, after, carried_on, in_turn, spread
from shared.domain.task import TaskState
from shared.orders import task_of
from shared.store import Store
from shared.tree.tree import Unreachable

_SHARE = 20  # the part of the time that looking may take
_MOST_SECONDS = 5.0  # for one look: over a long line, what it has not read by then is read by the next ones
_AT_ONCE = 16  # tasks that are read together
_LEAST_PRIORITY, _MOST_PRIORITY = 0, 100


class Queue:
    """One reader's view of ``tasks/``, and of whose turn it is."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._layout = store.layout
        self._clock = clock
        self._tickets: dict[str, Ticket] = {}
        self._marks: frozenset[str] = frozenset()
        self._turns: dict[str, int] = {}
        self._look_again = float("-inf")
        self._is_new = False
        self._own, self._gone = 0, 0
        self._first: dict[str, Ticket] = {}
        self._rest: Iterator[Ticket] = iter(())

    @property
    def ids(self) -> frozenset[str]:
        """The tasks that waited at the last look."""
        return frozenset(self._tickets)

    def look(self, *, now: bool = False) -> bool:
        """See what waits, if it is time for that or `now`; whether anything has come or changed since the last look."""
        self._is_new = False
        self._see_priorities()
        started = self._clock()
        if now or not self._tickets or started >= self._look_again:
            is_complete = self._see_tasks(float("inf") if now else started + _MOST_SECONDS)
            self._sort()
            ended = self._clock()
            self._look_again = ended + (_SHARE if is_complete else 1) * (ended - started)
        elif self._is_new:
            self._sort()
        return self._is_new

    def tasks(self) -> Iterator[Ticket]:
        """What waits, in order; a task that others took meanwhile may still be among it.

        The order is worked out as far as it is asked for, once for each look.
        """
        yield from tuple(self._first.values())
        for ticket in self._rest:
            if ticket.task_id in self._tickets:
                self._first[ticket.task_id] = ticket
                yield ticket

    def shared(self, nodes: Collection[str], node: str) -> Iterator[Ticket]:
        """What waits, for one of several nodes: begun where none of the others does.

        Since the last look each of them has presumably taken as many as this one, and those come last; so a node does
        not try what it saw waiting some seconds ago and others have taken, one after the other.
        """
        presumed = self._own * len({*nodes, node})
        return spread(self.tasks(), nodes, node, max(0, presumed - self._gone))

    def waiting(self) -> list[str]:
        """The ids of what waits at this moment, in order."""
        self.look(now=True)
        return [ticket.task_id for ticket in self.tasks()]

    def ticket(self, task_id: str) -> Ticket | None:
        """The ticket of one task, read now if the last look did not see it; None where it does not wait."""
        if task_id not in self._tickets:
            self._read([task_id])
        return self._tickets.get(task_id)

    def taken(self, ticket: Ticket, *, by_us: bool) -> None:
        """Forget a task that waits no more; if we took it, its story has had its turn."""
        self._tickets.pop(ticket.task_id, None)
        self._first.pop(ticket.task_id, None)
        self._gone += 1
        if by_us:
            self._own += 1
            self._turns[ticket.story] = after(self._turns)

    def _sort(self) -> None:
        self._first, self._own, self._gone = {}, 0, 0
        self._rest = in_turn(tuple(self._tickets.values()), self._turns)

    def _see_tasks(self, until: float) -> bool:
        """Read what is not known yet, up to a time; whether all is known now."""
        ids = set(self._store.ids(TaskState.WAITING))
        for gone in self._tickets.keys() - ids:
            del self._tickets[gone]
        unknown = list(ids - self._tickets.keys())
        is_complete = True
        for start in range(0, len(unknown), _AT_ONCE):
            if start and self._clock() >= until:
                is_complete = False
                break
            self._read(unknown[start : start + _AT_ONCE])
        self._turns = carried_on(self._turns, {ticket.story for ticket in self._tickets.values()})
        return is_complete

    def _see_priorities(self) -> None:
        """Read tasks again whose priority an operator has changed."""
        try:
            entries = self._store.tree.entries(self._store.at(self._layout.priorities))
        except FileNotFoundError:
            return
        marks = frozenset(entry.name for entry in entries)
        self._read(list({task_of(mark) for mark in marks - self._marks} & self._tickets.keys()))
        self._marks = marks

    def _read(self, ids: Sequence[str]) -> None:
        """See what tasks say; those that moved on, or cannot be read now, are left to later looks."""
        paths = [self._store.at(self._layout.task(TaskState.WAITING, task_id) / METADATA) for task_id in ids]
        for task_id, path, content in zip(ids, paths, self._store.tree.read_each(paths), strict=True):
            ticket = self._ticket(task_id, path, content)
            if ticket:
                self._is_new = self._is_new or self._tickets.get(task_id) != ticket
                self._tickets[task_id] = ticket

    def _ticket(self, task_id: str, path: PurePosixPath, content: bytes | OSError) -> Ticket | None:
        """A task's ticket, of a few keys: the whole of its metadata is checked when it is claimed."""
        if isinstance(content, OSError):
            is_damaged = isinstance(content, FileNotFoundError) and self._is_there(path.parent)
            return Ticket("", task_id, "", DAMAGED) if is_damaged else None
        try:
            values = json.loads(content)
            return Ticket(
                created_at=str(values["created_at"]),
                task_id=task_id,
                story=f"{values['category']}/{values['story_name']}",
                priority=min(max(int(values.get("priority", 50)), _LEAST_PRIORITY), _MOST_PRIORITY),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return Ticket("", task_id, "", DAMAGED)

    def _is_there(self, folder: PurePosixPath) -> bool:
        try:
            return self._store.tree.is_folder(folder)
        except Unreachable:
            raise
        except OSError:
            return False
