"""One look at a farm: everything a face of the console shows, read from the project root alone."""

from __future__ import annotations

import heapq
import platform
import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

from console.tables import about
from console.trash import RejectedDrop, drop_id, rejected_drop, rejected_names
from shared.domain.eta import Capacity
from shared.domain.layout import POSTER, REASON, Layout, reason_of
from shared.domain.node import Life
from shared.domain.task import TaskState
from shared.lifesign import is_free
from shared.nodes import is_gone_here
from shared.orders import Orders
from shared.process import check_root
from shared.records.figures import FiguresRecord
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.metadata import Metadata
from shared.records.node import Direction, NodeRecord
from shared.records.orders import Order, OrdersRecord
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.store import Store
from shared.tally import Tally

MOST_FAILED = 20
"""Failed tasks that a snapshot tells of; each costs reading its explanation."""

_SAMPLE = 100  # waiting tasks whose lengths are read; a hundred tell the mean of 100,000 to some percent
_GIGA = 1e9


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class TaskView(_Shown):
    """A task as people see it."""

    task_id: str
    label: str = Field(description="Category, story and chapter.")
    state: str
    seconds: float | None = Field(None, description="Length of its voice.")
    reason: str | None = Field(None, description="For failed tasks: why.")
    video: str | None = Field(None, description="For finished tasks: path of the video, relative to the root.")
    poster: str | None = None


class DropView(_Shown):
    """What became of a drop."""

    drop: str = Field(description="Where it was dropped, relative to the root.")
    outcome: str = Field(description="scanned or rejected.")
    now: str = Field(description="Where it is, relative to the root.")
    code: str | None = None
    reason: str | None = None
    advice: str | None = None
    drop_id: str | None = Field(None, description="For rejected drops: a word for it that is safe in an address.")


class NodeView(_Shown):
    """A render worker, whether it lives on this host, and what the main worker or an operator says of it."""

    record: NodeRecord
    running: bool | None = Field(description="Unknown for workers of other hosts.")
    verdict: str | None = Field(None, description="What is wrong with it, as the main worker sees it, in words.")
    is_dead: bool = Field(False, description="Whether the main worker takes it for dead.")
    orders: OrdersRecord = Field(OrdersRecord(), description="What operators have told it.")

    @property
    def takes_tasks(self) -> bool:
        """Whether it will take tasks that wait: it lives, says so, and no operator keeps it from that."""
        is_told_not_to = self.orders.pause or self.orders.drain
        return self.running is not False and not self.is_dead and not is_told_not_to and self.record.takes_tasks


class Snapshot(_Shown):
    """The farm at one moment."""

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
    main = _read_main(layout)
    ids = {state: store.ids(state) for state in TaskState}
    counts = {state.value: len(found) for state, found in ids.items()}
    rejected, _ = rejected_names(layout)
    counts["trash/invalid"] = len(rejected)
    workers, pause = nodes(layout), _orders(layout, None).pause
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
        failed=tasks(layout, store, TaskState.FAILED, newest(layout, store, TaskState.FAILED, MOST_FAILED)),
        rejected=_newest_rejected(layout, rejected, most_rejected),
        free_bytes=_free_bytes(layout),
        min_free_bytes=min_free_bytes,
        queue_seconds=_queue_seconds(store, ids[TaskState.WAITING], _capacity(workers, processing, pause)),
        lost=lost(layout),
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
    else:
        why = "no node that takes tasks has finished one yet"
    return f"no telling how long it takes: {why}"


def done_in(layout: Layout, ahead: Collection[str], metadata: Metadata) -> float | None:
    """About how many seconds until a waiting task is done; None where nobody can tell, or no node can make it.

    Args:
        ahead: the tasks that wait before it.
    """
    workers = nodes(layout)
    if not any(worker.takes_tasks and worker.record.makes(metadata.render.profile) for worker in workers):
        return None
    store, own = Store(layout), metadata.voice_duration
    processing = tasks(layout, store, TaskState.PROCESSING, store.ids(TaskState.PROCESSING))
    capacity = _capacity(workers, processing, _orders(layout, None).pause)
    return capacity.done_in(len(ahead) * (_mean_seconds(store, ahead) or own), own)


def _queue_seconds(store: Store, waiting: Collection[str], capacity: Capacity) -> float | None:
    """When the last of the waiting tasks is done, which is taken to be as long as they are on average."""
    mean = _mean_seconds(store, waiting)
    return capacity.done_in((len(waiting) - 1) * mean, mean) if mean else None


def _mean_seconds(store: Store, waiting: Collection[str]) -> float | None:
    """How long the voices of waiting tasks are on average; None where none can be read.

    Of very many only some are read, those whose ids come first. An id is a hash, so they are as good as drawn by lot;
    and they are the same at each look, so that the estimate does not jump about.
    """
    lengths = []
    for task_id in heapq.nsmallest(_SAMPLE, waiting):
        with suppress(RecordError, OSError):  # one that cannot be read keeps nobody from looking
            lengths.append(store.metadata(TaskState.WAITING, task_id).voice_duration)
    return fmean(lengths) if lengths else None


