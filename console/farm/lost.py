"""Folders of a root whose filesystems are not mounted."""

from __future__ import annotations

from collections.abc import Iterable

from shared.domain.layout import Layout
from shared.process import check_root


def lost(layout: Layout) -> tuple[str, ...]:
    """Folders of the root whose filesystems are not mounted.

    It is asked after all was read: a root that vanished meanwhile must not look like an empty one.

    Raises:
        RootError: the root has gone, or is none.
        OSError: it cannot be reached.
    """
    return tuple(sorted(f"{layout.relative(folder)}/" for folder in check_root(layout)))


def lost_words(folders: Iterable[str]) -> str:
    """What people are told of lost filesystems; nothing where none are lost."""
    names = ", ".join(folders)
    return f"{names} should be mounted and is not there: what lies in it is not counted" if names else ""
