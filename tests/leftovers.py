"""What a root still holds of work that nobody does any more."""

from __future__ import annotations

from shared.domain.layout import Layout
from shared.domain.task import TaskState


def leftovers(layout: Layout) -> list[str]:
    """What the machinery still holds when nothing is being done."""
    folders = (layout.locks, layout.removed, layout.staging, layout.state(TaskState.PROCESSING))
    return [str(path) for folder in folders for path in folder.iterdir()]
