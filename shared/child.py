"""Runs one child process to its end, watching it: progress, silence, time, and somebody asking to stop."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shared.domain.errors import ReelmillError, Stopped
from shared.leash import leashed

_TICK_SECONDS = 0.2  # how soon a request to stop is noticed
_STDERR_TAIL = 64 * 1024


class ChildTimeout(ReelmillError):
    """A child was killed because it took too long, or showed no progress for too long."""


@dataclass(frozen=True)
class Ended:
    """A child that ran to its end.

    Attributes:
        code: exit status; negative is the signal that ended it.
        output: standard output where no line reader was given, else empty.
        errors: the last 64 KiB of standard error.
        seconds: wall-clock time it took.
    """

    code: int
    output: bytes
    errors: str
    seconds: float


@dataclass(frozen=True)
class Limits:
    """Patience with a child, in seconds of wall-clock time; None is endless.

    `silence_seconds` is the longest time without a line that `on_line` reports as progress.
    """

    total_seconds: float | None = None
    silence_seconds: float | None = None


def run_child(
    arguments: Sequence[str],
    *,
    limits: Limits,
    stopping: Callable[[], bool],
    on_line: Callable[[str], bool] | None = None,
    errors_to: Path | None = None,
    folder: Path | None = None,
    nice: int = 0,
) -> Ended:
    """Run a child in a process group of its own, on a leash, without standard input.

    Args:
        stopping: asked several times a second; when it turns true the whole group is killed.
        on_line: gets each line of standard output; returns whether it means progress.
        errors_to: file that standard error is added to, in full; a private temporary file otherwise.

    Raises:
        ChildTimeout: a limit was passed; the group has been killed.
        Stopped: `stopping` turned true; the group has been killed.
    """
    with _errors_file(errors_to) as errors:
        before = errors.seek(0, os.SEEK_END)
        started = time.monotonic()
        process = subprocess.Popen(
            leashed(arguments, nice=nice),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            start_new_session=True,
        )
        try:
            patience = _Patience(limits, stopping)
            output = _read(process, patience, on_line)
            code = _await_exit(process, patience)
        finally:
            _kill_group(process)
        return Ended(code, output, _tail(errors, before), time.monotonic() - started)


class _Patience:
    """Ends the wait for a child when it is asked to, or when the child passes a limit."""

    def __init__(self, limits: Limits, stopping: Callable[[], bool]) -> None:
        self._limits = limits
        self._stopping = stopping
        self._started = self._moved = time.monotonic()

    def renew(self) -> None:
        """The child has shown progress."""
        self._moved = time.monotonic()

    def check(self) -> None:
        if self._stopping():
            raise Stopped("stopped on request")
        now, total, silence = time.monotonic(), self._limits.total_seconds, self._limits.silence_seconds
        if total is not None and now - self._started > total:
            raise ChildTimeout(f"took longer than {total:g} s")
        if silence is not None and now - self._moved > silence:
            raise ChildTimeout(f"made no progress for {silence:g} s")


def _read(process: subprocess.Popen[bytes], patience: _Patience, on_line: Callable[[str], bool] | None) -> bytes:
    """Read standard output to its end; returns what `on_line` did not get."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
    stream = process.stdout
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            patience.check()
            if not selector.select(_TICK_SECONDS):
                continue
            block = os.read(stream.fileno(), 1 << 16)
            kept += block or (b"\n" if on_line and kept else b"")  # a last line may lack its end
            if on_line is not None and _feed(kept, on_line):
                patience.renew()
            if not block:
                return bytes(kept)


def _await_exit(process: subprocess.Popen[bytes], patience: _Patience) -> int:
    """A child may close its standard output long before it ends."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_TICK_SECONDS)
        patience.check()


def _feed(kept: bytearray, on_line: Callable[[str], bool]) -> bool:
    """Hand over the whole lines in `kept` and leave the rest; say whether any of them meant progress."""
    *lines, rest = bytes(kept).split(b"\n")
    kept[:] = rest
    moved = False
    for line in lines:
        moved = on_line(line.decode("utf-8", "replace")) or moved
    return moved


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # not reaped, so the number is still this group's, even if its leader has ended
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only the leader's remains are left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _errors_file(path: Path | None) -> IO[bytes]:
    return path.open("a+b") if path else tempfile.TemporaryFile()


def _tail(errors: IO[bytes], start: int) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(start, size - _STDERR_TAIL))
    return errors.read().decode("utf-8", "replace")
