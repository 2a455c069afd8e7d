"""What changed last, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


def newest(names: Iterable[str], most: int, path: Callable[[str], Path]) -> list[str]:
    """At most so many of the names, those whose paths changed last first; one that is gone counts as the oldest."""
    return heapq.nlargest(most, names, key=lambda name: _changed_at(path(name)))


def _changed_at(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_mtime_ns
    return 0
