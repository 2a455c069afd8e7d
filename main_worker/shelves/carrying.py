"""Takes a drop out of ``raw/`` to its new name: whole, never over another file, and never something else instead."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from main_worker.arrival.ready import DropChanged, Ready
from shared.domain.errors import MachineTrouble, Stopped
from shared.files import copy_new, fsync_path, make_readable, put_back, remove_same, rename_new

_MARGIN_BYTES = 16_000_000  # records and logs need room as well


def bring(
    ready: Ready, staging: Path, group: str, sha256: str | None = None, stopping: Callable[[], bool] = lambda: False
) -> Path | None:
    """Copy a drop to `staging` where one rename will not do; None where it will.

    That is so for a drop on another filesystem, and for one of another user whom the farm's group cannot read. It
    may take minutes; what follows (:func:`carry`) takes none then.

    Raises:
        DropChanged: it was written to, or its content is not `sha256`.
        Stopped: `stopping` turned true.
    """
    if ready.identity.device == staging.stat().st_dev and make_readable(ready.path, group):
        return None
    free = shutil.disk_usage(staging).free
    if free < ready.identity.size + _MARGIN_BYTES:
        raise MachineTrouble(f"it has {ready.identity.size} bytes, and only {free} are free for a copy in {staging}")
    target = staging / f"{secrets.token_hex(8)}{ready.path.suffix[:20]}"
    with ready.open() as source:
        copied = copy_new(_Stoppable(source.read, stopping), target)
    if sha256 not in (None, copied):
        target.unlink()
        raise DropChanged(f"{ready.relative} changed while it was being copied")
    return target


class _Stoppable:
    """Reads that end when the worker does."""

    def __init__(self, read: Callable[[int], bytes], stopping: Callable[[], bool]) -> None:
        self._read = read
        self._stopping = stopping

    def read(self, size: int) -> bytes:
        if self._stopping():
            raise Stopped("stopped on request")
        return self._read(size)


def carry(ready: Ready, target: Path, copy: Path | None = None) -> None:
    """Move a drop to a name that must be free.

    Without a `copy` that is one rename, looked at afterwards: what its writer changed, or put in its place, in the
    last instant goes back. A copy (see :func:`bring`) gets the name first, whole and durable; the original goes only
    when it is still the one that was copied.

    Raises:
        DropChanged: it was written to, or replaced; it is in ``raw/`` and not at the target.
        FileExistsError: the target exists.
    """
    if copy is not None:
        ready.check_unchanged()
        deliver(copy, target)
        _remove_copied(ready, target)
        return
    with ready.open() as source:
        os.fsync(source.fileno())  # its writer may not have; once filed it must survive a power loss
        try:
            rename_new(ready.path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # two mounts of one filesystem are known by nothing else
                raise
            copy_new(source, target)
            _remove_copied(ready, target)
            return
    if not ready.is_at(target):
        put_back(target, ready.path)
        raise DropChanged(f"{ready.relative} changed while it was being filed")


def _remove_copied(ready: Ready, target: Path) -> None:
    if not remove_same(ready.path, ready.is_at):
        target.unlink()
        raise DropChanged(f"{ready.relative} changed while it was being copied")


def deliver(staged: Path, target: Path) -> None:
    """Give a staged file its name, which must be free, also where that is on another filesystem than staging.

    Raises:
        FileExistsError: the target exists.
    """
    fsync_path(staged)
    try:
        rename_new(staged, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with staged.open("rb") as source:
            copy_new(source, target)
        staged.unlink()
