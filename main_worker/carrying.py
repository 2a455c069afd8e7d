"""Takes a drop out of ``raw/`` to its new name: whole, never over another file, and never something else instead."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from main_worker.ready import DropChanged, Ready
from shared.files import copy_new, put_back, remove_same, rename_new


def carry(ready: Ready, target: Path, sha256: str | None = None) -> None:
    """Move a drop to a name that must be free.

    On one filesystem that is one rename, looked at afterwards: what its writer changed, or put in its place, in the
    last instant goes back. Across two it is a copy, checked against `sha256` where that is known; the original goes
    only when it is still the one that was copied.

    Raises:
        DropChanged: it was written to, or replaced; it is in ``raw/`` and not at the target.
        FileExistsError: the target exists.
    """
    with ready.open() as source:
        os.fsync(source.fileno())  # its writer may not have; once filed it must survive a power loss
    try:
        rename_new(ready.path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry_across(ready, target, sha256)
    else:
        if not ready.is_same(target.lstat()):
            put_back(target, ready.path)
            raise DropChanged(f"{ready.relative} changed while it was being filed")


def _carry_across(ready: Ready, target: Path, sha256: str | None) -> None:
    with ready.open() as source:
        copied = copy_new(source, target)
    if sha256 not in (None, copied) or not remove_same(ready.path, ready.is_same):
        target.unlink()
        raise DropChanged(f"{ready.relative} changed while it was being copied")
