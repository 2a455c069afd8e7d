"""Durable steps on a local filesystem: the only writes the farm makes under names that others read.

The order is always the same: write under a private name, fsync the file, rename, fsync the folder.
Measured: without the fsyncs a power loss takes acknowledged files; with both, none was lost.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from shared.domain.errors import MachineTrouble

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENFILE})
_COPY_BYTES = 1 << 20


def private_name(path: Path) -> Path:
    """A name beside `path` that every reader leaves alone until it is renamed."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")


def fsync_path(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_path(folder.parent)


def write_atomic(path: Path, content: bytes) -> None:
    """Replace or create a file so that a reader sees the old or the new content, whole."""
    temporary = private_name(path)
    try:
        _write_new(temporary, content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_path(path.parent)


def write_hint(path: Path, content: bytes) -> None:
    """Replace a file whole, without waiting for the disk: for what is rewritten every second and may be lost."""
    temporary = private_name(path)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create_exclusive(path: Path, content: bytes) -> None:
    """Create a file that must not exist yet; a reader finds it whole (where links are refused: or still growing).

    Raises:
        FileExistsError: somebody else created it first.
    """
    temporary = private_name(path)
    try:
        _write_new(temporary, content)
        try:
            path.hardlink_to(temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _write_new(path, content)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)


def move_new(source: Path, target: Path) -> None:
    """Move a file to a name that must be free, on one filesystem or across two; never replaces, never loses.

    On one filesystem the target is a hard link made exclusively before the source name goes (a plain
    rename where links are refused). Across two, a copy is completed, fsynced and linked first.

    Raises:
        FileExistsError: the target exists.
    """
    try:
        _link_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_new(source, target)
    fsync_path(target.parent)
    source.unlink(missing_ok=True)
    fsync_path(source.parent)


def is_machine_trouble(error: OSError) -> bool:
    """Whether an error speaks of this machine (full disk, I/O error) and not of the file at hand."""
    return error.errno in _MACHINE


def as_machine_trouble(error: OSError, doing: str) -> MachineTrouble:
    """The same error in words for the log."""
    where = f" ({error.filename})" if error.filename else ""
    return MachineTrouble(f"{doing}: {error.strerror or error}{where}")


def remove_tree(path: Path) -> None:
    """Delete a file or folder that nobody needs any more; one that is gone already is fine."""
    if path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):  # two cleaners met; what is left goes at the next sweep
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(handle)


def _link_new(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)


def _copy_new(source: Path, target: Path) -> None:
    temporary = private_name(target)
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, _COPY_BYTES)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(source, temporary)
        _link_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
