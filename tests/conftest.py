"""What all tests share: no deadlines, and filesystems whose server has died: nobody can tell what is behind a name."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no bug, and the same code is tested with the same examples: new ones are looked for on purpose.
settings.register_profile("reelmill", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("reelmill")


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
