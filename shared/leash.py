"""Starts a program so that it cannot outlive its parent; run as a script, it becomes that program.

A child of a worker that is killed with SIGKILL would go on rendering (seen in another farm:
deadline-cloud-worker-agent #983). Linux sends the signal asked for here when the *thread* that
started the child ends, so a leashed child is started and waited for by one thread.
``preexec_fn`` could do the same but is unsafe in a program with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # prctl(2)
CANNOT_START = 127  # as shells say it; no tool used here ends with it by itself


def leashed(arguments: Sequence[str], death_signal: signal.Signals = signal.SIGKILL, nice: int = 0) -> list[str]:
    """The argument list that runs `arguments` on a leash held by the calling thread."""
    leash = [sys.executable, "-I", "-S", os.path.abspath(__file__)]  # noqa: PTH100 - no pathlib in the trampoline
    return [*leash, str(os.getpid()), str(int(death_signal)), str(nice), *arguments]


def _become(arguments: Sequence[str]) -> None:
    parent, death_signal, nice, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the leash was on
        sys.exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the program would inherit that
        signal.signal(number, signal.SIG_DFL)
    if int(nice):
        os.nice(int(nice))
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    _become(sys.argv[1:])
