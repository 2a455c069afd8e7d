"""Which folders are filesystems of their own, whatever they are called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.domain.layout import Layout
from shared.mountpoints import expected_mounts, is_mount, lost_mounts, mount_of, mount_points
from shared.records.mounts import MountsRecord


@pytest.fixture
def mount(tmp_path: Path) -> Callable[..., Any]:
    """Makes a mount that nobody else sees, and says what Python says of some expression there."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("needs Linux with unshare")

    def see(folder: Path, expression: str, *options: str) -> Any:
        mounting = ["unshare", "-m", "sh", "-c", f'mount {" ".join(options)} "$0" && exec "$@"', str(folder)]
        tried = subprocess.run([*mounting, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"no filesystem may be mounted here: {tried.stderr.strip()}")
        code = f"import json, sys; from pathlib import Path; from shared.mountpoints import *; print({expression})"
        command = [*mounting, sys.executable, "-c", code, str(tmp_path), str(folder)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return see


def test_a_mount_is_known_whatever_its_folder_is_called(tmp_path: Path, mount: Callable[..., Any]) -> None:
    """The kernel escapes blanks, tabs, ends of lines and backslashes; all else stands in its list as it is."""
    folder = tmp_path / "a\rb\vc\fd e\tf\ng\\h\x1ci"
    folder.mkdir()
    assert str(folder) in mount(folder, "json.dumps(sorted(mount_points()))", "-t", "tmpfs", "none")


def test_two_mounts_of_one_filesystem_are_told_apart(tmp_path: Path, mount: Callable[..., Any]) -> None:
    """A rename between them is refused, though they have one device number."""
    folder, source = tmp_path / "mounted", tmp_path / "source"
    folder.mkdir()
    source.mkdir()
    assert mount_of(folder) == mount_of(source) == mount_of(tmp_path)
    told = mount(folder, "json.dumps([mount_of(Path(name)) for name in sys.argv[1:]])", "--bind", str(source))
    assert told[0] != told[1]
    assert told[0][0] == told[1][0]


def test_an_expected_mount_that_is_a_plain_folder_or_gone_is_lost(layout: Layout) -> None:
    """And the root of the system is one that is not."""
    MountsRecord(mounts=("raw", "elsewhere")).write(layout.mounts)
    assert expected_mounts(layout) == {layout.raw, layout.root / "elsewhere"}
    assert lost_mounts(layout) == {layout.raw, layout.root / "elsewhere"}
    assert is_mount(Path("/"), mount_points())
    assert not is_mount(layout.raw, mount_points())
    assert not is_mount(layout.raw, None)
