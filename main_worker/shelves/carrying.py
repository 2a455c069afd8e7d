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
from shared.files import copy_new, fsync_path, make_readable, private_name, put_back, remove_same, rename_new
from shared.mountpoints import mount_of

_MARGIN_BYTES = 16_000_000  # records and logs need room as well
_FULL_BYTES = 65_536  # with less, hardly any drop fits
_FULL_BYTES = 65_536  # with less than this nothing has room


def bring(
    ready: Ready,
    staging: Path,
    shelf: Path,
    group: str,
    sha256: str | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Copy a drop to where one rename brings it onto its shelf; None where one rename does that, or the shelf is full.

    It has to be copied where it lies on another filesystem than the shelf, or belongs to another user whom the farm's
    group cannot read. That may take minutes; what follows (:func:`carry`) takes none then. The copy is in `staging`,
    or, where that is on yet another filesystem, under a private name in the shelf. A full shelf is for :func:`carry`
    to meet: that pauses everything, and keeps the examination that is done.

    Raises:
        DropChanged: it was written to, or its content is not `sha256`.
        Stopped: `stopping` turned true.
    """
    near = mount_of(shelf)
    is_near = mount_of(ready.path.parent) == near
    if is_near and make_readable(ready.path, group):
        return None
    target = staging / f"{secrets.token_hex(8)}{ready.path.suffix[:20]}"
    if mount_of(staging) == near:
        _check_room(staging, ready.identity.size, _MARGIN_BYTES)
    else:
        if not is_near and _is_full(shelf):
            return None
        target = private_name(shelf / target.name)
        _check_room(shelf, ready.identity.size)
    with ready.open() as source:
        copied = copy_new(_Stoppable(source.read, stopping), target)
    if sha256 not in (None, copied):
        target.unlink()
        raise DropChanged(f"{ready.relative} changed while it was being copied")
    return target


def bring_made(staged: Path, shelf: Path, stopping: Callable[[], bool]) -> Path:
    """Bring a file that was made in staging to where one rename brings it onto its shelf; returns where it is then.

    Where the shelf is full it stays where it is, for :func:`deliver` to meet that.

    Raises:
        Stopped: `stopping` turned true.
    """
    if mount_of(staged.parent) == mount_of(shelf) or _is_full(shelf):
        return staged
    target = private_name(shelf / staged.name)
    try:
        _check_room(shelf, staged.stat().st_size)
        with staged.open("rb") as source:
            copy_new(_Stoppable(source.read, stopping), target)
    finally:
        staged.unlink()
    return target


def _check_room(folder: Path, size: int, margin: int = 0) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + margin:
        if free < _FULL_BYTES:
            raise MachineTrouble(f"No space left on device: {free} bytes are free in {folder}", everywhere=True)
        raise MachineTrouble(f"it has {size} bytes, and only {free} are free for a copy in {folder}")


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < _FULL_BYTES


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
            if error.errno != errno.EXDEV:  # not every system tells two mounts of one filesystem apart before
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
    """Give a staged file its name, which must be free, also where that turns out to be on another filesystem.

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
