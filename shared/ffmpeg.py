"""The ffmpeg this farm works with: where it is, how it is called, what it says while it works."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from shared.child import Ended, Limits, run_child
from shared.domain.errors import MachineTrouble, ToolError, ToolInDoubt, ToolKilled
from shared.domain.progress import Progress
from shared.leash import CANNOT_START

QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-progress", "pipe:1")
QUIET_LIBRARIES = {"SVT_LOG": "1"}  # SVT-AV1 goes by this alone: errors, and nothing else
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)
_DISK_FULL = ("No space left on device", "Disk quota exceeded", "Read-only file system")
_CANNOT_READ = "Input/output error"  # none of a hundred damaged files on a sound disk made it say so; some may
_VERSION_SECONDS = 30.0  # a first start from a cold network disk takes seconds


@dataclass(frozen=True)
class Ffmpeg:
    """One ffmpeg executable and the version it says it is."""

    path: str
    version: str

    def run(
        self,
        arguments: Sequence[str],
        *,
        limits: Limits,
        stopping: Callable[[], bool],
        on_progress: Callable[[Progress], None] | None = None,
        on_line: Callable[[str], None] | None = None,
        on_cost: Callable[[Progress, float], None] | None = None,
        errors_to: Path | None = None,
        environment: Mapping[str, str] | None = None,
        nice: int = 0,
    ) -> tuple[Ended, Progress]:
        """Run ffmpeg with `arguments` after :data:`QUIET`; returns how it ended and its last progress.

        `on_line` gets every line of standard output, which a filter may write to as well; `on_cost` hears from
        time to time how far it is and the processor time, in seconds, it has used for that (Linux only).

        Raises:
            ChildTimeout, ChildTooCostly, Stopped: as :func:`shared.child.run_child`.
            MachineTrouble: ffmpeg is gone, was killed, or met a full disk; that says nothing about its input.
        """
        last = Progress()

        def read(line: str) -> bool:
            nonlocal last
            if on_line:
                on_line(line)
            before, last = last, last.with_line(line)
            if line.startswith("progress=") and on_progress:
                on_progress(last)
            return (last.frame, last.seconds) != (before.frame, before.seconds)

        ended = run_child(
            [self.path, *QUIET, *arguments],
            limits=limits,
            stopping=stopping,
            on_line=read,
            on_cost=(lambda used: on_cost(last, used)) if on_cost else None,
            errors_to=errors_to,
            environment={**QUIET_LIBRARIES, **(environment or {})},
            nice=nice,
        )
        check_machine(ended, "ffmpeg")
        return ended, last


def file_url(path: Path) -> str:
    """A path as ffmpeg must get it: without this, ``a:b.mp4`` is a protocol and a leading dash an option."""
    return f"file:{path.absolute()}"


def find_ffmpeg(configured: str) -> Ffmpeg:
    """The configured ffmpeg, or the one that was installed with Reelmill.

    Raises:
        ToolError: it is missing or does not run.
    """
    path = shutil.which(configured) if configured else _own_ffmpeg()
    if not path:
        raise ToolError(f'ffmpeg.path = "{configured}": there is no such executable; set it right or to ""')
    ended = _run_version(path)
    if ended.code != 0:
        raise ToolError(f"{path} -version failed: {last_line(ended.errors) or f'exit status {ended.code}'}")
    if _run_version(path, "-dec", "0:0").code != 0:
        raise ToolError(f'{path} is too old: it has no loopback decoders (-dec); name another, or "" for our own')
    first_line = ended.output.decode("utf-8", "replace").partition("\n")[0]
    return Ffmpeg(os.fspath(path), first_line.partition(" Copyright")[0].strip())


def _run_version(path: str, *options: str) -> Ended:
    limits = Limits(total_seconds=_VERSION_SECONDS)
    return run_child([path, *options, "-version"], limits=limits, stopping=lambda: False)


def _own_ffmpeg() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:  # its wheel carries none for this platform
        raise ToolError(f"no ffmpeg came with this install ({error}); name one with ffmpeg.path") from error


def check_machine(ended: Ended, tool: str) -> None:
    """Raise MachineTrouble where a tool's end speaks of the machine and not of what it worked on.

    A tool that crashes by itself (SIGSEGV, SIGABRT) speaks of its input.
    """
    if ended.code in _KILLED:
        raise ToolKilled(f"{tool} was killed by signal {-ended.code}; is the machine short of memory?")
    if ended.code == CANNOT_START:
        raise MachineTrouble(f"{tool} does not start: {last_line(ended.errors)}")
    if ended.code != 0 and _complains(ended, "Resource temporarily unavailable"):  # from pthread_create
        raise MachineTrouble(f"{tool} could not start its threads; is there a limit on the number of processes?")
    if ended.code != 0 and _complains(ended, *_DISK_FULL):
        raise MachineTrouble(f"{tool} found the disk full: {last_line(ended.errors)}", everywhere=True)
    if _complains(ended, _CANNOT_READ):  # ffmpeg takes it for the end of the file, and is content (exit status 0)
        raise ToolInDoubt(f"{tool} met an error of the disk or the network: {last_line(ended.errors)}")


def _complains(ended: Ended, *signs: str) -> bool:
    """Whether a line of a tool's complaints ends with one of the system's errors, or holds it as Python writes it.

    The names of files, and tags, which are set in, may hold such words as well and prove nothing.
    """
    words = "|".join(map(re.escape, signs))
    return (
        re.search(rf"^\S.*[:(] ?(?:\[Errno \d+\] (?:{words})|(?:{words})[.)]?$)", ended.errors, re.MULTILINE)
        is not None
    )


def last_line(errors: str) -> str:
    """The last thing a tool said that is not a repetition mark."""
    lines = [line.strip() for line in errors.splitlines() if line.strip() and "message repeated" not in line]
    return lines[-1] if lines else ""
