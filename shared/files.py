"""Durable steps on a local filesystem: the only writes the farm makes under names that others read.

The order is always the same: write under a private name, fsync the file, rename, fsync the folder.
Measured: without the fsyncs a power loss takes acknowledged files; with both, none was lost.
"""

from __future__ import annotations

import ctypes
import errno
import grp
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from shared.domain.errors import MachineTrouble

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
# What meets one file meets all: full, read-only or lost filesystems, and a machine out of its own means.
_EVERYWHERE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN}
    | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EHOSTUNREACH}
)
_COPY_BYTES = 1 << 20
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the filesystem's own is (stat(2))
_PRIVATE = re.compile(r"\..*\.[0-9a-f]{8}\.tmp", re.DOTALL)
_ASIDE = ".reelmill-aside-"
_ASIDE_NAME = re.compile(re.escape(_ASIDE) + r"[0-9a-f]{8}-(?!\.{1,2}$)(.+)", re.DOTALL)


def private_name(path: Path) -> Path:
    """A name beside `path` that every reader leaves alone until it is renamed."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")


def is_private(path: Path) -> bool:
    """Whether a name is one that :func:`private_name` gives."""
    return _PRIVATE.fullmatch(path.name) is not None


def fsync_path(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_there(path: Path) -> bool:
    """Whether there is something of a name, be it a link that leads nowhere.

    Raises:
        OSError: nobody can tell. `os.path.lexists`, and `Path.exists` since Python 3.14, say then that it is not.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Whether there is a folder.

    Raises:
        OSError: nobody can tell. `Path.is_dir` would say that there is none (since Python 3.14).
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_path(folder.parent)


def write_atomic(path: Path, content: bytes, by: Path | None = None) -> None:
    """Replace or create a file so that a reader sees the old or the new content, whole.

    Args:
        by: a folder on the same filesystem to make it in, where that of `path` may be moved away at any moment.
    """
    temporary = private_name(by / path.name if by else path)
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


def overwrite_hint(path: Path, content: bytes) -> None:
    """Write over a hint where it lies, for a disk so full that nothing new can be written; it must fit into it.

    A reader may meet it half written, which a hint can afford.

    Raises:
        OSError: there is no such file, or it does not fit.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if len(content) > os.fstat(handle).st_blocks * _BLOCK_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)


def create_exclusive(path: Path, content: bytes, by: Path | None = None) -> None:
    """Create a file that must not exist yet; a reader finds it whole (where links are refused: or still growing).

    Args:
        by: as for :func:`write_atomic`.

    Raises:
        FileExistsError: somebody else created it first.
    """
    temporary = private_name(by / path.name if by else path)
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


def rename_new(source: Path, target: Path) -> None:
    """Give a file a name that must be free, by one rename on one filesystem.

    Where the kernel or the filesystem has no such rename (NFS, macOS), the name is looked at first: then only
    one process may choose names in the target's folder, as the main worker does under its lock.

    Raises:
        FileExistsError: the target exists.
        OSError: with ``errno.EXDEV`` where the two are on different filesystems.
    """
    if not _rename_exclusive(source, target):
        if is_there(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)
    fsync_path(target.parent)


class Readable(Protocol):
    """What can be copied: an open file, or something like it."""

    def read(self, size: int, /) -> bytes: ...


def copy_new(source: Readable, target: Path) -> str:
    """Copy an open file to a name that must be free, whole and durable before it has it; returns its SHA-256.

    Raises:
        FileExistsError: the target exists.
    """
    temporary = private_name(target)
    digest = hashlib.sha256()
    try:
        with temporary.open("xb") as writer:
            while block := source.read(_COPY_BYTES):
                digest.update(block)
                writer.write(block)
            writer.flush()
            os.fsync(writer.fileno())
        rename_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def remove_same(path: Path, is_same: Callable[[Path], bool]) -> bool:
    """Remove a file only if it is still the one meant; False, and it stays, if another has taken its name.

    It is renamed aside before it is looked at, so that nothing that comes under the name meanwhile is lost.
    :func:`original_name` tells where a crash in between leaves it.

    Raises:
        OSError: it cannot be removed, and has its name again.
    """
    aside = path.with_name(f"{_ASIDE}{secrets.token_hex(4)}-{path.name}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        aside = path  # no room for a longer name: look and remove, as fast as can be
    try:
        if is_same(aside):
            aside.unlink()
            return True
    except OSError:
        if aside != path:
            with suppress(OSError):  # a disk that refuses this as well: the next start gives it its name back
                put_back(aside, path)
        raise
    if aside != path:
        put_back(aside, path)
    return False


def original_name(path: Path) -> Path | None:
    """The name a file had before :func:`remove_same` put it aside, or None for every other file."""
    found = _ASIDE_NAME.fullmatch(path.name)
    return path.with_name(found[1]) if found else None


def is_aside(name: str) -> bool:
    """Whether a name is one that :func:`remove_same` gives."""
    return _ASIDE_NAME.fullmatch(name) is not None


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below one, itself included, with the names of its files; one that vanishes meanwhile is passed over.

    Raises:
        OSError: a folder cannot be read. `os.walk` would pass that over as well, and half would look like all.
    """

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, _, names in os.walk(folder, onerror=fail):
        yield Path(parent), names


