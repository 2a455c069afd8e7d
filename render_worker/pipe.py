"""Writing into a named pipe whose reader may never come, or may die, without waiting for it for ever."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.domain.errors import Stopped

_TICK_SECONDS = 0.1


def make_pipe(path: Path) -> bool:
    """Make a named pipe; False where the filesystem has no such thing."""
    try:
        os.mkfifo(path)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            return False
        raise
    return True


class Writer:
    """Writes to a pipe, or to a plain file of that name where there is no pipe.

    Raises:
        Stopped: `stopping` turned true while nobody was reading.
        BrokenPipeError: the reader is gone.
    """

    def __init__(self, path: Path, stopping: Callable[[], bool]) -> None:
        self._path = path
        self._stopping = stopping
        self._handle = -1

    def __enter__(self) -> Self:
        if not self._path.is_fifo():
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        while self._handle < 0:
            try:
                self._handle = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    raise
                self._check()
                time.sleep(_TICK_SECONDS / 10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def write(self, content: bytes) -> int:
        """Write all of it."""
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(self._handle, left) :]
            except BlockingIOError:
                self._check()
                select.select([], [self._handle], [], _TICK_SECONDS)
        return len(content)

    def _check(self) -> None:
        if self._stopping():
            raise Stopped("stopped on request")
