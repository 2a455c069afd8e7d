"""Which folders are filesystems of their own: as the system tells, and as the main worker wrote it down."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from shared.domain.layout import Layout
from shared.records.mounts import MountsRecord
from shared.records.record import RecordError

_MOUNTS = Path("/proc/self/mountinfo")
_OPENED = Path("/proc/self/fdinfo")
_POINT = 4  # of the fields in a line
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # blanks and backslashes in names


def mount_points() -> frozenset[str] | None:
    """Where filesystems are mounted, as this process sees them (proc(5)); None where the system has no such list.

    ``os.path.ismount`` would not do: a part of a filesystem that is mounted elsewhere (``mount --bind``, volumes of
    containers) has the same device number as the folder it covers.
    """
    try:
        lines = _MOUNTS.read_bytes().split(b"\n")  # not splitlines: other ends of lines stand in names as they are
    except OSError:
        return None
    fields = (line.split(b" ") for line in lines)
    return frozenset(os.fsdecode(_ESCAPED.sub(_unescaped, found[_POINT])) for found in fields if len(found) > _POINT)


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def is_mount(folder: Path, points: frozenset[str] | None) -> bool:
    """Whether a filesystem of its own is mounted at a folder; `points` are :func:`mount_points`."""
    return os.path.ismount(folder) if points is None else os.path.realpath(folder) in points


def mount_of(folder: Path) -> tuple[int, str]:
    """What two folders must have in common for a rename to move a file from one to the other.

    The device alone does not tell: two mounts may show parts of one filesystem, and one mount of btrfs holds several.

    Raises:
        OSError: the folder cannot be reached.
    """
    handle = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mount = ""
        with suppress(OSError):  # a system without /proc: then the device must do
            told = _OPENED.joinpath(str(handle)).read_text("ascii").splitlines()
            mount = next((line for line in told if line.startswith("mnt_id:")), "")
        return os.fstat(handle).st_dev, mount
    finally:
        os.close(handle)


def expected_mounts(layout: Layout) -> frozenset[Path]:
    """The folders that were filesystems of their own when the main worker last ran; none where nothing is told.

    Raises:
        OSError: it is written down and cannot be read.
    """
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
