"""Whether every folder of the root is where it was: a filesystem that is not mounted leaves an empty folder behind.

Taken for what it looks like, that would be an empty library, and what is filed then would be hidden by the mount.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.files import write_atomic
from shared.records.mounts import MountsRecord
from shared.records.record import RecordError

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # blanks and backslashes in names


class Mounts:
    """The folders of one root, compared with what they were when the main worker last ran."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        states = {layout.state(state) for state in TaskState}
        self._kinds = kinds = set(layout.kinds())
        parents = {layout.root, layout.raw, layout.scanned, layout.invalid.parent, layout.invalid, layout.farm}
        self._folders = tuple(sorted(states | kinds | parents))  # parents first: what is lost is told at its root
        self._expected: dict[Path, bool] | None = None

    def trouble(self) -> str | None:
        """What is not as it was, in words; None where all is well."""
        expected = self._recorded() if self._expected is None else self._expected
        found: dict[Path, bool] = {}
        points = _mount_points()
        for folder in self._folders:
            try:
                folder.stat()
            except FileNotFoundError:
                return f"{folder} is gone"
            except OSError as error:
                return f"{folder} cannot be reached: {error.strerror}"
            if folder in self._kinds and folder.is_symlink():
                return f"{folder} has become a symbolic link; put the folder itself back, or mount it there"
            found[folder] = os.path.ismount(folder) if points is None else os.path.realpath(folder) in points
            if found[folder] != (was_mount := expected.get(folder, found[folder])):
                return _difference(folder, was_mount=was_mount)
        self._expected = found
        return None

    def record(self) -> None:
        """Write down what is mounted, for the next start; to be called when there is no trouble."""
        mounts = tuple(
            str(self._layout.relative(folder)) for folder, is_mount in (self._expected or {}).items() if is_mount
        )
        if mounts or self._layout.mounts.exists():
            write_atomic(self._layout.mounts, MountsRecord(mounts=mounts).to_bytes())

    def _recorded(self) -> dict[Path, bool]:
        with suppress(FileNotFoundError, RecordError):
            return {self._layout.root / name: True for name in MountsRecord.read(self._layout.mounts).mounts}
        return {}


def _mount_points() -> frozenset[str] | None:
    """Where filesystems are mounted, as this process sees them (proc(5)); None where the system has no such list.

    ``os.path.ismount`` would not do: a part of a filesystem that is mounted elsewhere (``mount --bind``, volumes of
    containers) has the same device number as the folder it covers.
    """
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return None
    return frozenset(
        os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), line.split()[4])) for line in lines
    )


def _difference(folder: Path, *, was_mount: bool) -> str:
    if was_mount:
        return (
            f"{folder} was a filesystem of its own and is not mounted now; mount it, or, if it is meant to be a plain "
            "folder, stop the main worker and delete .farm/mounts.json"
        )
    return f"a filesystem was mounted over {folder} while the main worker ran; unmount it, or restart the main worker"