def _capacity(workers: Collection[NodeView], processing: Iterable[TaskView], pause: Order | None) -> Capacity:
    """What the nodes can do as things are now; that one comes, goes or reaches the end of its hours is not foreseen.

    Every node counts for every task, whatever profiles it can encode.
    """
    left: dict[str | None, float] = {}  # of each task in work, the share that is still to be rendered
    for worker in workers:
        left[worker.record.task_id] = 1 - (worker.record.percent or 0.0) / 100
        left |= {one.task_id: 0.0 for one in worker.record.transfers if one.direction is Direction.DELIVERING}
    begun = sum((task.seconds or 0.0) * left.get(task.task_id, 1.0) for task in processing)
    paces = tuple(worker.record.pace for worker in workers if worker.takes_tasks and not pause)
    return Capacity(paces, begun)


def is_main_running(layout: Layout) -> bool:
    return layout.main_lock.exists() and not is_free(layout.main_lock)


def figures(layout: Layout, *, main_running: bool) -> FiguresRecord:
    """The figures as the main worker has last counted them, or counted now where none runs."""
    if main_running:
        with suppress(RecordError, FileNotFoundError):
            return FiguresRecord.read(layout.figures_record)
    tally, now = Tally(layout), time.time()
    tally.look(now)
    return tally.record(now)


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


def newest(layout: Layout, store: Store, state: TaskState, most: int) -> list[str]:
    """The tasks of a state that came to it last, newest first."""
    ids = ((_changed_at(layout.task(state, task_id)), task_id) for task_id in store.ids(state))
    return [task_id for _, task_id in heapq.nlargest(most, ids)]


def _newest_rejected(layout: Layout, names: Iterable[str], most: int) -> tuple[DropView, ...]:
    newest = sorted(names, key=lambda name: _changed_at(reason_of(layout.invalid / name)), reverse=True) if most else []
    return tuple(_rejected_view(layout, rejected_drop(layout, name)) for name in newest[:most])


def _changed_at(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_mtime_ns
    return 0


def _rejected_view(layout: Layout, drop: RejectedDrop) -> DropView:
    reason = drop.reason
    return DropView(
        drop=drop.original or str(layout.relative(drop.path)),
        outcome="rejected",
        now=str(layout.relative(drop.path)),
        code=reason.code if reason else None,
        reason=reason.reason if reason else drop.trouble,
        advice=reason.advice if reason else None,
        drop_id=drop_id(drop.path.name),
    )


def tasks(layout: Layout, store: Store, state: TaskState, ids: Iterable[str]) -> tuple[TaskView, ...]:
    """The named tasks of a state, by label; one that moved on meanwhile is left out."""
    views = []
    for task_id in ids:
        folder = layout.task(state, task_id)
        try:
            metadata = store.metadata(state, task_id)
        except FileNotFoundError:
            continue
        except RecordError as error:
            views.append(TaskView(task_id=task_id, label=task_id, state=state.value, reason=str(error)))
            continue
        finished = state is TaskState.FINISHED
        views.append(
            TaskView(
                task_id=task_id,
                label=metadata.label,
                state=state.value,
                seconds=metadata.voice_duration,
                # A task that is tried again still has the reason of its last failure.
                reason=_reason(folder / REASON) if state is TaskState.FAILED else None,
                video=str(layout.relative(store.video(task_id))) if finished else None,
                poster=str(layout.relative(folder / POSTER)) if finished else None,
            )
        )
    return tuple(sorted(views, key=lambda view: view.label))


def drops_since(layout: Layout, moment: str) -> tuple[DropView, ...]:
    """What became of every drop dealt with since a moment (UTC ISO 8601), in the order of their names."""
    found: dict[str, DropView] = {}
    for record in layout.scanned.rglob("*.json"):
        with suppress(RecordError, FileNotFoundError):
            sidecar = Sidecar.read(record)
            path = record.with_name(record.name.removesuffix(".json"))
            # A link file and its chunks share one origin; the link file itself says what became of the drop.
            if sidecar.scanned_at >= moment and sidecar.address is None:
                now = str(layout.relative(path))
                found[sidecar.origin.path] = DropView(drop=sidecar.origin.path, outcome="scanned", now=now)
    for name in rejected_names(layout)[0]:
        drop = rejected_drop(layout, name)
        if drop.original and drop.reason and drop.reason.when >= moment:
            found[drop.original] = _rejected_view(layout, drop)
    return tuple(found[name] for name in sorted(found))


def _read_main(layout: Layout) -> MainRecord | None:
    with suppress(RecordError, FileNotFoundError):
        return MainRecord.read(layout.main_record)
    return None


def _orders(layout: Layout, node: str | None) -> OrdersRecord:
    with suppress(RecordError):
        return Orders(layout).read(node)
    return OrdersRecord()


def nodes(layout: Layout) -> tuple[NodeView, ...]:
    """Every render worker that has a record, by name."""
    running = is_main_running(layout)
    return tuple(_nodes(layout, _read_main(layout) if running else None))


def _nodes(layout: Layout, main: MainRecord | None) -> Iterable[NodeView]:
    verdicts = {verdict.node: verdict for verdict in main.nodes} if main else {}
    for path in sorted(layout.nodes.glob("[!.]*.json")):
        with suppress(RecordError, FileNotFoundError):
            record = NodeRecord.read(path)
            verdict = verdicts.get(record.node)
            here = record.host == platform.node()
            yield NodeView(
                record=record,
                running=not is_gone_here(layout, record) if here else None,
                verdict=verdict.words if verdict else None,
                is_dead=verdict is not None and verdict.what == Life.DEAD.value,
                orders=_orders(layout, record.node),
            )


def _reason(path: Path) -> str | None:
    with suppress(RecordError, FileNotFoundError):
        return Reason.read(path).reason
    return None
