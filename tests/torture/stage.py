"""Fresh roots for torture runs, on one filesystem or with some folders on others, each gone when its run is judged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from shared.domain.layout import Layout
from tests.torture.inspection import Dropped, given
from tests.torture.scenes import Scene

_INSIDE = "REELMILL_TORTURE_NAMESPACE"  # not of the configuration's form: the program itself ignores it


class Half(Enum):
    """What lies on filesystems of its own."""

    ONE = "one-filesystem"
    TWO = "two-filesystems"
    SHELVES = "shelves-elsewhere"


_MOUNTED: dict[Half, tuple[str, ...]] = {Half.ONE: (), Half.TWO: ("raw",), Half.SHELVES: ("scanned", "trash")}


@dataclass(frozen=True)
class Case:
    """One root with its drops, and a folder beside it for what a run says."""

    layout: Layout
    beside: Path
    dropped: tuple[Dropped, ...]

    def outside(self) -> list[str]:
        """What lies beside the root that no run has any business to have made (I8)."""
        found = [path.name for path in self.beside.parent.iterdir() if path not in (self.beside, self.layout.root)]
        return sorted([*found, *(path.name for path in (self.beside / "tmp").iterdir())])


@dataclass(frozen=True)
class Stage:
    """Sets up cases from roots that were made before."""

    folder: Path
    roots: Mapping[bool, Layout]

    @contextmanager
    def case(self, scene: Scene, half: Half, keep: bool = False) -> Iterator[Case]:
        """A copy of a scene's root, with its drops laid out."""
        folder = Path(tempfile.mkdtemp(prefix=f"{scene.name}-", dir=self.folder))
        layout = Layout(folder / "root")
        beside = folder / "beside"
        (beside / "tmp").mkdir(parents=True)
        layout.raw.mkdir(parents=True)
        mounted = [layout.root / name for name in _MOUNTED[half]]
        for place in mounted:
            place.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", place.name, place], check=True)
        try:
            template = self.roots[scene.stocked].root
            shutil.copytree(template, layout.root, symlinks=True, dirs_exist_ok=True)
            scene.lay(layout.raw)
            yield Case(layout, beside, given(layout.raw, *scene.files))
        finally:
            for place in mounted:
                subprocess.run(["umount", "-l", place], check=True)
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)


def enter_namespace(*, network: bool = True) -> str | None:
    """Start this program again where it may mount; returns why that cannot be, or None when it is there.

    Args:
        network: whether it still needs one.
    """
    if os.environ.get(_INSIDE):
        return None
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    enter = ["unshare", "--mount", *own_user, *([] if network else ["--net"])]
    if not shutil.which("unshare"):
        return "there is no unshare on this machine"
    tried = subprocess.run([*enter, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    if tried.returncode:
        return f"no filesystem may be mounted here ({tried.stderr.decode('utf-8', 'replace').strip()})"
    os.environ[_INSIDE] = "1"
    return os.execvp(enter[0], [*enter, sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program again
