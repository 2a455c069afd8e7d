"""Inputs of tasks on a node that does not share the root's disk: fetched once for all tasks, kept by their content.

    <folder>/<sha256>                     a whole input, readable only
    <folder>/.<sha256>.<8 digits>.tmp     one on its way, gone on with by whoever wants it next

Whoever uses an input holds a shared flock on it, whoever drops one asks for an exclusive one first: so nothing in use
is dropped, by no process of the node, and the kernel lets go of what the dead were using.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.records.record import RecordError
from shared.tree.carrying import is_named
from shared.tree.tree import AlreadyThere, Progress, Tree

_SHA256 = re.compile("[0-9a-f]{64}")
_READ_ONLY = 0o444  # it is linked into task folders: writing to one would spoil it for all


@dataclass(frozen=True)
class _Kept:
    path: Path
    used_at: int
    size: int


class InputCache:
    """The inputs a node has, within a budget of bytes. Safe for several processes and threads."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._budget = budget_bytes
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def inputs(self) -> Iterator[Inputs]:
        """The inputs of one task: what is fetched stays until the end, and then as long as there is room."""
        inputs = Inputs(self, self._folder)
        try:
            yield inputs
        finally:
            inputs.let_go()
            self.make_room(0)

    def make_room(self, wanted: int) -> None:
        """Drop what was not used for longest until so many bytes more fit into the budget, but nothing in use."""
        kept = sorted(self._kept(), key=lambda entry: entry.used_at)
        left = sum(entry.size for entry in kept) + wanted
        for entry in kept:
            if left <= self._budget:
                return
            if _drop_unused(entry.path):
                left -= entry.size

    def _kept(self) -> Iterator[_Kept]:
        """Whole inputs, and those on their way: what was given up takes room as well."""
        for path in list(self._folder.iterdir()):
            with suppress(FileNotFoundError):
                found = path.stat()
                yield _Kept(path, max(found.st_atime_ns, found.st_mtime_ns), found.st_size)


class Inputs:
    """What one task uses, from :meth:`InputCache.inputs`."""

    def __init__(self, cache: InputCache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._held: dict[str, int] = {}

    def fetch(self, tree: Tree, path: PurePosixPath, sha256: str, size: int, progress: Progress | None = None) -> Path:
        """A file of this machine with that content, to be linked into a task folder and never written to.

        It comes from the cache, checked by its hash once more, or else from `path` of the tree; `progress` hears only
        of what is fetched. A budget that is smaller than one task is exceeded until the task is done.

        Raises:
            RecordError: `sha256` is none.
            NotThere, Damaged, NoInformation, TreeTrouble: as for :meth:`shared.tree.tree.Tree.download`.
        """
        if not _SHA256.fullmatch(sha256):
            raise RecordError(f"{path} has the SHA-256 {sha256!r}, which is none: 64 hexadecimal digits are expected")
        entry = self._folder / sha256
        while sha256 not in self._held:
            handle = _hold_whole(entry, sha256, size)
            if handle is not None:
                self._held[sha256] = handle
                break
            self._cache.make_room(size)
            with suppress(AlreadyThere):  # another process was faster: look at what it brought
                tree.download(path, entry, sha256=sha256, size=size, progress=progress)
                entry.chmod(_READ_ONLY)
        return entry

    def let_go(self) -> None:
        """Allow what was fetched to be dropped."""
        while self._held:
            os.close(self._held.popitem()[1])


def _hold_whole(entry: Path, sha256: str, size: int) -> int | None:
    """Hold an input that is as it should be, by its handle; a damaged one is removed. None if there is none."""
    while True:
        try:
            handle = os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)  # waits at most until somebody has dropped it
            if not is_named(handle, entry):
                os.close(handle)
                continue
            if _is_whole(handle, sha256, size):
                found = os.fstat(handle)
                os.utime(handle, ns=(time.time_ns(), found.st_mtime_ns))
                return handle
            entry.unlink(missing_ok=True)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None


def _is_whole(handle: int, sha256: str, size: int) -> bool:
    if os.fstat(handle).st_size != size:
        return False
    with os.fdopen(os.dup(handle), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def _drop_unused(path: Path) -> bool:
    """Remove a file that nobody holds; False if somebody does, or it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_named(handle, path):
            return False
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
