"""Runs of a piece of the program in a fork, with its system calls watched or spoilt by strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from main_worker.__main__ import DRY_RUN, ONCE, UNTIL_IDLE, work
from shared.ffmpeg import find_ffmpeg
from shared.process import run_worker

SECONDS = 120.0
"""Longest time one run may take; longer means that it hangs."""

_CHANGING = (
    *("openat", "write", "pwrite64", "ftruncate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link"),
    *("linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "fsync", "fdatasync", "chmod", "fchmod"),
    *("fchown", "copy_file_range", "sendfile"),
)
_WAITING = ("epoll_wait",)
_READING = ("read", "getdents64")
_OPENS_TO_WRITE = re.compile(r"O_CREAT|O_TRUNC|O_WRONLY|O_RDWR")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)")


@dataclass(frozen=True, order=True)
class Step:
    """The n-th call (from 1) of one system call in a run."""

    call: str
    number: int


@dataclass(frozen=True)
class Call:
    """One system call that was made.

    Attributes:
        changes: whether it changes the filesystem.
        failed: whether it had no effect.
    """

    step: Step
    text: str
    changes: bool
    failed: bool

    @property
    def waits(self) -> bool:
        """Whether the worker waits for a tool there."""
        return self.step.call in _WAITING


@dataclass(frozen=True)
class Injection:
    """What strace does to one step, or with `always` from that step on: a signal, or an error in place of the call.

    With `in_tool` that is a step of every thread of ffmpeg, not of the worker: a ``read`` of the drop, or a ``write``
    into staging.
    """

    step: Step
    signal: str | None = None
    error: str | None = None
    always: bool = False
    in_tool: bool = False

    def __str__(self) -> str:
        does = f"signal={self.signal}" if self.signal else f"error={self.error}"
        return f"inject={self.step.call}:{does}:when={self.step.number}{'+' if self.always else ''}"


@dataclass(frozen=True)
class Run:
    """How a run ended.

    Attributes:
        status: exit status; negative is the signal that ended it, None a hang that was ended.
        log: what it said.
        calls: the system calls that were watched.
    """

    status: int | None
    log: str
    calls: tuple[Call, ...] = ()


def why_not() -> str | None:
    """Why system calls cannot be watched here, or None where they can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace: {tried.stderr.strip()}" if tried.returncode else None


def run_once(root: Path, beside: Path, *, trace: bool = False, injection: Injection | None = None) -> Run:
    """Run ``python -m main_worker --once`` on a root, from its own `main` on; as :func:`run_act`."""

    def once() -> int:
        os.environ["TMPDIR"] = os.fspath(beside / "tmp")
        os.chdir(beside)
        return run_worker("main_worker", ["--root", os.fspath(root), "--once"], work, modes=(UNTIL_IDLE, ONCE, DRY_RUN))

    return run_act(lambda: once, root, beside, trace=trace, injection=injection)


def run_act(
    prepare: Callable[[], Callable[[], int]],
    root: Path,
    beside: Path,
    *,
    trace: bool = False,
    injection: Injection | None = None,
) -> Run:
    """Run something on a root in a fork of this process; it returns its exit status.

    Forked, since importing the program costs more than all the rest; only its own (main) thread is watched.

    Args:
        prepare: what comes before, in the same process, and is not watched; it returns what is.
        beside: a folder for the log and for temporary files of the run.
    """
    log, traced = beside / "log", beside / "trace"
    log.write_bytes(b"")
    watched = trace or (injection is not None and not injection.in_tool)
    child = os.fork()
    if child == 0:
        _become(prepare, beside, log, injection, wait=watched)
    tracer = _attach(child, traced, injection) if watched else None
    status = _await(child)
    if tracer:
        tracer.wait(SECONDS)
    calls = tuple(_calls(traced.read_text("utf-8", "replace"), root)) if tracer else ()
    traced.unlink(missing_ok=True)
    if injection and injection.in_tool and (tool := beside / "tool").exists():
        calls = tuple(_calls(tool.read_text("utf-8", "replace"), root))
    return Run(status, log.read_text("utf-8", "replace"), calls)


def _become(
    prepare: Callable[[], Callable[[], int]], beside: Path, log: Path, injection: Injection | None, *, wait: bool
) -> None:
    status = 70
    try:
        if injection and injection.in_tool:
            os.environ["REELMILL_FFMPEG__PATH"] = os.fspath(_spoilt_ffmpeg(beside, injection))
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, 2)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - pytest has put another there
        act = prepare()
        if wait:
            os.kill(os.getpid(), signal.SIGSTOP)
        status = act()
    except Exception:  # noqa: BLE001 - whatever it is belongs into the log that is judged
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:  # the fork must never go on as if it were its parent, even where what it says cannot be written
            os._exit(status)


def _spoilt_ffmpeg(beside: Path, injection: Injection) -> Path:
    """A program that is ffmpeg, but for what happens to it at the drop it reads or the file in staging it writes."""
    script, ffmpeg = beside / "ffmpeg", find_ffmpeg("").path
    watch = f"strace -f -qqq -e signal=none -e trace={injection.step.call} -e {injection} -o {beside / 'tool'}"
    where = "raw" if injection.step.call == "read" else "staging"
    script.write_text(
        f"""#!/bin/sh
for word; do case "$word" in file:*/{where}/*) exec {watch} -P "${{word#file:}}" {ffmpeg} "$@";; esac; done
exec {ffmpeg} "$@"
"""
    )
    script.chmod(0o755)
    return script


def _attach(child: int, traced: Path, injection: Injection | None) -> subprocess.Popen[bytes]:
    os.waitpid(child, os.WUNTRACED)  # until it has stopped itself
    watched = ",".join((*_CHANGING, *_WAITING, *_READING))
    command = ["strace", "-p", f"{child}", "-qqq", "-y", "-s", "400", "-e", "signal=none", "-e", f"trace={watched}"]
    if injection:
        command += ["-e", str(injection)]
    tracer = subprocess.Popen([*command, "-o", traced], stdin=subprocess.DEVNULL)
    while _tracer_of(child) == 0:
        if tracer.poll() is not None:
            os.kill(child, signal.SIGKILL)
            raise OSError(f"strace did not attach; exit status {tracer.returncode}")
        time.sleep(0.002)
    os.kill(child, signal.SIGCONT)
    return tracer


def _tracer_of(child: int) -> int:
    found = re.search(r"TracerPid:\s+(\d+)", Path(f"/proc/{child}/status").read_text("ascii"))
    return int(found[1]) if found else 0


def _await(child: int) -> int | None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _calls(trace: str, root: Path) -> Iterator[Call]:
    count: Counter[str] = Counter()
    for line in trace.splitlines():
        found = _CALL.match(line)
        name = line.partition("(")[0]
        count[name] += 1
        under_root = f"{root}/" in line
        changes = name in _CHANGING and (name != "openat" or bool(_OPENS_TO_WRITE.search(line))) and under_root
        if under_root or name in _WAITING or "INJECTED" in line:
            yield Call(Step(name, count[name]), line, changes, found is None or found[3].startswith("-"))
