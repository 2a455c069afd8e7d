"""Which folders are filesystems of their own, whatever they are called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.domain.layout import Layout
from shared.mountpoints import expected_mounts, is_mount, lost_mounts, mount_points
from shared.records.mounts import MountsRecord

_SHOW = "import json; from shared.mountpoints import mount_points; print(json.dumps(sorted(mount_points())))"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a list")
def test_a_mount_is_known_whatever_its_folder_is_called(tmp_path: Path) -> None:
    """The kernel escapes blanks, tabs, ends of lines and backslashes; all else stands in its list as it is."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    folder = tmp_path / "a\rb\vc\fd e\tf\ng\\h\x1ci"
    folder.mkdir()
    mounting = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder)]
    tried = subprocess.run([*mounting, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no filesystem may be mounted here: {tried.stderr.strip()}")
    ended = subprocess.run([*mounting, sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True)
    assert str(folder) in json.loads(ended.stdout)


def test_an_expected_mount_that_is_a_plain_folder_or_gone_is_lost(layout: Layout) -> None:
    """And the root of the system is one that is not."""
    MountsRecord(mounts=("raw", "elsewhere")).write(layout.mounts)
    assert expected_mounts(layout) == {layout.raw, layout.root / "elsewhere"}
    assert lost_mounts(layout) == {layout.raw, layout.root / "elsewhere"}
    assert is_mount(Path("/"), mount_points())
    assert not is_mount(layout.raw, mount_points())
    assert not is_mount(layout.raw, None)
