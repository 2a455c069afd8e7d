"""What all tests share: no deadlines, dead filesystems (nobody can tell what is behind a name), and systemd's ear."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no bug, and the same code is tested with the same examples: new ones are looked for on purpose.
settings.register_profile("reelmill", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("reelmill")


# Shells have what they start in the background pay no heed to Ctrl-C, and so would all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as there are cores: a third of the time, tests wait for what must not happen."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores * 3 // 2)


_MOUNT = 'exec 9<>/dev/fuse && mount -i -t fuse -o "fd=9,rootmode=$1,user_id=0,group_id=0" dead "$0"'


class DeadMounts:
    """Mounts that answer nothing but ENOTCONN, seen by nobody but who looks through :meth:`seen`."""

    def __init__(self, holder: int) -> None:
        self._holder = holder

    def over(self, path: Path) -> None:
        """Put one over a file or a folder."""
        kind = f"{stat.S_IFMT(path.stat().st_mode):o}"
        command = ["nsenter", "-t", f"{self._holder}", "-m", "sh", "-c", _MOUNT, str(path), kind]
        subprocess.run(command, check=True)

    def seen(self, path: Path) -> Path:
        """A path, whose files are the same, on which the mounts are seen."""
        return Path(f"/proc/{self._holder}/root{path}")


@pytest.fixture
def dead_mounts() -> Iterator[DeadMounts]:
    """What :class:`DeadMounts` says; skips where that cannot be had."""
    missing = [tool for tool in ("unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if sys.platform != "linux" or missing or not Path("/dev/fuse").exists():
        pytest.skip(f"needs Linux with /dev/fuse, unshare, nsenter and mount (missing: {', '.join(missing) or 'FUSE'})")
    command = ["unshare", "-m", "sh", "-c", f"sh -c '{_MOUNT}' /mnt 40000 && echo ready && exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"ready\n":
                pytest.skip("mounts of its own are not allowed here; it takes root")
            yield DeadMounts(holder.pid)
        finally:
            holder.kill()


_PATIENCE = 60.0  # with what is bound to happen


class ServiceManager:
    """Listens to workers as systemd does; workers that are started meanwhile find it in their environment."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.heard: list[tuple[float, str]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while message := self._listening.recv(65536).decode():
            self.heard.append((time.monotonic(), message))

    @property
    def pings(self) -> list[float]:
        """When the worker said that it lives (monotonic seconds)."""
        return [at for at, message in self.heard if message == "WATCHDOG=1"]

    def longest_silence(self, since: float) -> float:
        """The longest time between two pings, or until now (seconds)."""
        moments = [since, *(at for at in self.pings if at >= since), time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(moments))

    def until(self, happened: Callable[[], object]) -> None:
        """Wait for something that is bound to happen."""
        end = time.monotonic() + _PATIENCE
        while not happened():
            assert time.monotonic() < end, self.heard
            time.sleep(0.02)

    def until_told(self, words: str) -> None:
        """Wait for a message with some words in it."""
        self.until(lambda: any(words in message for _, message in list(self.heard)))


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    """What :class:`ServiceManager` says, with a watchdog of one second."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        manager = ServiceManager(listening)
        yield manager
        listening.sendto(b"", str(tmp_path / "notify"))  # ends the thread
