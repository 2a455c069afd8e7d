"""Videos that a node has made and could not carry to the root: kept until they are delivered after all.

    <folder>/<task id>/          what lay in the attempt's folder, whole
    <folder>/.<token>            one that is being dropped

Whoever claims the task again delivers that instead of rendering it once more. It goes when its task is finished or
gone, or, the oldest first, when there is too much of it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shared.domain.layout import METADATA, RENDER_RECORD, SCRATCH, final_name
from shared.domain.task import TaskState, is_task_id
from shared.files import fsync_path, is_there, remove_tree
from shared.log import Logger
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Claim


class Kept:
    """What one node keeps, in a folder on the disk on which it renders; `budget` in bytes. Safe for several threads."""

    def __init__(self, folder: Path, budget: int, log: Logger) -> None:
        self._folder = folder
        self._budget = budget
        self._log = log
        self._mutex = threading.RLock()

    @property
    def ids(self) -> frozenset[str]:
        """The tasks of which something is kept."""
        return frozenset(path.name for path in self._entries())

    def keep(self, task_id: str, attempt: Path) -> None:
        """Take over a finished attempt's folder; an earlier video of the task gives way to it.

        One that is not finished is left alone: there is no record of a render in it.
        """
        if not is_there(attempt / RENDER_RECORD) or is_there(attempt / SCRATCH):
            return
        for path in (*attempt.iterdir(), attempt):
            fsync_path(path)
        with self._mutex:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.drop(task_id)
            attempt.rename(self._folder / task_id)
            fsync_path(self._folder)
            self._shrink()

    def restore(self, claim: Claim) -> RenderRecord | None:
        """Move what is kept of a task into the empty folder of a new attempt, whose own it is from now on.

        None where it is damaged, or was made of another task of this name; it is dropped then.
        """
        with self._mutex:
            return self._restore(claim)

    def _restore(self, claim: Claim) -> RenderRecord | None:
        kept = self._folder / claim.task_id
        try:
            record = self._examined(kept, claim.metadata)
        except (RecordError, FileNotFoundError) as error:
            self._log.warning(
                f"The video of {claim.metadata.label} that was kept is of no use: {error}; it is rendered again",
                name="kept_dropped",
                task=claim.task_id,
            )
            self.drop(claim.task_id)
            return None
        record = record.changed(attempt=claim.attempt, token=claim.token)
        record.write(kept / RENDER_RECORD)
        claim.folder.rmdir()
        kept.rename(claim.folder)
        return record

    def drop(self, task_id: str) -> None:
        """Drop what is kept of a task, if anything is."""
        gone = self._folder / f".{secrets.token_hex(6)}"
        with self._mutex, suppress(FileNotFoundError):
            (self._folder / task_id).rename(gone)
            remove_tree(gone)

    def tidy(self, find: Callable[[str], TaskState | None]) -> None:
        """Drop what nobody will ask for any more, as `find` tells where a task is.

        Raises:
            OSError: `find` does not know.
        """
        with self._mutex:
            for path in self._folder.glob(".*"):
                remove_tree(path)
        for task_id in self.ids:
            if find(task_id) in (TaskState.FINISHED, None):
                self.drop(task_id)

    def _examined(self, kept: Path, wanted: Metadata) -> RenderRecord:
        record = RenderRecord.read(kept / RENDER_RECORD)
        made_of = Metadata.read(kept / METADATA)
        if made_of.changed(priority=wanted.priority) != wanted:
            raise RecordError("its task has been changed since")
        final = kept / final_name(wanted.render.output_format)
        with final.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if (found, final.stat().st_size) != (record.sha256, record.size):
            raise RecordError(f"{final.name} is damaged")
        return record

    def _shrink(self) -> None:
        """Keep to the budget, but keep the last one whatever its size is."""
        sizes = {path: sum(one.stat().st_size for one in path.iterdir()) for path in self._entries()}
        oldest = sorted(sizes, key=lambda path: path.stat().st_mtime)
        for path in oldest[:-1]:
            if sum(sizes.values()) <= self._budget:
                return
            self._log.warning(
                f"Dropped the video of task {path.name}, which could not be delivered: there is no room to keep more "
                f"than remote.kept_bytes = {self._budget}; it will be rendered again",
                name="kept_dropped",
                task=path.name,
            )
            self.drop(path.name)
            del sizes[path]

    def _entries(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return [path for path in self._folder.iterdir() if is_task_id(path.name)]
        return []
