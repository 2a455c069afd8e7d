"""A drop that is complete: what it was when that was decided, and whether it still is."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from main_worker.arrival.settling import Identity
from main_worker.arrival.writers import has_writer
from shared.domain.drop import Drop, Misplaced
from shared.domain.errors import ReelmillError


class DropChanged(ReelmillError):
    """The drop is not what it was when it was taken to be complete; it goes back to waiting."""


@dataclass(frozen=True)
class Ready:
    """A drop that is complete, with the identity it had when that was decided.

    Attributes:
        evidence: why it was taken to be complete, in words.
        certain: whether that leaves no doubt; else a damaged file may be one whose copy has stalled.
        unchanged_since: since when (monotonic seconds) it has been the same.
        first_seen: when (monotonic seconds) it was found, however often it has changed since.
        sha256: the hash that its writer named, if any.
        companions: files beside it that speak of it and go when it goes.
    """

    path: Path
    relative: PurePosixPath
    drop: Drop | Misplaced
    identity: Identity
    evidence: str
    certain: bool = False
    unchanged_since: float = 0.0
    first_seen: float = 0.0
    sha256: str | None = None
    companions: tuple[Path, ...] = ()

    def is_same(self, status: os.stat_result) -> bool:
        """Whether a file is this drop, unchanged."""
        return identity_of(status) == self.identity

    def is_at(self, path: Path) -> bool:
        """Whether what lies at `path`, where the drop was just put, is this drop, and nobody is about to write to it.

        A program may have opened it since it was found complete, and would go on writing wherever it is moved.
        """
        status = path.lstat()
        return self.is_same(status) and not (stat.S_ISREG(status.st_mode) and has_writer(path))

    def check_unchanged(self) -> None:
        """Raise DropChanged unless the drop is still there, unchanged."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            raise DropChanged(f"{self.relative} was taken out of raw/ while it was being checked") from None
        if not self.is_same(status):
            raise DropChanged(f"{self.relative} changed while it was being checked")

    def open(self) -> IO[bytes]:
        """Open the drop itself: never what a link points to, never a pipe that somebody put in its place.

        Raises:
            DropChanged: it is not the file that was seen.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.check_unchanged()
            raise error from None
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not self.is_same(status):
            os.close(handle)
            raise DropChanged(f"{self.relative} changed while it was being checked")
        return os.fdopen(handle, "rb")

    def remove_companions(self) -> None:
        """Remove what lies beside the drop and speaks of it; done before the drop itself goes.

        In this order a crash leaves a drop that has to prove itself anew, never a note about nothing.
        """
        for path in self.companions:
            path.unlink(missing_ok=True)


def identity_of(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
