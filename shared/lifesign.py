"""The lock file as a sign of life: made exclusively, rewritten in place with a counter, flocked on its own host.

It never decides who owns a task (the rename does) and is never broken by force; see ``docs/protocol.md``.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import lock_descriptor

from shared.records.lock import LockRecord
from shared.records.record import RecordError

_TRIES, _TRY_SECONDS = 10, 0.1
_WIDTH = 512  # one write of a fixed width: a reader sees the old or the new content, never a shorter tail


class LifeSign:
    """A lock file held by this process, from :meth:`create` to :meth:`release`."""

    def __init__(self, path: Path, handle: int, record: LockRecord) -> None:
        self._path = path
        self._handle = handle
        self._record = record
        self._mutex = threading.Lock()
        self._released = False

    @classmethod
    def create(cls, path: Path, node: str, token: str) -> LifeSign:
        """Make the lock file and hold it.

        Raises:
            FileExistsError: there is one already, alive or not.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            lock_descriptor(handle, blocking=False)
            device = os.fstat(handle).st_dev
            record = LockRecord(node=node, token=token, boot=boot_id(), pid=os.getpid(), device=device)
            sign = cls(path, handle, record)
            sign.beat()
        except BaseException:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        return sign  # without waiting for the disk: no holder survives the power loss that would take it

    def beat(self) -> None:
        """Show life once more.

        Raises:
            OSError: the lock file was released, could not be written, or is not under its name: the holder must stop.
        """
        with self._mutex:
            if self._released:  # the handle's number may be another file's by now
                raise FileNotFoundError(f"{self._path} was released")
            self._record = self._record.changed(counter=self._record.counter + 1)
            os.pwrite(self._handle, self._record.to_bytes().ljust(_WIDTH), 0)
            if self._path.stat().st_ino != os.fstat(self._handle).st_ino:
                raise FileNotFoundError(f"{self._path} is not this worker's any more")

    def abandon(self) -> None:
        """Let go but leave the lock file, so that recovery on this host sees at once that nobody holds it."""
        with self._mutex:
            if not self._released:
                self._released = True
                os.close(self._handle)

    def release(self) -> None:
        """Remove the lock file, if it is still ours, and let go; a second call does nothing."""
        with self._mutex:
            if self._released:
                return
            self._released = True
            with suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(self._handle).st_ino:
                    self._path.unlink()
            os.close(self._handle)


def hold(handle: int) -> bool:
    """Take the flock of an open file for this process; False when another process keeps it.

    Tried for a second, since whoever looks whether a lock is free holds it for that instant.
    """
    for _ in range(_TRIES):
        if lock_descriptor(handle, blocking=False):
            return True
        time.sleep(_TRY_SECONDS)
    return False


def read_sign(path: Path) -> bytes | None:
    """The content of a lock file as an observer compares it; None where it is missing.

    Raises:
        OSError: any other failure, which is no information about the holder.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def died_here(path: Path, content: bytes | None) -> bool:
    """Whether the kernel of this host says that the holder is gone. False where it cannot know."""
    if not content:
        return False
    try:
        record = LockRecord.from_bytes(content, str(path))
    except RecordError:  # torn or foreign: the lease will judge it
        return False
    return record.boot == boot_id() and record.device == _device_of(path) and is_free(path)


def is_free(path: Path) -> bool:
    """Whether no process of this host holds the flock on an existing file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return lock_descriptor(handle, blocking=False)
    finally:
        os.close(handle)


def _device_of(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_dev
    return None


def boot_id() -> str:
    """A word for this boot of this kernel; only equality means anything."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return platform.node()
