"""One root for several users: the umask of a process, and the group of the root's folders (``docs/sharing.md``)."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from shared.domain.layout import Layout
from shared.files import group_number
from shared.settings import Files

# Everything made in a folder with the set-group-id bit gets the folder's group, and folders get the bit as well.
_SHARED = stat.S_ISGID | stat.S_IRWXG


def set_umask(settings: Files) -> None:
    """Let everything this process and its children make have the configured rights."""
    if settings.umask:
        os.umask(int(settings.umask, 8))


def share(layout: Layout, settings: Files) -> list[str]:
    """Give the folders of a root to the configured group; returns what could not be done, with the way to do it."""
    if not settings.group:
        return []
    number = group_number(settings.group)
    refused = [folder for folder in _folders(layout) if not _give(folder, number)]
    problems = []
    if refused:
        names = shlex.join(map(str, refused))
        problems.append(
            f"{len(refused)} folders of this root do not belong to group {settings.group} and are another user's. "
            f"Their owner or root can share them: chgrp {settings.group} {names} && chmod g+rwxs {names}"
        )
    if _umask() & stat.S_IRWXG:
        problems.append(
            f"The umask is {_umask():03o}, so group {settings.group} cannot change what this process makes, and "
            f'workers of other users cannot take its tasks: set files.umask = "002"'
        )
    return problems


def _folders(layout: Layout) -> Iterator[Path]:
    """Every fixed folder of a root that is in its place, parents first."""
    seen: set[Path] = set()
    for folder in layout.folders():
        for path in (*reversed(folder.parents), folder):
            if path.is_relative_to(layout.root) and path not in seen and os.path.isdir(path):  # noqa: PTH112
                seen.add(path)
                yield path


def _give(folder: Path, group: int) -> bool:
    """Share one folder; False where that is not allowed."""
    found = folder.stat()
    if found.st_gid == group and found.st_mode & _SHARED == _SHARED:
        return True
    try:
        if found.st_gid != group:
            os.chown(folder, -1, group)
        folder.chmod(stat.S_IMODE(found.st_mode) | _SHARED)
    except PermissionError:
        return False
    return True


def _umask() -> int:
    """The umask of this process, which the system tells only to who sets it."""
    found = os.umask(0o077)
    os.umask(found)
    return found
