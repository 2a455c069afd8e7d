"""Whether any program of this host still has a file open for writing. Linux can tell; elsewhere nobody knows."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from pathlib import Path


def has_writer(path: Path) -> bool | None:
    """True, False, or None where this host cannot tell (other systems, network mounts, files of others).

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only on a file that nobody has open for writing.
    It is given back at once. :func:`ignore_lease_signals` must have been called before.
    """
    if sys.platform != "linux":
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(handle)


def ignore_lease_signals() -> None:
    """A writer that comes in the instant of the lease makes the kernel send SIGIO, which would end the process."""
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_IGN)
