"""Runs one child process to its end, watching it: progress, silence, time, and somebody asking to stop."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from shared.domain.errors import ReelmillError, Stopped
from shared.leash import leashed

_TICK_SECONDS = 0.2  # how soon a request to stop is noticed
_STDERR_TAIL = 64 * 1024
_NICE_TO_ALL = 10  # from here on nice(1) means whoever uses this machine, and not only the worker's other children
_CPU_GRACE_SECONDS = 10  # between the signal that a tool may catch and the one that it may not
_OUT_OF_MEMORY = ("Cannot allocate memory", "std::bad_alloc", "MemoryError")
_PERHAPS_OUT_OF_MEMORY = "get_buffer() failed"  # all that ffmpeg's H.264 decoder says; also of pictures too large
_IDLE_SHARE = 0.1
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts in these
_AHEAD_SECONDS, _AHEAD_SHARE = 0.5, 0.1  # the kernel compares its limit with ticks, which run ahead of what it reports


class ChildTimeout(ReelmillError):
    """A child was killed because it took too long, or showed no progress for too long.

    `is_idle` says whether it hardly used the processor meanwhile, so that it was waiting for something.
    """

    def __init__(self, words: str, is_idle: bool = False) -> None:
        super().__init__(words)
        self.is_idle = is_idle


class ChildTooCostly(ReelmillError):
    """A child ended because it needed more than it was given; says what of (`need`), and in words how much.

    Its text completes a sentence that begins with what the child did.
    """

    def __init__(self, need: Literal["cpu", "memory", "file"], words: str) -> None:
        super().__init__(words)
        self.need = need


@dataclass(frozen=True)
class Ended:
    """A child that ran to its end.

    Attributes:
        code: exit status; negative is the signal that ended it.
        output: standard output where no line reader was given, else empty.
        errors: the last 64 KiB of standard error.
        seconds: wall-clock time it took.
        cpu_seconds: processor time it took, over all its threads.
        peak_bytes: the most memory it held at a time.
    """

    code: int
    output: bytes
    errors: str
    seconds: float
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Limits:
    """What a child may take; None is endless.

    Attributes:
        total_seconds: wall-clock time.
        silence_seconds: the longest time without a line that `on_line` reports as progress.
        cpu_seconds: processor time, over all threads.
        memory_bytes: memory it may write to, used or not (``RLIMIT_DATA``: address space that is only
            reserved, which ffmpeg does generously, does not count). macOS knows no such limit.
        file_bytes: size of the largest file it writes, standard error included.
        offline: whether it runs without a network, where the system lets us take it away.
    """

    total_seconds: float | None = None
    silence_seconds: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    file_bytes: int | None = None
    offline: bool = False

    def by_number(self) -> dict[int, tuple[int, int]]:
        """Soft and hard limits as setrlimit(2) takes them; nobody wants the core of a crashed tool."""
        found = {resource.RLIMIT_CORE: (0, 0)}
        if self.cpu_seconds is not None:
            soft = max(1, round(self.cpu_seconds))
            found[resource.RLIMIT_CPU] = (soft, soft + _CPU_GRACE_SECONDS)
        if self.memory_bytes is not None:
            found[resource.RLIMIT_DATA] = (self.memory_bytes,) * 2
        if self.file_bytes is not None:
            found[resource.RLIMIT_FSIZE] = (self.file_bytes,) * 2
        return found


def run_child(
    arguments: Sequence[str],
    *,
    limits: Limits,
    stopping: Callable[[], bool],
    on_line: Callable[[str], bool] | None = None,
    on_cost: Callable[[float], None] | None = None,
    errors_to: Path | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    nice: int = 0,
) -> Ended:
    """Run a child in a process group of its own, on a leash, without standard input.

    Args:
        stopping: asked several times a second; when it turns true the whole group is killed.
        on_line: gets each line of standard output; returns whether it means progress.
        on_cost: told from time to time how much processor time, in seconds, the child has used, where the
            system says it while a child runs (Linux); may raise to end it.
        errors_to: file that standard error is added to, in full; a private temporary file otherwise.
        environment: variables that are added to this process's own.

    Raises:
        ChildTimeout: a limit of wall-clock time was passed; the group has been killed.
        ChildTooCostly: it met its limit of processor time, of memory or of bytes in a file.
        Stopped: `stopping` turned true; the group has been killed.
    """
    with _errors_file(errors_to) as errors:
        before = errors.seek(0, os.SEEK_END)
        started = time.monotonic()
        process = subprocess.Popen(
            leashed(arguments, nice=nice, limits=limits.by_number(), offline=limits.offline),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env={**os.environ, **environment} if environment else None,
            # The kernel may share its time between sessions, and niceness then counts within one only.
            start_new_session=nice >= _NICE_TO_ALL,
            process_group=None if nice >= _NICE_TO_ALL else 0,
        )
        try:
            patience = _Patience(limits, stopping, process.pid, on_cost)
            output = _read(process, patience, on_line)
            used = _await_exit(process, patience)
        finally:
            _kill_group(process)
        ended = Ended(
            process.returncode,
            output,
            _tail(errors, before),
            time.monotonic() - started,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss * _MAXRSS_BYTES,
        )
        _check_cost(ended, limits)
        return ended


class _Patience:
    """Ends the wait for a child when it is asked to, or when the child passes a limit or costs too much."""

    def __init__(
        self, limits: Limits, stopping: Callable[[], bool], pid: int, on_cost: Callable[[float], None] | None
    ) -> None:
        self._limits = limits
        self._stopping = stopping
        self._pid = pid
        self._on_cost = on_cost
        self._started = self._moved = self._counted = time.monotonic()

    def renew(self) -> None:
        """The child has shown progress."""
        self._moved = time.monotonic()

    def _is_idle(self, seconds: float) -> bool:
        used = _cpu_seconds(self._pid)
        return used is not None and used < _IDLE_SHARE * seconds

    def check(self) -> None:
        if self._stopping():
            raise Stopped("stopped on request")
        now, total, silence = time.monotonic(), self._limits.total_seconds, self._limits.silence_seconds
        if total is not None and now - self._started > total:
            raise ChildTimeout(f"took longer than {total:g} s", self._is_idle(total))
        if silence is not None and now - self._moved > silence:
            raise ChildTimeout(f"made no progress for {silence:g} s", self._is_idle(silence))
        if self._on_cost and now - self._counted > _TICK_SECONDS:
            self._counted = now
            used = _cpu_seconds(self._pid)
            if used is not None:
                self._on_cost(used)


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


def _await_exit(process: subprocess.Popen[bytes], patience: _Patience) -> resource.struct_rusage:
    """Wait for the end, which may come long after that of standard output; returns what the child used."""
    pause = 0.001
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)  # the only call that tells this child's costs
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return used
        patience.check()
        time.sleep(pause)
        pause = min(2 * pause, _TICK_SECONDS / 4)


def _nearly(limit: float) -> float:
    """What a child that met its limit of processor time has used at the least."""
    return max(1.0, limit) - max(_AHEAD_SECONDS, _AHEAD_SHARE * limit)


def _cpu_seconds(pid: int) -> float | None:
    """Processor time a living child has used so far, in seconds; None where the system does not say (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _check_cost(ended: Ended, limits: Limits) -> None:
    """Raise ChildTooCostly for an end that a limit brought about.

    ffmpeg catches the signal for processor time, and without memory it drops pictures and ends well.
    """
    cpu, file = limits.cpu_seconds, limits.file_bytes
    if cpu is not None and (ended.code == -signal.SIGXCPU or (ended.code != 0 and ended.cpu_seconds >= _nearly(cpu))):
        raise ChildTooCostly("cpu", f"used {ended.cpu_seconds:.0f} s of processor time without coming to an end")
    if file is not None and ended.code == -signal.SIGXFSZ:
        raise ChildTooCostly("file", f"wrote more than {file / 1e6:.0f} MB")
    if limits.memory_bytes is not None and _met_memory_limit(ended, limits.memory_bytes):
        raise ChildTooCostly("memory", f"needed more than {limits.memory_bytes / 1e6:.0f} MB of memory")


def _met_memory_limit(ended: Ended, limit: int) -> bool:
    if _PERHAPS_OUT_OF_MEMORY in ended.errors and ended.peak_bytes > limit / 2:
        return True
    return any(sign in ended.errors for sign in _OUT_OF_MEMORY)


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
