"""One look at a farm: everything a face of the console shows."""

from __future__ import annotations

import shutil
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field

from console.farm.drop import DropView, rejected
from console.farm.lost import lost
from console.farm.main import figures, is_main_running, main_record
from console.farm.node import NodeView, farm_pause, nodes
from console.farm.queue import all_done_in
from console.farm.task import TaskView, newest_tasks, tasks
from console.tables import about
from console.trash import rejected_names
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.records.figures import FiguresRecord
from shared.records.main import PendingDrop, WaitingVoice
from shared.records.orders import Order
from shared.store import Store

_MOST_FAILED = 20  # failed tasks that a snapshot tells of; each costs reading its explanation
_GIGA = 1e9


class Snapshot(BaseModel):
    """The farm at one moment."""

    model_config = ConfigDict(frozen=True)

    root: str
    lost: tuple[str, ...] = Field(
        (), description="Folders whose filesystems are not mounted; what lies in them is not counted."
    )
    main_running: bool
    main_state: str | None
    trouble: str | None
    paused_since: str | None = Field(None, description="Since when the main worker takes nothing in.")
    pending: tuple[PendingDrop, ...]
    pending_count: int = Field(0, description="All pending drops; only the first are listed.")
    waiting_voices: tuple[WaitingVoice, ...]
    waiting_count: int = Field(0, description="All waiting voices; only the first are listed.")
    nodes: tuple[NodeView, ...]
    farm_pause: Order | None = Field(None, description="Who has paused the whole farm, when and why.")
    figures: FiguresRecord | None = Field(None, description="The four figures of the farm and of each node.")
    counts: dict[str, int] = Field(description="Tasks by state, and rejected drops.")
    processing: tuple[TaskView, ...]
    failed: tuple[TaskView, ...] = Field(description="The newest failed tasks.")
    rejected: tuple[DropView, ...] = Field((), description="The newest rejected drops, newest first.")
    free_bytes: int | None = Field(None, description="Room in the root's filesystem; null where that cannot be told.")
    min_free_bytes: int | None = Field(
        None, description="No task is started with less room (worker.min_free_bytes); null where that cannot be read."
    )
    queue_seconds: float | None = Field(
        None,
        description="About how long until all that waits is done, at the nodes' pace; null where nothing waits, or no "
        "node that takes tasks has finished one yet.",
    )

    @property
    def is_low_on_disk(self) -> bool:
        """Whether there is less room than the workers want."""
        return self.free_bytes is not None and self.free_bytes < (self.min_free_bytes or 0)


def take_snapshot(layout: Layout, *, min_free_bytes: int | None = None, most_rejected: int = 0) -> Snapshot:
    """Read the farm's state from its folders; costs no more than the tasks in work, what failed, and some that wait.

    Args:
        min_free_bytes: as configured; None where nobody knows.
        most_rejected: how many rejected drops to tell of; each costs reading its explanation.

    Raises:
        RootError: the root has gone, or is none.
        OSError: it cannot be reached.
    """
    store = Store(layout)
    running = is_main_running(layout)
    main = main_record(layout)
    ids = {state: store.ids(state) for state in TaskState}
    counts = {state.value: len(found) for state, found in ids.items()}
    refused, _ = rejected_names(layout)
    counts["trash/invalid"] = len(refused)
    workers, pause = nodes(layout), farm_pause(layout)
    processing = tasks(layout, store, TaskState.PROCESSING, ids[TaskState.PROCESSING])
    return Snapshot(
        root=str(layout.root),
        main_running=running,
        main_state=main.state if main and running else None,
        trouble=main.trouble if main else None,
        paused_since=main.paused_since if main and running else None,
        pending=main.pending if main else (),
        pending_count=main.pending_count if main else 0,
        waiting_voices=main.waiting if main else (),
        waiting_count=main.waiting_count if main else 0,
        nodes=workers,
        farm_pause=pause,
        figures=figures(layout, main_running=running),
        counts=counts,
        processing=processing,
        failed=tasks(layout, store, TaskState.FAILED, newest_tasks(layout, store, TaskState.FAILED, _MOST_FAILED)),
        rejected=rejected(layout, refused, most_rejected),
        free_bytes=_free_bytes(layout),
        min_free_bytes=min_free_bytes,
        queue_seconds=all_done_in(store, ids[TaskState.WAITING], workers, processing, pause),
        lost=lost(layout),  # asked last: whatever was read after a root went looks empty
    )


def _free_bytes(layout: Layout) -> int | None:
    with suppress(OSError):
        return shutil.disk_usage(layout.root).free
    return None


def disk_words(snapshot: Snapshot) -> str:
    """What people are told of the room in the root; nothing where that cannot be told."""
    if snapshot.free_bytes is None:
        return ""
    free = f"{snapshot.free_bytes / _GIGA:.1f} GB free"
    if not snapshot.is_low_on_disk:
        return free
    least = (snapshot.min_free_bytes or 0) / _GIGA
    return f"only {free}; no task is started with less than {least:g} GB (worker.min_free_bytes)"


def queue_words(snapshot: Snapshot) -> str:
    """What people are told of how long the queue takes; nothing where nothing waits."""
    if not snapshot.counts[TaskState.WAITING.value]:
        return ""
    if snapshot.queue_seconds is not None:
        return f"{about(snapshot.queue_seconds)} at the nodes' pace"
    if snapshot.farm_pause:
        why = "the farm is paused"
    elif not any(node.takes_tasks for node in snapshot.nodes):
        why = "no node takes tasks"
    elif not any(node.takes_tasks and node.record.pace for node in snapshot.nodes):
        why = "no node that takes tasks has finished one yet"
    else:
        why = "what waits cannot be read"
    return f"no telling how long it takes: {why}"
