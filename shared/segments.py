"""The segments of a root: found by what they were made of, put in place by one rename, dropped when space is wanted.

    .farm/cache/segments/<key>/segment.mp4, segment.json, thumbnail.jpg
    .farm/cache/segments/.<node>-<token>/            a segment that is being made
    .farm/cache/segments/.gone=<token>/              one that is being deleted

A folder without a dot is complete. Two workers may make the same segment: the second rename finds the place taken,
and nothing is lost but time. Whoever uses a segment links it into his own folder first, so it may be dropped any time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.domain.layout import SEGMENT, SEGMENT_RECORD, THUMBNAIL, Layout
from shared.files import fsync_path, is_there, remove_tree
from shared.records.record import RecordError
from shared.records.segment import SegmentRecord

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
_GONE = ".gone="  # no node has such a name
_NEARLY = 0.9
_ABANDONED_SECONDS = 86_400.0  # no segment takes a day; its maker is dead, wherever it ran


@dataclass(frozen=True)
class Kept:
    """One segment in the cache: when it was last used (seconds of the file's clock) and its bytes."""

    key: str
    used_at: float
    size: int


class SegmentCache:
    """The segments of one root, as one node uses them; `on_put` is told the name of each that it adds."""

    def __init__(
        self, layout: Layout, node: str, budget_bytes: int, on_put: Callable[[str], None] = lambda _: None
    ) -> None:
        self._layout = layout
        self._node = node
        self._budget = budget_bytes
        self._on_put = on_put
        self._used = 0

    def take(self, key: str, folder: Path) -> SegmentRecord | None:
        """Link a segment's film and thumbnail into `folder` as ``<key>.mp4`` and ``<key>.jpg``; None if there is none.

        A damaged one is removed, so that it is made again. Only its size is looked at here: its packets are compared
        with the record's when they have been joined.
        """
        entry = self._layout.segment(key)
        try:
            record = link_segment(entry, key, folder)
            os.utime(entry)
        except FileNotFoundError:
            if not is_there(folder):
                raise
            if not is_there(entry):
                return None
        except RecordError:
            pass
        else:
            return record
        self.remove(key)
        return None

    def has(self, key: str) -> bool:
        """Whether a segment is there; nothing is read."""
        return self._layout.segment(key).is_dir()

    def bench(self) -> Path:
        """A new folder in which a segment can be made."""
        folder = self._layout.segments / f".{self._node}-{secrets.token_hex(6)}"
        folder.mkdir(parents=True)
        return folder

    def put(self, key: str, made: Path) -> None:
        """Put a complete segment in its place, and drop those that were not used for longest if there are too many."""
        for path in made.iterdir():
            fsync_path(path)
        fsync_path(made)
        try:
            made.rename(self._layout.segment(key))
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            remove_tree(made)  # another worker was faster
            return
        fsync_path(self._layout.segments)
        self.shrink()
        self._on_put(key)

    @property
    def is_nearly_full(self) -> bool:
        """Whether what is made ahead of need would drive out what is in use, as of when that was last counted."""
        return self._used >= _NEARLY * self._budget

    def remove(self, key: str) -> None:
        """Drop a segment: out of sight by one rename, on the same disk, then deleted."""
        target = self._layout.segments / f"{_GONE}{secrets.token_hex(6)}"
        try:
            self._layout.segment(key).rename(target)
        except FileNotFoundError:
            return
        remove_tree(target)

    def shrink(self) -> None:
        """Drop what was not used for longest until the rest fits into the budget."""
        kept = sorted(self._kept(), key=lambda entry: entry.used_at)
        left = self._used = sum(entry.size for entry in kept)
        for entry in kept:
            if left <= self._budget:
                return
            self.remove(entry.key)
            left -= entry.size

    def drop_oldest(self, enough: Callable[[], bool], keep: Collection[str] = ()) -> int:
        """Drop what was not used for longest, but nothing of `keep`, until that is enough; returns how many went."""
        dropped = 0
        for entry in sorted(self._kept(), key=lambda entry: entry.used_at):
            if enough():
                break
            if entry.key not in keep:
                self.remove(entry.key)
                dropped += 1
        return dropped

    def tidy(self) -> None:
        """Remove what this node, or one that is long dead, left half made; then keep to the budget."""
        self._layout.segments.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            for path in list(self._layout.segments.iterdir()):
                mine = path.name.rpartition("-")[0] == f".{self._node}" or path.name.startswith(_GONE)
                if path.name.startswith(".") and (mine or _age(path) > _ABANDONED_SECONDS):
                    remove_tree(path)
        self.shrink()

    def _kept(self) -> Iterator[Kept]:
        for path in list(self._layout.segments.iterdir()):
            if not path.name.startswith("."):
                with suppress(FileNotFoundError, NotADirectoryError):
                    size = sum(entry.stat().st_size for entry in path.iterdir())
                    yield Kept(path.name, path.stat().st_mtime, size)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def link_segment(entry: Path, key: str, folder: Path) -> SegmentRecord:
    """Link the film and the thumbnail of a complete segment into `folder`, as ``<key>.mp4`` and ``<key>.jpg``.

    Raises:
        FileNotFoundError: some of it is missing.
        RecordError: its record is damaged, or is not of this film.
    """
    record = SegmentRecord.read(entry / SEGMENT_RECORD)
    film, thumbnail = folder / f"{key}.mp4", folder / f"{key}.jpg"
    _link(entry / SEGMENT, film)
    _link(entry / THUMBNAIL, thumbnail)
    found = hashlib.sha256(thumbnail.read_bytes()).hexdigest()
    if (record.key, record.size, record.thumbnail) != (key, film.stat().st_size, found):
        film.unlink()
        thumbnail.unlink()
        raise RecordError(f"{entry / SEGMENT_RECORD} is not of the film beside it")
    return record


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where there are none: what is dropped from the cache stays whole for who uses it."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
