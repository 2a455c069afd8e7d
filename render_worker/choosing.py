"""Which task a node takes next: what the main worker suggests first, then any other that waits and that it can make."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from render_worker.fitting import Fitting
from shared.domain.node import HAS_TIME, Life, NodeState
from shared.domain.queue import Ticket
from shared.domain.retry import wait_seconds
from shared.domain.task import TaskState
from shared.log import Logger
from shared.nodes import Nodes
from shared.queue import Queue
from shared.records.agenda import AgendaRecord
from shared.records.metadata import SCHEMA, Metadata
from shared.records.record import RecordError
from shared.store import Store


class Choosing:
    """What one node may take, in the order in which it should."""

    def __init__(
        self,
        store: Store,
        node: str,
        fitting: Fitting,
        nodes: Nodes,
        log: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._node = node
        self.fitting = fitting
        self._nodes = nodes
        self._log = log
        self._clock = clock
        self._queue = Queue(store, clock)
        self._seen_waiting: dict[str, tuple[int, float]] = {}
        self._too_new: set[str] = set()

    def candidates(self, kept: Collection[str] = (), *, ahead: bool = False) -> Iterator[Ticket]:
        """What this node could take now; each may be taken by another node meanwhile.

        Args:
            kept: tasks whose video the node has made already; they come first.
            ahead: whether it would begin them only later: then one is left for each node that would begin it now.
        """
        for ticket in filter(None, map(self._queue.ticket, kept)):
            if self._may_take(ticket.task_id, made=True):
                yield ticket
        if ahead and not self._is_enough_for_all():
            return
        suggested = set()
        for ticket in self._suggested():  # before all others are looked at, which costs more the more there are
            suggested.add(ticket.task_id)
            if self._may_take(ticket.task_id):
                yield ticket
        self._queue.look()
        for ticket in self._queue.shared(self._nodes.look().keys(), self._node):
            if ticket.task_id not in suggested and self._may_take(ticket.task_id):
                yield ticket
        waiting = self._queue.ids
        self.fitting.room.forget_all_but(waiting)
        for gone in self._seen_waiting.keys() - waiting:
            del self._seen_waiting[gone]

    def taken(self, ticket: Ticket, *, by_us: bool) -> None:
        self._queue.taken(ticket, by_us=by_us)

    def _is_enough_for_all(self) -> bool:
        """Whether more tasks wait than there are other nodes without work."""
        at_leisure = {state.value for state in HAS_TIME}
        nodes = self._nodes.look().items()
        others = sum(
            node != self._node and seen.life is Life.ALIVE and seen.record.state in at_leisure for node, seen in nodes
        )
        if not others:
            return True
        self._queue.look()
        return len(self._queue.ids) > others

    def is_wanted_elsewhere(self, profile: str) -> bool:
        """Whether another node has nothing to do, finds nothing that waits, and could make a video of this profile."""
        self._queue.look()
        if self._queue.ids:
            return False
        at_leisure = {state.value for state in HAS_TIME - {NodeState.STARTING}}
        return any(
            node != self._node
            and seen.life is Life.ALIVE
            and seen.record.state in at_leisure
            and (seen.record.profiles is None or profile in seen.record.profiles)
            for node, seen in self._nodes.look().items()
        )

    def _suggested(self) -> Iterator[Ticket]:
        with suppress(OSError, RecordError):
            path = self._store.layout.agenda(self._node)
            agenda = AgendaRecord.from_bytes(self._store.tree.read(self._store.at(path)), str(path))
            for task_id in agenda.tasks:
                if ticket := self._queue.ticket(task_id):
                    yield ticket

    def _may_take(self, task_id: str, *, made: bool = False) -> bool:
        """`made`: its video is here, and needs neither an encoder nor room any more."""
        now = self._clock()
        try:
            metadata = self._store.metadata(TaskState.WAITING, task_id)
        except FileNotFoundError:
            return False  # another node has taken it
        except (OSError, RecordError):
            return True  # claiming it tells what is the matter
        if self._is_too_new(metadata) or self._waits(metadata, now):
            return False
        return made or self.fitting.fits(metadata, now)

    def _waits(self, metadata: Metadata, now: float) -> bool:
        """Whether a task that has been tried must not be tried here yet."""
        if (keeper := self._store.kept_by(TaskState.WAITING, metadata.task_id)) and keeper != self._node:
            seen = self._nodes.look().get(keeper)
            if seen and seen.life is not Life.DEAD and seen.record.takes_tasks:
                return True  # it has nothing left to do but to upload
        attempts = self._store.attempted(TaskState.WAITING, metadata.task_id)
        if not attempts:
            return False
        count, since = self._seen_waiting.get(metadata.task_id, (0, now))
        if count != len(attempts):
            since = now
        self._seen_waiting[metadata.task_id] = (len(attempts), since)
        crew = self._nodes.crew(metadata.render.profile)
        base = self.fitting.config.worker.retry_seconds
        return now < since + wait_seconds(metadata.task_id, attempts, self._node, crew, base)

    def _is_too_new(self, metadata: Metadata) -> bool:
        if metadata.version <= SCHEMA:
            return False
        if metadata.task_id not in self._too_new:
            self._too_new.add(metadata.task_id)
            self._log.warning(
                f"Leaving {metadata.label} to other nodes: a newer Reelmill made it (schema {metadata.version}, this "
                f"node knows {SCHEMA}); update this node",
                name="task_too_new",
                task=metadata.task_id,
            )
        return True
