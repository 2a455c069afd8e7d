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
        errors_to: file that receives standard error in full; a private temporary file otherwise.

    Raises:
        ChildTimeout: a limit was passed; the group has been killed.
        Stopped: `stopping` turned true; the group has been killed.
    """
    with _errors_file(errors_to) as errors:
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
            output = _watch(process, limits, stopping, on_line)
            code = process.wait()
        finally:
            _kill_group(process)
        return Ended(code, output, _tail(errors), time.monotonic() - started)


def _watch(
    process: subprocess.Popen[bytes],
    limits: Limits,
    stopping: Callable[[], bool],
    on_line: Callable[[str], bool] | None,
) -> bytes:
    assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
    stream = process.stdout
    started = moved = time.monotonic()
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if stopping():
                raise Stopped("stopped on request")
            ready = selector.select(_TICK_SECONDS)
            now = time.monotonic()
            if ready:
                block = os.read(stream.fileno(), 1 << 16)
                if not block:
                    return bytes(kept)
                kept += block
                if on_line is not None and _feed(kept, on_line):
                    moved = now
            _check_patience(limits, now - started, now - moved)


def _feed(kept: bytearray, on_line: Callable[[str], bool]) -> bool:
    """Hand over the whole lines in `kept` and leave the rest; say whether any of them meant progress."""
    *lines, rest = bytes(kept).split(b"\n")
    kept[:] = rest
    moved = False
    for line in lines:
        moved = on_line(line.decode("utf-8", "replace")) or moved
    return moved


def _check_patience(limits: Limits, total: float, silence: float) -> None:
    if limits.total_seconds is not None and total > limits.total_seconds:
        raise ChildTimeout(f"took longer than {limits.total_seconds:g} s")
    if limits.silence_seconds is not None and silence > limits.silence_seconds:
        raise ChildTimeout(f"made no progress for {limits.silence_seconds:g} s")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _errors_file(path: Path | None) -> IO[bytes]:
    return path.open("w+b") if path else tempfile.TemporaryFile()


def _tail(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _STDERR_TAIL))
    return errors.read().decode("utf-8", "replace")
