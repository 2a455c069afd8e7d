"""Whether every folder of the root is where it was: a filesystem that is not mounted leaves an empty folder behind.

Taken for what it looks like, that would be an empty library, and what is filed then would be hidden by the mount.
"""

from __future__ import annotations

from pathlib import Path

from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, is_there, write_atomic
from shared.mountpoints import expected_mounts, is_mount, mount_points
from shared.records.mounts import MountsRecord


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
        try:
            expected = self._expected or dict.fromkeys(expected_mounts(self._layout), True)
        except OSError as error:
            return str(as_machine_trouble(error, "which folders were mounted before cannot be read"))
        found: dict[Path, bool] = {}
        points = mount_points()
        for folder in self._folders:
            try:
                folder.stat()
            except FileNotFoundError:
                return f"{folder} is gone"
            except OSError as error:
                return f"{folder} cannot be reached: {error.strerror}"
            if folder in self._kinds and folder.is_symlink():
                return f"{folder} has become a symbolic link; put the folder itself back, or mount it there"
            found[folder] = is_mount(folder, points)
            if found[folder] != (was_mount := expected.get(folder, found[folder])):
                return _difference(folder, was_mount=was_mount)
        self._expected = found
        return None

    def record(self) -> None:
        """Write down what is mounted, for the next start; to be called when there is no trouble."""
        mounts = tuple(
            str(self._layout.relative(folder)) for folder, is_mount in (self._expected or {}).items() if is_mount
        )
        if mounts or is_there(self._layout.mounts):
            write_atomic(self._layout.mounts, MountsRecord(mounts=mounts).to_bytes())


def _difference(folder: Path, *, was_mount: bool) -> str:
    if was_mount:
        return (
            f"{folder} was a filesystem of its own and is not mounted now; mount it, or, if it is meant to be a plain "
            "folder, stop the main worker and delete .farm/mounts.json"
        )
    return f"a filesystem was mounted over {folder} while the main worker ran; unmount it, or restart the main worker"
