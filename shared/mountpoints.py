"""Which folders of a root are filesystems of their own: as the system tells, and as the main worker wrote it down."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from shared.domain.layout import Layout
from shared.records.mounts import MountsRecord
from shared.records.record import RecordError

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # blanks and backslashes in names


def mount_points() -> frozenset[str] | None:
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


def is_mount(folder: Path, points: frozenset[str] | None) -> bool:
    """Whether a filesystem of its own is mounted at a folder; `points` are :func:`mount_points`."""
    return os.path.ismount(folder) if points is None else os.path.realpath(folder) in points


def expected_mounts(layout: Layout) -> frozenset[Path]:
    """The folders that were filesystems of their own when the main worker last ran."""
    with suppress(FileNotFoundError, RecordError):
        return frozenset(layout.root / name for name in MountsRecord.read(layout.mounts).mounts)
    return frozenset()


def lost_mounts(layout: Layout) -> frozenset[Path]:
    """Expected filesystems that are not mounted, or do not answer: what is made below them now would be hidden later.

    Raises:
        OSError: what is expected cannot be read.
    """
    points = mount_points()
    return frozenset(
        folder
        for folder in expected_mounts(layout)
        if not os.path.isdir(folder) or not is_mount(folder, points)  # noqa: PTH112 - False whatever is in the way
    )