def put_back(aside: Path, path: Path) -> None:
    """Give a file its name back, or one like it where that is taken by now."""
    try:
        rename_new(aside, path)
    except FileExistsError:
        rename_new(aside, path.with_name(f"{path.stem}-{secrets.token_hex(4)}{path.suffix}"))


def as_machine_trouble(error: OSError, doing: str) -> MachineTrouble:
    """The same error in words for the log."""
    where = f" ({_shown(Path(os.fsdecode(error.filename)))})" if isinstance(error.filename, str | bytes) else ""
    everywhere = error.everywhere if isinstance(error, MachineTrouble) else error.errno in _EVERYWHERE
    return MachineTrouble(f"{doing}: {error.strerror or error}{where}", everywhere=everywhere)


def _shown(path: Path) -> Path:
    """A path for people, the same every time: of a private name, which is random, only the folder."""
    return path.parent if is_private(path) else path


def make_readable(path: Path, group: str) -> bool:
    """Give a file the shared group, which may read it, where that is allowed; whether the group can read it now.

    False for a file of another user that keeps others out: only a copy of it can be shared. Always true without a
    group. A link is not followed.

    Raises:
        OSError: the file cannot be opened, or the group is none of this machine.
    """
    if not group:
        return True
    number = group_number(group)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not _is_group_readable(os.fstat(handle), number):
            with suppress(PermissionError):  # another user's file, or a mount that has no owners
                os.fchown(handle, -1, number)
                os.fchmod(handle, stat.S_IMODE(os.fstat(handle).st_mode) | stat.S_IRGRP)
        found = os.fstat(handle)
        return _is_group_readable(found, number) or bool(found.st_mode & stat.S_IROTH)
    finally:
        os.close(handle)


def _is_group_readable(found: os.stat_result, group: int) -> bool:
    return found.st_gid == group and bool(found.st_mode & stat.S_IRGRP)


def group_number(group: str) -> int:
    """The number of a group of this machine.

    Raises:
        OSError: there is none of this name (it was there when the configuration was read).
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"there is no group {group} on this machine") from None


def remove_tree(path: Path) -> None:
    """Delete a file or folder that nobody needs any more; one that is gone already is fine."""
    if path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):  # two cleaners met; what is left goes at the next sweep
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)  # less the umask
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(handle)


_RENAME_NOREPLACE, _AT_FDCWD = 1, -100  # renameat2(2)
_NO_SUCH_RENAME = frozenset({errno.ENOSYS, errno.EINVAL})


def _rename_exclusive(source: Path, target: Path) -> bool:
    """renameat2 with RENAME_NOREPLACE, which Python does not offer; False where it cannot be had."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        return False
    names = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target))
    if function(*names, _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_SUCH_RENAME:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))
