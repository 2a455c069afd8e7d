"""One attempt at one task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.records.metadata import Metadata


@dataclass(frozen=True)
class Job:
    """One attempt at one task.

    Attributes:
        task: the task's folder, with its links.
        library: the folders its links may lead to, and no others.
        folder: the attempt's own folder, where the result appears.
        scratch: a folder within it for what is needed on the way.
    """

    metadata: Metadata
    task: Path
    library: tuple[Path, ...]
    folder: Path
    scratch: Path
    attempt: int
    token: str
