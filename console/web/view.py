"""What the page shows: the snapshot of the console, with the queue, the videos and what may be tried again."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field

from console.farm.lost import lost_words
from console.farm.snapshot import Snapshot, disk_words, queue_words, take_snapshot
from console.farm.task import TaskView, newest_tasks, tasks
from console.tables import FIGURE_HEADS, figure_notes, figure_rows
from shared.domain.layout import CAPTIONS, POSTER, RENDER_RECORD, SHEET, Layout
from shared.domain.task import TaskState
from shared.queue import Queue
from shared.records.figures import FiguresRecord
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Store

_MOST_WAITING, _MOST_VIDEOS, _MOST_REJECTED = 30, 24, 20


class Video(BaseModel):
    """A finished video; what it has is at ``/media/TASK_ID/video``, ``poster``, ``sheet`` and ``captions``."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    label: str = Field(description="Category, story and chapter.")
    seconds: float | None
    finished_at: str
    node: str
    path: str = Field(description="Of the video, relative to the root.")
    has_poster: bool
    has_sheet: bool
    has_captions: bool


class Waiting(BaseModel):
    """A task that waits, with its place in the queue."""

    model_config = ConfigDict(frozen=True)

    place: int
    priority: int
    task: TaskView


class FigureTable(BaseModel):
    """The four figures as `reelmill status` tells them; as numbers they are in ``farm.figures``."""

    model_config = ConfigDict(frozen=True)

    heads: tuple[str, ...] = FIGURE_HEADS
    rows: tuple[tuple[str, ...], ...] = Field(description="Whose or of when, and a cell under each head.")
    notes: tuple[str, ...] = Field(description="What is missing, and why.")

    @classmethod
    def of(cls, record: FiguresRecord | None) -> FigureTable:
        """The table of what was counted; empty where nothing was."""
        return (
            cls(rows=tuple(figure_rows(record)), notes=tuple(figure_notes(record)))
            if record
            else cls(rows=(), notes=())
        )


class View(BaseModel):
    """The farm as the page shows it."""

    model_config = ConfigDict(frozen=True)

    farm: Snapshot
    waiting: tuple[Waiting, ...] = Field(description="The first of the tasks that wait, in the order they will run.")
    videos: tuple[Video, ...] = Field(description="The newest videos, newest first.")
    figures: FigureTable
    not_mounted: str = Field(description="What people are told of filesystems that are lost; empty where none are.")
    disk: str = Field(description="What people are told of the room in the root; empty where that cannot be told.")
    is_low_on_disk: bool
    queue: str = Field(description="What people are told of how long the queue takes; empty where nothing waits.")


class Looking:
    """Looks at one root again and again; the queue is listed as rarely as may be."""

    def __init__(self, layout: Layout, min_free_bytes: int | None = None) -> None:
        self._layout = layout
        self._min_free_bytes = min_free_bytes
        self._store = Store(layout)
        self._queue = Queue(self._store)
        self._videos: dict[str, Video] = {}

    def look(self) -> View:
        """The farm at this moment."""
        waiting, videos = tuple(self._waiting()), tuple(self._newest())
        # Last, since it is what notices a root that vanished meanwhile, which looks like one without anything in it.
        farm = take_snapshot(self._layout, min_free_bytes=self._min_free_bytes, most_rejected=_MOST_REJECTED)
        return View(
            farm=farm,
            waiting=waiting,
            videos=videos,
            figures=FigureTable.of(farm.figures),
            not_mounted=lost_words(farm.lost),
            disk=disk_words(farm),
            is_low_on_disk=farm.is_low_on_disk,
            queue=queue_words(farm),
        )

    def _waiting(self) -> list[Waiting]:
        self._queue.look()
        tickets = list(islice(self._queue.tasks(), _MOST_WAITING))
        found = tasks(self._layout, self._store, TaskState.WAITING, [ticket.task_id for ticket in tickets])
        views = {view.task_id: view for view in found}
        return [
            Waiting(place=place, priority=ticket.priority, task=views[ticket.task_id])
            for place, ticket in enumerate(tickets, start=1)
            if ticket.task_id in views
        ]

    def older(self, after: str, most: int) -> list[Video]:
        """The videos that follow one of them, newest first; none where there is no such video."""
        ids = newest_tasks(self._layout, self._store, TaskState.FINISHED, sys.maxsize)
        return self._read(ids[ids.index(after) + 1 :][:most] if after in ids else [])

    def _newest(self) -> list[Video]:
        return self._read(newest_tasks(self._layout, self._store, TaskState.FINISHED, _MOST_VIDEOS))

    def _read(self, ids: list[str]) -> list[Video]:
        """Outputs never change, so each is read once."""
        known = {task_id: self._videos[task_id] for task_id in ids if task_id in self._videos}
        for task_id in ids:
            if task_id not in known:
                with suppress(RecordError, FileNotFoundError):
                    known[task_id] = self._video(task_id)
        self._videos = known
        return [known[task_id] for task_id in ids if task_id in known]

    def _video(self, task_id: str) -> Video:
        folder = self._layout.task(TaskState.FINISHED, task_id)
        record = RenderRecord.read(folder / RENDER_RECORD)
        return Video(
            task_id=task_id,
            label=self._store.metadata(TaskState.FINISHED, task_id).label,
            seconds=record.seconds,
            finished_at=record.finished_at,
            node=record.node,
            path=str(self._layout.relative(self._store.video(task_id))),
            has_poster=(folder / POSTER).is_file(),
            has_sheet=(folder / SHEET).is_file(),
            has_captions=(folder / CAPTIONS).is_file(),
        )
