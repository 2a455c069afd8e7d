"""Tasks as people see them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from console.newest import newest
from shared.domain.layout import POSTER, REASON, Layout
from shared.domain.task import TaskState
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Store


class TaskView(BaseModel):
    """A task as people see it."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    label: str = Field(description="Category, story and chapter.")
    state: str
    seconds: float | None = Field(None, description="Length of its voice.")
    reason: str | None = Field(None, description="For failed tasks: why.")
    video: str | None = Field(None, description="For finished tasks: path of the video, relative to the root.")
    poster: str | None = None


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


def newest_tasks(layout: Layout, store: Store, state: TaskState, most: int) -> list[str]:
    """The tasks of a state that came to it last, newest first."""
    return newest(store.ids(state), most, partial(layout.task, state))


def _reason(path: Path) -> str | None:
    with suppress(RecordError, FileNotFoundError):
        return Reason.read(path).reason
    return None
