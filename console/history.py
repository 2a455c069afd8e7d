"""``reelmill history``: what ended, newest first: videos, failures, refused drops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field

from console.farm.task import newest_tasks
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import say
from console.tables import table
from console.trash import newest_rejected, rejected_names
from shared.domain.layout import REASON, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Store

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Event(BaseModel):
    """Something that ended."""

    model_config = ConfigDict(frozen=True)

    when: str
    what: str = Field(description="finished, failed or rejected.")
    name: str = Field(description="The task in words, or where the drop was dropped.")
    task_id: str | None = None
    words: str = Field(description="Where the video is, or why there is none.")


@click.command("history")
@click.option("--since", default="", metavar="AGE", help="Only of the last 30m, 24h or 7d.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@root_option
@config_option
@json_option
@plain_errors
def history(since: str, limit: int, given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """Tell what ended: videos, failed tasks and refused drops, newest first."""
    layout = chosen_root(given_root)
    moment = _moment(since) if since else ""
    found = [event for event in events(layout, limit) if event.when >= moment]
    if as_json:
        show_json([event.model_dump(mode="json") for event in found])
    else:
        rows = ((event.when, event.what, event.name, event.words) for event in found)
        say(*table(("WHEN", "WHAT", "NAME", ""), rows) if found else ("Nothing has ended yet.",))


def events(layout: Layout, most: int) -> list[Event]:
    """The newest endings of a root, newest first; each costs reading its record."""
    found = [*_finished(layout, most), *_failed(layout, most), *_rejected(layout, most)]
    return sorted(found, key=lambda event: event.when, reverse=True)[:most]


def _finished(layout: Layout, most: int) -> Iterator[Event]:
    store = Store(layout)
    for task_id in newest_tasks(layout, store, TaskState.FINISHED, most):
        folder = layout.task(TaskState.FINISHED, task_id)
        with suppress(RecordError, FileNotFoundError):
            name = store.metadata(TaskState.FINISHED, task_id).label
            when = RenderRecord.read(folder / RENDER_RECORD).finished_at
            words = str(layout.relative(store.video(task_id)))
            yield Event(when=when, what="finished", name=name, task_id=task_id, words=words)


def _failed(layout: Layout, most: int) -> Iterator[Event]:
    store = Store(layout)
    for task_id in newest_tasks(layout, store, TaskState.FAILED, most):
        with suppress(RecordError, FileNotFoundError):
            reason = Reason.read(layout.task(TaskState.FAILED, task_id) / REASON)
            try:
                name = store.metadata(TaskState.FAILED, task_id).label
            except RecordError:
                name = task_id
            yield Event(when=reason.when, what="failed", name=name, task_id=task_id, words=reason.reason)


def _rejected(layout: Layout, most: int) -> Iterator[Event]:
    for drop in newest_rejected(layout, rejected_names(layout)[0], most):
        if drop.reason:
            name = drop.original or drop.path.name
            yield Event(when=drop.reason.when, what="rejected", name=name, words=drop.reason.reason)


def _moment(age: str) -> str:
    """The moment so long ago, as records write it."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", age)
    if not found:
        raise click.BadParameter(f"{age} is no age; say 30m, 24h or 7d", param_hint="--since")
    ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
