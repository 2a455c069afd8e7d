"""Starts a program so that it cannot outlive its parent nor pass its limits; run as a script, it becomes that program.

A child of a worker that is killed with SIGKILL would go on rendering (seen in another farm:
deadline-cloud-worker-agent #983). Linux sends the signal asked for here when the *thread* that
started the child ends, so a leashed child is started and waited for by one thread.
``preexec_fn`` could do the same but is unsafe in a program with threads.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

_PR_SET_PDEATHSIG = 1  # prctl(2)
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)
_NO_LIMITS: Mapping[int, tuple[int, int]] = MappingProxyType({})
_TRY_SECONDS = 30.0
CANNOT_START = 127  # as shells say it; no tool used here ends with it by itself


def leashed(
    arguments: Sequence[str],
    death_signal: signal.Signals = signal.SIGKILL,
    nice: int = 0,
    *,
    limits: Mapping[int, tuple[int, int]] = _NO_LIMITS,
    offline: bool = False,
) -> list[str]:
    """The argument list that runs `arguments` on a leash held by the calling thread.

    Args:
        limits: soft and hard value by number (``resource.RLIMIT_CPU`` …); one this system does not know is left out.
        offline: without any network, where the system lets us take it away (:func:`can_isolate`).
    """
    values = ",".join(f"{which}={soft}={hard}" for which, (soft, hard) in limits.items())
    return [*_trampoline(), str(os.getpid()), str(int(death_signal)), str(nice), values, str(int(offline)), *arguments]


def can_isolate() -> bool:
    """Whether children that are to run offline really have no network here, found out by trying once in a child."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(_trampoline(), timeout=_TRY_SECONDS, check=False).returncode == 0
    return False


def _trampoline() -> list[str]:
    return [sys.executable, "-I", "-S", os.path.abspath(__file__)]  # noqa: PTH100 - no pathlib in the trampoline


def _leave_network() -> bool:
    """Move this process into a network of its own, which has no device but a loopback that is down.

    Root takes no user namespace for it: it would lose its right to read drops that belong to others.
    """
    if sys.platform != "linux":
        return False
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    return unshare is not None and unshare(flags) == 0


def _limit(values: str) -> None:
    for value in filter(None, values.split(",")):
        which, soft, hard = map(int, value.split("="))
        with suppress(OSError, ValueError):  # unknown to this system
            ceiling = resource.getrlimit(which)[1]  # one that is in force already stays
            hard = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
            resource.setrlimit(which, (min(soft, hard), hard))


def _become(arguments: Sequence[str]) -> None:
    parent, death_signal, nice, limits, offline, *command = arguments
    if int(offline):
        _leave_network()  # first: a change of namespace takes the leash off
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the leash was on
        sys.exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the program would inherit that
        signal.signal(number, signal.SIG_DFL)
    if int(nice):
        os.nice(int(nice))
    _limit(limits)  # last: what comes after must not need more than they allow
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(not _leave_network())
    _become(sys.argv[1:])
