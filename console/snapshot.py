"""One look at a farm: everything a face of the console shows, read from the project root alone."""

from __future__ import annotations

import heapq
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from console.trash import RejectedDrop, drop_id, rejected_drop, rejected_names
from shared.domain.layout import POSTER, REASON, Layout, reason_of
from shared.domain.task import TaskState
from shared.lifesign import is_free
from shared.nodes import is_gone_here
from shared.orders import Orders
from shared.process import check_root
from shared.records.figures import FiguresRecord
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.node import NodeRecord
from shared.records.orders import Order, OrdersRecord
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.store import Store
from shared.tally import Tally

MOST_FAILED = 20
"""Failed tasks that a snapshot tells of; each costs reading its explanation."""


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
    orders: OrdersRecord = Field(OrdersRecord(), description="What operators have told it.")


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


def take_snapshot(layout: Layout, *, most_rejected: int = 0) -> Snapshot:
    """Read the farm's state from its folders; costs no more than the tasks in work and what failed.

    Args:
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
        nodes=nodes(layout),
        farm_pause=_orders(layout, None).pause,
        figures=figures(layout, main_running=running),
        counts=counts,
        processing=tasks(layout, store, TaskState.PROCESSING, ids[TaskState.PROCESSING]),
        failed=tasks(layout, store, TaskState.FAILED, newest(layout, store, TaskState.FAILED, MOST_FAILED)),
        rejected=_newest_rejected(layout, rejected, most_rejected),
        lost=lost(layout),
    )


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
    verdicts = {verdict.node: verdict.words for verdict in main.nodes} if main else {}
    for path in sorted(layout.nodes.glob("[!.]*.json")):
        with suppress(RecordError, FileNotFoundError):
            record = NodeRecord.read(path)
            here = record.host == platform.node()
            yield NodeView(
                record=record,
                running=not is_gone_here(layout, record) if here else None,
                verdict=verdicts.get(record.node),
                orders=_orders(layout, record.node),
            )


def _reason(path: Path) -> str | None:
    with suppress(RecordError, FileNotFoundError):
        return Reason.read(path).reason
    return None
