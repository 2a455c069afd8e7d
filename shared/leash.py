"""Starts a program so that it cannot outlive its parent nor pass its limits.

A child of a worker that is killed with SIGKILL would go on rendering (seen in another farm:
deadline-cloud-worker-agent #983). Linux sends the signal asked for here when the *thread* that
started the child ends, so a leashed child is started and waited for by one thread.
``preexec_fn`` could do the same but is unsafe in a program with threads; a small script in between is not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from shared import trampoline

CANNOT_START = trampoline.CANNOT_START
_NO_LIMITS: Mapping[int, tuple[int, int]] = MappingProxyType({})
_RESET = f"{signal.SIGPIPE:d},{signal.SIGXFSZ:d}"
_TRY_SECONDS = 30.0


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
    orders = [f"{os.getpid()}", f"{death_signal:d}", f"{nice}", values, f"{offline:d}", _RESET]
    return [*_script(), *orders, *arguments]


def can_isolate() -> bool:
    """Whether children that are to run offline really have no network here, found out by trying once in a child."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(_script(), timeout=_TRY_SECONDS, check=False).returncode == 0
    return False


def _script() -> list[str]:
    return [sys.executable, "-I", "-S", os.path.abspath(trampoline.__file__)]  # noqa: PTH100 - a plain string
