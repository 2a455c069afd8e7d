"""Finishes or undoes what a crash left half done. Any worker may run it at any time; twice is once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.claim import Sighting, is_dead, look
from shared.domain.errors import RootError
from shared.domain.retry import Crew, Ending, GiveUp, decide
from shared.domain.task import TaskState, is_task_id
from shared.log import Logger
from shared.nodes import Nodes
from shared.orders import task_of
from shared.records.lease import LeaseRecord
from shared.records.reason import Reason
from shared.records.record import RecordError, utc_now
from shared.settings import HEARTBEATS_PER_LEASE
from shared.store import Store
from shared.tree.tree import Unreachable
from shared.version import PROGRAM, RULES

_ADVICE_DEAD = "Read attempts/ and stderr.log here; what kills workers is usually a lack of memory."
_ADVICE = {"cancelled": "To make it after all: reelmill retry."}

_MOST_SECONDS = 5.0  # a worker that died on this host is noticed this soon


@dataclass(frozen=True)
class Caps:
    """Attempts and starts after which a task is given up."""

    max_attempts: int
    max_starts: int


@dataclass
class Recovery:
    """One observer of all holders, with its own clock (monotonic seconds)."""

    store: Store
    caps: Caps
    lease_seconds: float
    log: Logger
    clock: Callable[[], float]
    nodes: Nodes | None = None
    _seen: dict[str, Sighting] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def sweep(self) -> None:
        """Look once at every task in ``processing/`` and at what lies in ``.farm/removed/``."""
        for task_id in self.store.ids(TaskState.PROCESSING):
            try:
                self._judge(task_id)
            except (OSError, RecordError) as error:  # the others must not wait for it
                self._complain(f"Cannot look after task {task_id}: {error}")
        for leftover in self._names(self.store.layout.removed):
            try:
                self.store.tree.remove_tree(self.store.at(self.store.layout.removed / leftover))
            except Unreachable:
                raise
            except OSError as error:
                self._complain(f"Cannot delete .farm/removed/{leftover}: {error}")
        held = set(self.store.ids(TaskState.PROCESSING))
        orphans = {name for name in self._names(self.store.layout.locks) if _is_orphan(name, held)}
        for name in orphans:
            self._clear_lock(name)
        drafts = self._clear_drafts()
        self._clear_orders()
        for gone in self._seen.keys() - held - orphans - drafts:
            del self._seen[gone]

    def keep_watch(self, ended: threading.Event) -> None:
        """Sweep now and then until `ended`; meant for a thread of its own, so that a long render hinders nobody."""
        while True:
            try:
                self.sweep()
            except (OSError, RecordError) as error:
                self._complain(f"Cannot look after abandoned tasks: {error}")
            if ended.wait(min(_MOST_SECONDS, self.lease_seconds / 6)):
                return

    def _complain(self, trouble: str) -> None:
        if trouble not in self._said:
            self._said.add(trouble)
            self.log.warning(trouble, name="recovery_trouble")

    def _clear_drafts(self) -> set[str]:
        """Remove drafts that have not changed for a lease: whoever began them is dead. Returns those that are there."""
        names = self._names(self.store.layout.drafts)
        now = self.clock()
        for name in names:
            path = self.store.at(self.store.layout.drafts / name)
            with suppress(OSError):
                size = str(self.store.tree.size(path)).encode()
                sighting = self._seen[name] = look(self._seen.get(name), size, now)
                if is_dead(sighting, now, self.lease_seconds):
                    self.store.tree.remove(path)
        return names

    def _clear_orders(self) -> None:
        """Forget changed priorities of tasks that have ended."""
        for name in self._names(self.store.layout.priorities):
            if self.store.find(task_of(name)) not in (TaskState.WAITING, TaskState.PROCESSING):
                self.store.tree.remove(self.store.at(self.store.layout.priorities / name))

    def _names(self, folder: Path) -> set[str]:
        """What lies in a folder; nothing where there is none."""
        try:
            return {entry.name for entry in self.store.tree.entries(self.store.at(folder))}
        except FileNotFoundError:
            return set()

    def _judge(self, task_id: str) -> None:
        if self.store.is_finished(task_id):
            self.store.discard(TaskState.PROCESSING, task_id)
            self.log.info(f"Cleared what a crash left of finished task {task_id}", name="task_cleared", task=task_id)
            return
        attempts = self.store.attempts(TaskState.PROCESSING, task_id)
        attempt = attempts[-1].number if attempts else 0
        why = self._why_dead(task_id, self.store.layout.lock(task_id, attempt))
        if why is not None:
            self._take(task_id, attempt, why)

    def _why_dead(self, key: str, lock: Path) -> str | None:
        """Look at a lock file once more: why its holder must be taken for dead, or None for one that may live."""
        try:
            content = self._read(lock)
        except OSError:
            return None  # no information about the holder
        now = self.clock()
        sighting = self._seen[key] = look(self._seen.get(key), content, now)
        if self.store.tree.is_dead_here(self.store.at(lock), content):
            return "its worker on this host is gone"
        if is_dead(sighting, now, self.lease_seconds):
            return f"its worker showed no life for {now - sighting.since:.0f} s"
        return None

    def _read(self, lock: Path) -> bytes | None:
        """The content of a lock file as an observer compares it; None where it is missing."""
        try:
            return self.store.tree.read(self.store.at(lock))
        except FileNotFoundError:
            return None

    def _take(self, task_id: str, attempt: int, why: str) -> None:
        attempts = self.store.take_away(task_id, attempt, Ending.DIED, why)
        if attempts is None:
            return
        self._seen.pop(task_id, None)
        if self.store.is_finished(task_id):
            self.store.discard(TaskState.PROCESSING, task_id)
            return
        caps = self.caps
        decision = decide(
            attempts, max_attempts=caps.max_attempts, max_starts=caps.max_starts, crew=self._crew(task_id)
        )
        if isinstance(decision, GiveUp):
            reason = Reason(
                code=decision.code,
                reason=f"The task was given up: {decision.why}.",
                advice=_ADVICE.get(decision.code, _ADVICE_DEAD),
                task_id=task_id,
                when=utc_now(),
            )
            if self.store.give_up(task_id, reason):
                self.log.error(f"Gave up task {task_id}: {decision.why}", name="task_failed", task=task_id)
        elif self.store.requeue(task_id):
            self.log.warning(f"Put task {task_id} back in the queue: {why}", name="task_requeued", task=task_id)

    def _crew(self, task_id: str) -> Crew:
        """Who else could render a task; nobody is known where its metadata cannot be read."""
        with suppress(OSError, RecordError):
            if self.nodes:
                return self.nodes.crew(self.store.metadata(TaskState.PROCESSING, task_id).render.profile, afresh=True)
        return Crew()

    def _clear_lock(self, name: str) -> None:
        """Remove the lock file of a dead worker whose task has gone on without it."""
        lock = self.store.layout.locks / name
        if self._why_dead(name, lock) is not None:
            with suppress(OSError):
                self.store.tree.remove(self.store.at(lock))


def _is_orphan(name: str, held: set[str]) -> bool:
    """Whether a file in ``.farm/locks/`` is the lock of a task that nobody holds."""
    task_id, _, rest = name.partition(".")
    return is_task_id(task_id) and rest.endswith(".lock") and task_id not in held


def agree_on_lease(store: Store, configured: float, heartbeat: float) -> float:
    """The lease of this root, in seconds: the first worker writes it, everybody else follows.

    Raises:
        RecordError: the file is damaged.
        RootError: this program is too old for the root, or its heartbeat too slow for the root's lease, so that it
            would look dead.
    """
    layout, place = store.layout, store.at(store.layout.lease)
    try:
        record = LeaseRecord(rules=RULES, lease_seconds=configured)
        store.tree.create(place, record.to_bytes(), by=store.at(layout.drafts))
    except FileExistsError:
        record = LeaseRecord.from_bytes(store.tree.read(place), str(layout.lease))
        lease = record.lease_seconds
    else:
        return configured
    if record.rules > RULES:
        raise RootError(
            f"{layout.root} shares its tasks by rules {record.rules}, and this program ({PROGRAM}) knows {RULES}: "
            "update it to the version of the other workers"
        )
    if heartbeat * HEARTBEATS_PER_LEASE > lease:
        raise RootError(
            f"worker.heartbeat_seconds = {heartbeat:g} is too slow for this root, whose lease is {lease:g} s: "
            f"set it to at most {lease / HEARTBEATS_PER_LEASE:g} (or stop all workers and delete {layout.lease})"
        )
    return lease
