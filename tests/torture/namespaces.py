"""A second machine as far as the network goes: a namespace of its own, joined to this one by a cable that is shaped.

Whoever uses it is in a network namespace itself (:func:`tests.torture.stage.enter_namespace`), so that nothing of the
machine's own network is touched, and all of it goes with the process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.farside import is_root

NEAR, FAR = "10.203.7.1", "10.203.7.2"
"""Addresses: of this namespace, and of the other."""

_NEEDED = ("ip", "tc", "nsenter", "unshare", "ssh-keygen", "sshd")
_DEVICES = ("reel-near", "reel-far")
_BURST_BYTES = 65_536  # what the kernel hands over at once at most; a smaller one would be cut up, packet by packet
_QUEUE = "200ms"  # of what waits at the slow end of a line; what comes beyond is lost, as at a router
_READY_SECONDS = 10.0


def why_no_network() -> str | None:
    """Why there can be no second machine with a shaped line here, or None where there can be one."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    missing = [tool for tool in _NEEDED if not shutil.which(tool, path=path)]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: iproute2, util-linux, openssh-server, openssh-client)"
    return None if is_root() else "it takes root: namespaces of the network are made, and an sshd lets a user in"


class Line:
    """The cable to the other machine; rates in bytes a second, None as fast as it goes.

    Attributes:
        before: words in front of a command that is to run at the other end.
        down, up: what goes there, and what comes from there.
    """

    def __init__(self, there: int) -> None:
        self.before = ("nsenter", f"--net=/proc/{there}/ns/net")
        self.down: float | None = None
        self.up: float | None = None

    def shape(self, down: float | None, up: float | None) -> None:
        """Make it slow, both ways."""
        self.down, self.up = down, up
        self.mend()

    def mend(self) -> None:
        """Have it carry again what it carries."""
        for here, rate in ((True, self.down), (False, self.up)):
            self._ip(here, "link", "set", _device(here), "up")
            self._do(here, "tc", "qdisc", "replace", "dev", _device(here), "root", *_shaped(rate))

    def drop(self, *, down: bool = True, up: bool = True) -> None:
        """Lose every packet without a word, one way or both."""
        for here, is_lost in ((True, down), (False, up)):
            if is_lost:
                self._do(here, "tc", "qdisc", "replace", "dev", _device(here), "root", "blackhole")

    def unplug(self) -> None:
        """Take it out at this end: both see that it is not there."""
        self._ip(True, "link", "set", _device(True), "down")

    def _ip(self, here: bool, *words: str) -> None:
        self._do(here, "ip", *words)

    def _do(self, here: bool, *words: str) -> None:
        subprocess.run([*(() if here else self.before), *words], check=True)


@contextmanager
def line_out() -> Iterator[Line]:
    """Another network namespace, and the line to it, for as long as it is needed."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as there:
        try:
            own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + _READY_SECONDS
            while Path(f"/proc/{there.pid}/ns/net").readlink() == own:
                if there.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("no network namespace can be made here (unshare --net)")
                time.sleep(0.01)
            line = Line(there.pid)
            _join(line, there.pid)
            yield line
        finally:
            there.kill()


def _join(line: Line, there: int) -> None:
    near, far = _DEVICES
    for step in (
        ["ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(there)],
        ["ip", "addr", "add", f"{NEAR}/24", "dev", near],
        ["ip", "link", "set", near, "up"],
        [*line.before, "ip", "link", "set", "lo", "up"],
        [*line.before, "ip", "addr", "add", f"{FAR}/24", "dev", far],
        [*line.before, "ip", "link", "set", far, "up"],
    ):
        subprocess.run(step, check=True)


def _device(here: bool) -> str:
    return _DEVICES[0 if here else 1]


def _shaped(rate: float | None) -> list[str]:
    if rate is None:
        return ["pfifo", "limit", "1000"]
    return ["tbf", "rate", f"{rate * 8:.0f}bit", "burst", str(_BURST_BYTES), "latency", _QUEUE]
