"""Deletes what has become old enough, where the configuration says so: trash, finished videos, cached files.

What came of trying encoders goes by itself when nobody can use it any more: it costs half a minute to try them again.
Each thing first goes out of sight by one rename and is then deleted, so that a crash leaves nothing half deleted in a
place where people look. The library is never touched, and no link is followed.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from shared import by_story
from shared.domain.layout import REASON, REASON_SUFFIX, RENDER_RECORD, Layout, reason_of
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, private_name, remove_tree
from shared.lifesign import boot_id
from shared.log import Logger
from shared.records.encoders import EncodersRecord
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.settings import Retention as Settings
from shared.store import Store

# A machine on which no worker was started for so long is mostly one that is gone, as are containers, whose names are
# new each time; one that still runs tries its encoders once more at its next start.
_TRIALS_DAYS = 30


@dataclass(frozen=True)
class Kept:
    """One thing that is kept for a time: what it is, where, and since when."""

    what: str
    path: Path
    since: datetime


def due(kept: Iterable[Kept], now: datetime, days: float) -> list[Kept]:
    """What has been kept for so many days, oldest first; 0 days keeps for ever."""
    if not days:
        return []
    return sorted((one for one in kept if now - one.since >= timedelta(days=days)), key=lambda one: one.since)


class Retention:
    """The times for which things of one root are kept."""

    def __init__(self, layout: Layout, settings: Settings, log: Logger) -> None:
        self._layout = layout
        self._settings = settings
        self._log = log
        self._store = Store(layout)

    def sweep(self, now: datetime) -> int:
        """Delete everything that is due now (an aware time); returns how many things that was."""
        settings, count = self._settings, 0
        looks: tuple[tuple[Callable[[], list[Kept]], Callable[[Path], bool]], ...] = (
            (lambda: due(self._rejected(), now, settings.trash_days), self._remove_drop),
            (lambda: due(self._failed(), now, settings.trash_days), self._remove_task),
            (lambda: due(self._finished(), now, settings.output_days), self._remove_output),
            (lambda: due(self._cached(), now, settings.cache_days), self._put_away),
            (lambda: due(self._days(), now, settings.figures_days), self._put_away),
            (lambda: list(self._useless_trials(now)), self._put_away),
        )
        for look, remove in looks:
            try:
                found = look()
            except OSError as error:
                self._complain(error, "cannot look for what is old enough to be deleted")
                continue
            count += sum(self._guarded(one, remove) for one in found)
        return count

    def _complain(self, error: OSError, doing: str) -> None:
        self._log.warning(str(as_machine_trouble(error, doing)), name="retention_trouble")

    def _guarded(self, kept: Kept, remove: Callable[[Path], bool]) -> bool:
        """Remove one thing; what cannot be removed now is due again at the next sweep."""
        shown = readable(str(self._layout.relative(kept.path)))
        try:
            removed = remove(kept.path)
        except OSError as error:
            self._complain(error, f"cannot delete {shown}, which is old enough")
            return False
        if removed:
            since = kept.since.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._log.info(
                f"Deleted {shown}: {kept.what}, kept since {since}", name="retention_deleted", path=shown, since=since
            )
        return removed

    # -- what is kept ----------------------------------------------------------------------------

    def _rejected(self) -> Iterator[Kept]:
        """Rejected drops with an explanation, and explanations whose drop is gone. Other files are not ours."""
        names = {entry.name for entry in _entries(self._layout.invalid) if not entry.name.startswith(".")}
        for name in names:
            path = self._layout.invalid / name
            drop = name.removesuffix(REASON_SUFFIX)
            if f"{name}{REASON_SUFFIX}" in names:
                yield from _kept("a rejected drop", path, reason_of(path), _rejected_at)
            elif drop != name and drop not in names:
                yield from _kept("the reason of a drop that is gone", path, path, _rejected_at)

    def _failed(self) -> Iterator[Kept]:
        for task_id in self._store.ids(TaskState.FAILED):
            path = self._layout.task(TaskState.FAILED, task_id)
            yield from _kept("a failed task", path, path / REASON, _rejected_at)

    def _finished(self) -> Iterator[Kept]:
        """Finished videos; one whose task has not been cleared away yet is left, or it would be made again."""
        unfinished = {*self._store.ids(TaskState.WAITING), *self._store.ids(TaskState.PROCESSING)}
        for task_id in self._store.ids(TaskState.FINISHED):
            path = self._layout.task(TaskState.FINISHED, task_id)
            if task_id not in unfinished:
                yield from _kept("a finished video", path, path / RENDER_RECORD, _finished_at)

    def _cached(self) -> Iterator[Kept]:
        """Conformed clips; whoever uses one changes the time of its folder. What begins with a dot is being made."""
        top = self._layout.segments
        if top.is_symlink() or self._layout.cache.is_symlink():
            return
        for entry in _entries(top):
            with suppress(FileNotFoundError):
                if not entry.name.startswith("."):
                    used_at = entry.stat(follow_symlinks=False).st_mtime
                    yield Kept("a conformed clip", Path(entry.path), datetime.fromtimestamp(used_at, UTC))

    def _useless_trials(self, now: datetime) -> Iterator[Kept]:
        """What came of trying encoders in an earlier life of this machine, or long ago on any.

        Each worker that starts writes it anew, so one that is old is of a machine on which none has started since.
        """
        if self._layout.trials.is_symlink() or self._layout.cache.is_symlink():
            return
        for entry in _entries(self._layout.trials):
            if entry.is_file(follow_symlinks=False):
                path = Path(entry.path)
                for kept in _kept("what came of trying a machine's encoders", path, path, _tried_at):
                    if _is_outlived(path) or now - kept.since >= timedelta(days=_TRIALS_DAYS):
                        yield kept

    def _days(self) -> Iterator[Kept]:
        """What the nodes did, day by day; a day is kept since its end."""
        if self._layout.figures.is_symlink():
            return
        for entry in _entries(self._layout.figures):
            with suppress(ValueError):  # not a day: not ours
                began = datetime.combine(date.fromisoformat(entry.name), time.min, UTC)
                yield Kept("what the nodes did on a day", Path(entry.path), began + timedelta(days=1))

    # -- how it goes -----------------------------------------------------------------------------

    def _remove_drop(self, path: Path) -> bool:
        """The drop first: a reason without its drop is harmless, a drop without its reason would be a riddle."""
        removed = self._put_away(path)
        reason_of(path).unlink(missing_ok=True)
        return removed

    def _remove_task(self, path: Path) -> bool:
        return self._store.discard(TaskState.FAILED, path.name)

    def _remove_output(self, path: Path) -> bool:
        """The links first: a link to nothing would stay, an output without a link is still due."""
        by_story.hide(self._layout, {path.name})
        return self._store.discard(TaskState.FINISHED, path.name)

    def _put_away(self, path: Path) -> bool:
        """Rename out of sight, then delete; what a crash leaves in ``.farm/removed/`` any worker deletes."""
        aside = self._layout.removed / f"{path.name[:100]}-{secrets.token_hex(4)}"
        try:
            try:
                path.rename(aside)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                aside = private_name(path)  # on a disk of its own; the main worker deletes such at its start
                path.rename(aside)
        except FileNotFoundError:
            return False
        remove_tree(aside)
        return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _kept(what: str, path: Path, record: Path, told: Callable[[Path], str]) -> list[Kept]:
    """One thing and since when it is kept; none where it has gone meanwhile.

    Where its record tells no time, the last time counts at which it was changed or moved here. Not the time of its
    content alone: a drop keeps that, and a year-old file rejected today would go at once.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return []
    try:
        since = datetime.fromisoformat(told(record))
    except (FileNotFoundError, RecordError, ValueError):
        since = datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)
    return [Kept(what, path, since if since.tzinfo else since.replace(tzinfo=UTC))]


def _rejected_at(record: Path) -> str:
    return Reason.read(record).when


def _finished_at(record: Path) -> str:
    return RenderRecord.read(record).finished_at


def _tried_at(record: Path) -> str:
    return EncodersRecord.read(record).tried_at


def _is_outlived(record: Path) -> bool:
    """Whether this machine was started again since it tried these encoders."""
    try:
        found = EncodersRecord.read(record)
    except (FileNotFoundError, RecordError):
        return False
    return found.host == platform.node() and found.boot != boot_id()
