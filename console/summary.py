"""What a run did: every drop, every video, everything that failed or still waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict, Field

from console.farm.drop import DropView, drops_since
from console.farm.snapshot import take_snapshot
from console.farm.task import TaskView, tasks
from shared.domain.layout import REASON, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.records.main import PendingDrop, WaitingVoice
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Store


class Summary(BaseModel):
    """The end of a run, as data."""

    model_config = ConfigDict(frozen=True)

    root: str
    videos: tuple[TaskView, ...] = Field(description="Finished during this run.")
    failed: tuple[TaskView, ...] = Field(description="Failed during this run.")
    drops: tuple[DropView, ...] = Field(description="Dealt with during this run.")
    waiting: tuple[WaitingVoice, ...] = Field(description="Voices that still wait for material.")
    pending: tuple[PendingDrop, ...] = Field(description="Drops that are still in raw/, each with what keeps them.")
    left: dict[str, int] = Field(description="Tasks that are still waiting or being rendered.")


def sum_up(layout: Layout, since: str) -> Summary:
    """What happened on a root since a moment (UTC ISO 8601)."""
    store = Store(layout)
    snapshot = take_snapshot(layout)
    videos = [i for i in store.ids(TaskState.FINISHED) if _finished_at(layout, i) >= since]
    failed = [i for i in store.ids(TaskState.FAILED) if _failed_at(layout, i) >= since]
    return Summary(
        root=str(layout.root),
        videos=tasks(layout, store, TaskState.FINISHED, videos),
        failed=tasks(layout, store, TaskState.FAILED, failed),
        drops=drops_since(layout, since),
        waiting=snapshot.waiting_voices,
        pending=snapshot.pending,
        left={state.value: snapshot.counts[state.value] for state in (TaskState.WAITING, TaskState.PROCESSING)},
    )


def summary_lines(summary: Summary) -> Iterator[str]:
    """The summary in words, most wanted last."""
    yield ""
    yield f"Drops ({len(summary.drops)}):"
    yield from drop_lines(summary.drops)
    for kept in summary.pending:
        yield f"  in raw/   {kept.drop}: {kept.doing}"
    for voice in summary.waiting:
        yield f"Waiting: {voice.voice}: {voice.reason}"
    for task in summary.failed:
        yield f"Failed: {task.label} (trash/failed/{task.task_id}): {task.reason or ''}"
    if any(summary.left.values()):
        yield f"Left: {summary.left['tasks']} tasks waiting, {summary.left['processing']} being rendered"
    yield f"Videos ({len(summary.videos)}):"
    for video in summary.videos:
        yield f"  {video.label}, {video.seconds or 0:.1f} s"
        yield f"    video   {summary.root}/{video.video}"
        yield f"    poster  {summary.root}/{video.poster}"


def drop_lines(drops: Iterable[DropView]) -> Iterator[str]:
    """What became of drops, in words."""
    for drop in drops:
        if drop.outcome == "scanned":
            yield f"  ok        {drop.drop} → {drop.now}"
        else:
            yield f"  rejected  {drop.drop} → {drop.now}"
            yield f"            {drop.reason or ''} {drop.advice or ''}"


def _finished_at(layout: Layout, task_id: str) -> str:
    try:
        return RenderRecord.read(layout.task(TaskState.FINISHED, task_id) / RENDER_RECORD).finished_at
    except (FileNotFoundError, RecordError):
        return ""


def _failed_at(layout: Layout, task_id: str) -> str:
    try:
        return Reason.read(layout.task(TaskState.FAILED, task_id) / REASON).when
    except (FileNotFoundError, RecordError):
        return ""
