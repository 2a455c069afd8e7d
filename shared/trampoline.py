"""Run as a script, it puts a leash on itself and becomes another program; see ``leash.py``, which starts it.

It is started for every tool, some times per drop and per video, so it imports next to nothing.
"""

import ctypes
import os
import resource
import sys
import time

_PR_SET_PDEATHSIG = 1  # prctl(2)
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)
_TRIES = 10
CANNOT_START = 127  # as shells say it; no tool used here ends with it by itself
_LIBC = ctypes.CDLL(None, use_errno=True)


def leave_network() -> bool:
    """Move this process into a network of its own, which has no device but a loopback that is down.

    Root takes no user namespace for it: it would lose its right to read drops that belong to others.
    """
    if sys.platform != "linux":
        return False
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    unshare = getattr(_LIBC, "unshare", None)
    return unshare is not None and unshare(flags) == 0


def _work_in_batches() -> None:
    """Ask not to interrupt others at each wake-up (sched(7): SCHED_BATCH).

    ffmpeg hands every frame from thread to thread. Where a woken thread interrupts the one that woke it, on a machine
    whose cores are all busy, work on sound takes a good deal more processor time.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:  # nobody has chosen another one
        try:  # noqa: SIM105 - contextlib costs a millisecond of each start
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError:  # some sandboxes forbid it; it only saves time
            pass


def _give_way(nice: int) -> None:
    """Let others go first; where this process leads a session, all of them.

    Where each session has a group of its own (sched(7): autogrouping), a process is only nice to its own session. The
    group as a whole has another niceness, which not more than one process of ordinary users may set every 0.1 s.
    """
    total = os.nice(nice)
    if os.getsid(0) != os.getpid():
        return
    for _ in range(_TRIES):
        try:
            with open("/proc/self/autogroup", "w") as group:  # noqa: PTH123 - pathlib costs milliseconds
                group.write(str(total))
        except BlockingIOError:
            time.sleep(0.11)
        except OSError:  # there are no such groups
            return
        else:
            return


def _limit(values: str) -> None:
    for value in filter(None, values.split(",")):
        which, soft, hard = map(int, value.split("="))
        try:
            ceiling = resource.getrlimit(which)[1]  # one that is in force already stays
            hard = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
            resource.setrlimit(which, (min(soft, hard), hard))
        except (OSError, ValueError):
            pass


def become(arguments: list[str]) -> None:
    """Become a program: parent's id, death signal, niceness, limits, offline, signals to reset, then its words."""
    parent, death_signal, nice, limits, offline, signals, *command = arguments
    if int(offline):
        leave_network()  # first: a change of namespace takes the leash off
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the leash was on
        sys.exit(1)
    for number in signals.split(","):  # Python ignores them, and the program would inherit that
        _LIBC.signal(int(number), None)
    _work_in_batches()
    if int(nice):
        _give_way(int(nice))
    _limit(limits)  # last: what comes after must not need more than they allow
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(not leave_network())
    become(sys.argv[1:])
