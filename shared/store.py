"""The tasks of a root, wherever that lies. The only module that moves a task, always by one rename.

The protocol and its reasons are in ``docs/protocol.md``; the state table is ``shared/domain/task.py``.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.domain.errors import ReelmillError
from shared.domain.layout import (
    FINAL,
    FORMATS,
    METADATA,
    REASON,
    RENDER_RECORD,
    STDERR,
    Layout,
    final_name,
    parse_attempt_dir,
    parse_attempt_record,
)
from shared.domain.retry import Attempted, Ending
from shared.domain.task import Move, TaskState, after, is_task_id
from shared.records.attempt import AttemptRecord
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.records.record import Record, RecordError, utc_now
from shared.records.render import RenderRecord
from shared.records.retries import RetriesRecord, Retry
from shared.tree.local import LocalTree
from shared.tree.tree import Moved, Sign, Tree

_MOST_TRIES = 10  # of following a task that moves while it is being cancelled


class HoldLost(ReelmillError):
    """The task was taken away from this worker; whatever it still has must not be published."""


@dataclass(frozen=True)
class Claim:
    """A task this worker holds, and its attempt at it."""

    task_id: str
    metadata: Metadata
    attempt: int
    token: str
    folder: Path
    sign: Sign


class Store:
    """Every task of one root, by state."""

    def __init__(self, layout: Layout, tree: Tree | None = None) -> None:
        self._layout = layout
        self._tree = tree or LocalTree(layout.root)

    @property
    def layout(self) -> Layout:
        return self._layout

    @property
    def tree(self) -> Tree:
        """What carries everything that is asked of the root."""
        return self._tree

    def at(self, path: Path) -> PurePosixPath:
        """A path of the layout as the tree knows it."""
        return self._layout.relative(path)

    # -- looking ---------------------------------------------------------------------------------

    def ids(self, state: TaskState) -> list[str]:
        """The tasks in a state, in no order; a folder that vanished holds none."""
        try:
            entries = self._tree.entries(self.at(self._layout.state(state)))
        except FileNotFoundError:
            return []
        return [entry.name for entry in entries if entry.is_folder and is_task_id(entry.name)]

    def has(self, state: TaskState) -> bool:
        """Whether any task is in a state."""
        return bool(self.ids(state))

    def find(self, task_id: str) -> TaskState | None:
        """Where a task is. Looked for in the order it moves, and once more at the start for one moving back."""
        order = (TaskState.WAITING, TaskState.PROCESSING, TaskState.FINISHED, TaskState.FAILED, TaskState.WAITING)
        return next((state for state in order if self._is_in(state, task_id)), None)

    def is_finished(self, task_id: str) -> bool:
        return self._is_in(TaskState.FINISHED, task_id)

    def metadata(self, state: TaskState, task_id: str) -> Metadata:
        """What a task says of itself.

        Raises:
            FileNotFoundError: the task is not in that state (any more).
            RecordError: its metadata is damaged or missing.
        """
        path = self._layout.task(state, task_id) / METADATA
        try:
            return Metadata.from_bytes(self._read(path), str(path))
        except FileNotFoundError as error:
            if self._is_in(state, task_id):
                raise RecordError(f"{path} is missing") from error
            raise

    def attempts(self, state: TaskState, task_id: str) -> list[AttemptRecord]:
        """The starts of a task since its last retry, oldest first; an unreadable record counts as a death."""
        folder = self._layout.attempts(state, task_id)
        after_retry = self._retries(state, task_id).after
        records = []
        for number in (found for found in self._numbers(state, task_id) if found > after_retry):
            try:
                path = folder / f"{number}.json"
                records.append(AttemptRecord.from_bytes(self._read(path), str(path)))
            except FileNotFoundError:  # the task moved on while we read
                return []
            except RecordError:
                records.append(
                    AttemptRecord(number=number, token="", node="", started_at="", ended=Ending.DIED, why="torn record")
                )
        return records

    def attempted(self, state: TaskState, task_id: str) -> list[Attempted]:
        """How the starts of a task since its last retry ended, oldest first; one that never did counts as a death."""
        return [_attempted(record) for record in self.attempts(state, task_id)]

    def kept_by(self, state: TaskState, task_id: str) -> str | None:
        """The node that had made the video of a task when it was retried last, and could not upload it."""
        return self._retries(state, task_id).kept_by

    def video(self, task_id: str) -> Path:
        """The video of a finished task, whatever its container."""
        folder = self._layout.task(TaskState.FINISHED, task_id)
        there = (folder / final_name(video) for video in FORMATS)
        return next((path for path in there if self._tree.is_there(self.at(path))), folder / FINAL)

    def rendered_by(self, task_id: str) -> str:
        """The node that made the video of a finished task.

        Raises:
            FileNotFoundError: it is not finished.
            RecordError: its record is damaged.
        """
        return self._render_record(task_id).node

    def holds(self, claim: Claim) -> bool:
        """Whether the attempt is still where it was made; false means the task was taken away."""
        return self._tree.is_folder(self.at(claim.folder))

    # -- the main worker -------------------------------------------------------------------------

    def add(self, staged: Path, task_id: str) -> bool:
        """Publish a staged task folder as waiting; False if a task of this id is there already."""
        self._tree.settle(self.at(staged))
        return self._tree.move(self.at(staged), self.at(self._layout.task(TaskState.WAITING, task_id))) is Moved.DONE

    # -- the holder of a task --------------------------------------------------------------------

    def claim(self, task_id: str, node: str) -> Claim | None:
        """Try to take a waiting task; None when another worker was first or its output exists already.

        Raises:
            RecordError: the task is ours but its metadata is damaged; it has been failed.
            OSError: the machine's trouble; what was begun is undone or left to recovery.
        """
        if self.is_finished(task_id):
            self.discard(TaskState.WAITING, task_id)
            return None
        if not self._move(task_id, TaskState.WAITING, Move.CLAIM):
            return None
        if self.is_finished(task_id):
            self.discard(TaskState.PROCESSING, task_id)
            return None
        self._fence(task_id)
        return self._start_attempt(task_id, node)

    def publish(self, claim: Claim) -> None:
        """Make the finished attempt the output, by one rename; then clear the task away.

        Raises:
            HoldLost: the task was taken away, or another attempt's output is there.
        """
        target = self._layout.task(after(TaskState.PROCESSING, Move.PUBLISH), claim.task_id)
        try:
            self._tree.settle(self.at(claim.folder))
            is_ours = self._tree.move(self.at(claim.folder), self.at(target)) is Moved.DONE
        except FileNotFoundError:
            is_ours = False
        except OSError:  # a rename that reports failure may have happened
            if self._token_of_output(claim.task_id) != claim.token:
                raise
            is_ours = True
        if not is_ours and self._token_of_output(claim.task_id) != claim.token:
            self.withdraw(claim)
            raise HoldLost(f"task {claim.task_id} was taken away or finished by another worker")
        self.discard(TaskState.PROCESSING, claim.task_id)
        claim.sign.release()

    def fail(self, claim: Claim, ending: Ending, reason: Reason) -> None:
        """Move a held task to ``trash/failed/`` with its explanation and the tools' full standard error.

        Raises:
            HoldLost: the task was taken away or is finished.
        """
        self._let_go(claim, ending, reason.reason)
        self.give_up(claim.task_id, reason)
        claim.sign.release()

    def give_back(self, claim: Claim, ending: Ending, why: str) -> None:
        """Put a held task back among the waiting ones.

        Raises:
            HoldLost: the task was taken away or is finished.
        """
        self._let_go(claim, ending, why)
        self._move(claim.task_id, TaskState.PROCESSING, Move.GIVE_BACK)
        claim.sign.release()

    def withdraw(self, claim: Claim) -> None:
        """Withdraw from a task that is not ours any more, without touching what is others'."""
        if self.is_finished(claim.task_id):
            self.discard(TaskState.PROCESSING, claim.task_id)
        else:
            self._remove(claim.folder)
        claim.sign.release()

    # -- recovery --------------------------------------------------------------------------------

    def take_away(self, task_id: str, attempt: int, ending: Ending, why: str) -> list[Attempted] | None:
        """Fence the attempt (0: none was begun) of a holder that is dead, or shall stop, and record how it ended.

        Returns how all attempts ended, or None where somebody else was first: then the task has gone on, perhaps
        to a newer attempt, which must not be touched. It stays in ``processing/``; the caller decides what is next.
        """
        records = self.attempts(TaskState.PROCESSING, task_id)
        if (records[-1].number if records else 0) != attempt:
            return None
        self._fence(task_id, attempt)
        if records and records[-1].ended is None:
            try:
                records[-1] = self._end(task_id, records[-1], ending, why)
            except FileNotFoundError:
                return None
        for record in records:
            self._tree.remove(self.at(self._layout.lock(task_id, record.number)))
        return [_attempted(record) for record in records]

    def requeue(self, task_id: str) -> bool:
        """Put a task that nobody holds back among the waiting ones; False if somebody else did."""
        return self._move(task_id, TaskState.PROCESSING, Move.GIVE_BACK)

    def give_up(self, task_id: str, reason: Reason) -> bool:
        """Move a task that nobody holds to ``trash/failed/``; False if somebody else moved it.

        A folder of its name there (somebody copied it back instead of moving it) is kept under another.
        """
        folder = self._layout.task(TaskState.PROCESSING, task_id)
        try:
            self._keep_stderr(task_id)
            self._write(reason, folder / REASON)
        except FileNotFoundError:
            return False
        return self._fail(task_id, TaskState.PROCESSING)

    def discard(self, state: TaskState, task_id: str) -> bool:
        """Clear away a task nobody needs: one rename out of sight, then delete. False when it was not there."""
        return self._remove(self._layout.task(state, task_id))

    # -- an operator -----------------------------------------------------------------------------

    def cancel(self, task_id: str, reason: Reason) -> bool:
        """Move a task to ``trash/failed/`` wherever it is; whoever renders it finds it gone and stops.

        False where there is nothing to cancel: it has failed or is finished, or there is no such task. A crash in
        between leaves it waiting, or with an attempt that ended as cancelled, which recovery then carries out.
        """
        for _ in range(_MOST_TRIES):
            state = self.find(task_id)
            if state is TaskState.WAITING and self._cancel_waiting(task_id, reason):
                return True
            if state is TaskState.PROCESSING and self._cancel_held(task_id, reason):
                return True
            if state in (None, TaskState.FINISHED, TaskState.FAILED):
                return False
        return False

    def retry(self, task_id: str, by: str) -> bool:
        """Put a failed task back among the waiting ones, with all its attempts again.

        False, and it does not wait, where its output exists (then it is cleared away), where somebody else moved it,
        or where another folder of its name waits or is in work already.
        """
        if self.is_finished(task_id):
            self.discard(TaskState.FAILED, task_id)
            return False
        if self._is_in(TaskState.PROCESSING, task_id):
            return False
        try:
            self._forgive(task_id, by)
        except FileNotFoundError:
            return False
        if not self._move(task_id, TaskState.FAILED, Move.RETRY):
            return False
        if self.is_finished(task_id):
            self.discard(TaskState.WAITING, task_id)
            return False
        return True

    # -- steps -----------------------------------------------------------------------------------

    def _cancel_waiting(self, task_id: str, reason: Reason) -> bool:
        if self.is_finished(task_id):
            self.discard(TaskState.WAITING, task_id)
            return False
        path = self._layout.task(TaskState.WAITING, task_id) / REASON
        try:
            self._write(reason, path)
        except FileNotFoundError:  # a worker has taken it
            return False
        return self._fail(task_id, TaskState.WAITING)

    def _cancel_held(self, task_id: str, reason: Reason) -> bool:
        if self.is_finished(task_id):
            self.discard(TaskState.PROCESSING, task_id)
            return False
        attempts = self.attempts(TaskState.PROCESSING, task_id)
        attempt = attempts[-1].number if attempts else 0
        if self.take_away(task_id, attempt, Ending.CANCELLED, reason.reason) is None:
            return False
        if self.is_finished(task_id):  # it was published before its attempt was fenced
            self.discard(TaskState.PROCESSING, task_id)
            return False
        return self.give_up(task_id, reason)

    def _fail(self, task_id: str, state: TaskState) -> bool:
        twin = self.at(self._layout.task(TaskState.FAILED, task_id))
        if self._tree.is_folder(twin):
            self._tree.move(twin, twin.with_name(f"{task_id}-earlier-{secrets.token_hex(4)}"))
        if not self._move(task_id, state, Move.FAIL):
            return False
        if self.is_finished(task_id):  # an attempt that nobody knew of was published until its folder went
            self.discard(TaskState.FAILED, task_id)
            return False
        return True

    def _start_attempt(self, task_id: str, node: str) -> Claim | None:
        layout = self._layout
        number = max(self._numbers(TaskState.PROCESSING, task_id), default=0) + 1
        token = secrets.token_hex(8)
        record = AttemptRecord(number=number, token=token, node=node, started_at=utc_now())
        folder = layout.attempt_dir(task_id, number, token)
        sign: Sign | None = None
        try:
            with suppress(FileExistsError):
                self._tree.make_folder(self.at(layout.attempts(TaskState.PROCESSING, task_id)), durable=False)
            place = self.at(layout.attempt_record(task_id, number))
            self._tree.create(place, record.to_bytes(), by=self.at(layout.drafts))
            sign = self._tree.hold(self.at(layout.lock(task_id, number)), node, token, by=self.at(layout.drafts))
            self._tree.make_folder(self.at(folder))  # durable, and with it the folder of attempts beside it
            metadata = self.metadata(TaskState.PROCESSING, task_id)
        except (FileExistsError, FileNotFoundError):  # somebody took the task away from under us
            if sign:
                sign.release()
            return None
        except RecordError as error:
            assert sign is not None  # noqa: S101 - for the type checker: metadata is read last
            self._fail_damaged(task_id, record, sign, error)
            raise
        except OSError as error:
            if sign:
                sign.release()
            self._fence(task_id)
            with suppress(OSError):  # a disk that takes no record of how it ended will count it as a death
                self._end(task_id, record, Ending.NODE_TROUBLE, f"could not begin: {error}")
            self._move(task_id, TaskState.PROCESSING, Move.GIVE_BACK)
            raise
        return Claim(task_id, metadata, number, token, folder, sign)

    def _fail_damaged(self, task_id: str, record: AttemptRecord, sign: Sign, error: RecordError) -> None:
        self._fence(task_id)
        self._end(task_id, record, Ending.FAILED, str(error))
        reason = Reason(
            code="bad_metadata",
            reason=str(error),
            advice=f"Mend metadata.json and have it tried again: reelmill retry {task_id}",
            task_id=task_id,
            when=utc_now(),
        )
        self.give_up(task_id, reason)
        sign.release()

    def _let_go(self, claim: Claim, ending: Ending, why: str) -> None:
        """Fence our own attempt: succeeds only while we hold the task, so it is also the proof that we do."""
        if self.is_finished(claim.task_id) or not self._remove(claim.folder):
            self.withdraw(claim)
            raise HoldLost(f"task {claim.task_id} was taken away or finished by another worker")
        try:
            path = self._layout.attempt_record(claim.task_id, claim.attempt)
            record = AttemptRecord.from_bytes(self._read(path), str(path))
        except RecordError:  # damaged by somebody; what counts is how it ends
            record = AttemptRecord(number=claim.attempt, token=claim.token, node="", started_at="")
        self._end(claim.task_id, record, ending, why)

    def _end(self, task_id: str, record: AttemptRecord, ending: Ending, why: str) -> AttemptRecord:
        ended = record.changed(ended=ending, ended_at=utc_now(), why=why)
        self._write(ended, self._layout.attempt_record(task_id, record.number))
        return ended

    def _fence(self, task_id: str, last: int | None = None) -> None:
        """Move attempt directories (up to number `last`) out of a task: a late worker finds its path gone for good."""
        folder = self._layout.task(TaskState.PROCESSING, task_id)
        with suppress(FileNotFoundError):
            for entry in self._tree.entries(self.at(folder)):
                found = parse_attempt_dir(entry.name)
                if found and (last is None or found[0] <= last):
                    self._remove(folder / entry.name)

    def _move(self, task_id: str, state: TaskState, move: Move) -> bool:
        """The rename that is the move; False when the task is not (any more) where it should start."""
        target = self._layout.task(after(state, move), task_id)
        return self._tree.move(self.at(self._layout.task(state, task_id)), self.at(target)) is Moved.DONE

    def _remove(self, path: Path) -> bool:
        """Rename out of sight, then delete; False when it was not there."""
        target = self.at(self._layout.removed / f"{path.name}-{secrets.token_hex(4)}")
        if self._tree.move(self.at(path), target) is Moved.GONE:
            return False
        with suppress(OSError):  # it is out of sight; whoever sweeps deletes what is left, and tells what hinders it
            self._tree.remove_tree(target)
        return True

    def _numbers(self, state: TaskState, task_id: str) -> list[int]:
        """The numbers of all starts of a task, retried or not."""
        try:
            entries = self._tree.entries(self.at(self._layout.attempts(state, task_id)))
        except FileNotFoundError:
            return []
        return sorted(filter(None, (parse_attempt_record(entry.name) for entry in entries)))

    def _retries(self, state: TaskState, task_id: str) -> RetriesRecord:
        """What operators retried; a damaged record forgives nothing, so that the cap on starts holds."""
        with suppress(FileNotFoundError, RecordError):
            path = self._layout.retries(state, task_id)
            return RetriesRecord.from_bytes(self._read(path), str(path))
        return RetriesRecord()

    def _forgive(self, task_id: str, by: str) -> None:
        """Note that the attempts so far do not count any more; a second time changes nothing."""
        state = TaskState.FAILED
        numbers = self._numbers(state, task_id)
        before = self._retries(state, task_id)
        if not numbers or numbers[-1] <= before.after:
            return
        why = None
        with suppress(FileNotFoundError, RecordError):
            path = self._layout.task(state, task_id) / REASON
            why = Reason.from_bytes(self._read(path), str(path)).reason
        last = self.attempts(state, task_id)[-1:]  # none, where somebody moves the task just now
        kept_by = next((one.node for one in last if one.ended is Ending.UNDELIVERED), None)
        retry = Retry(after=numbers[-1], when=utc_now(), by=by, reason=why, kept_by=kept_by)
        after = before.changed(retries=(*before.retries, retry))
        self._write(after, self._layout.retries(state, task_id))

    def _token_of_output(self, task_id: str) -> str | None:
        with suppress(OSError, RecordError):
            return self._render_record(task_id).token
        return None

    def _keep_stderr(self, task_id: str) -> None:
        """Copy what the tools said in the last attempt that said anything to where people look for it."""
        folder = self._layout.task(TaskState.PROCESSING, task_id)
        numbers = [record.number for record in self.attempts(TaskState.PROCESSING, task_id)]
        logs = [self._layout.attempt_stderr(task_id, number) for number in reversed(numbers)]
        said = b""
        for log in logs:
            with suppress(FileNotFoundError):
                said = self._read(log)
                break
        self._tree.replace(self.at(folder / STDERR), said, by=self.at(self._layout.drafts))

    def _is_in(self, state: TaskState, task_id: str) -> bool:
        return self._tree.is_folder(self.at(self._layout.task(state, task_id)))

    def _read(self, path: Path) -> bytes:
        return self._tree.read(self.at(path))

    def _write(self, record: Record, path: Path) -> None:
        """Write a record into a task, whose folder may be moved away at any moment."""
        self._tree.replace(self.at(path), record.to_bytes(), by=self.at(self._layout.drafts))

    def _render_record(self, task_id: str) -> RenderRecord:
        path = self._layout.task(TaskState.FINISHED, task_id) / RENDER_RECORD
        return RenderRecord.from_bytes(self._read(path), str(path))


def _attempted(record: AttemptRecord) -> Attempted:
    return Attempted(record.ended or Ending.DIED, record.node)
