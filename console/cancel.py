"""``reelmill cancel``: moves tasks to ``trash/failed/``; whoever renders one stops within a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field

from console import completing
from console.live import LiveTask, named
from console.options import config_option, json_option, plain_errors, root_option, root_to_change, show_json, user_name
from console.saying import say
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.process import EXIT_FAILED, EXIT_FINE
from shared.records.reason import CANCELLED, Reason
from shared.records.record import utc_now
from shared.store import Store


class Cancelled(BaseModel):
    """What became of one task that was to be cancelled."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    name: str = Field(description="Category, story and chapter.")
    was: str = Field(description="waiting or being rendered.")
    outcome: str = Field(description="cancelled, finished, gone or refused.")
    why: str | None = Field(None, description="Why it was not cancelled.")


class Cancellations(BaseModel):
    """What one call of the command did."""

    model_config = ConfigDict(frozen=True)

    root: str
    items: tuple[Cancelled, ...]


@click.command("cancel")
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="NAME...",
    shell_complete=completing.tasks(TaskState.WAITING, TaskState.PROCESSING),
)
@click.option("--why", default="", help="What is written into reason.json.")
@root_option
@config_option
@json_option
@plain_errors
def cancel(names: tuple[str, ...], why: str, given_root: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Give tasks up, whether they wait or are being rendered.

    NAME is a task's id or its beginning, category/story/chapter, or category/story for all of a story. A cancelled task
    lies in trash/failed/ and is made after all by: reelmill retry NAME.
    """
    layout = root_to_change(given_root, config)
    done = cancel_all(layout, named(Store(layout), names), user_name(), why)
    if as_json:
        show_json(done)
    else:
        say(*map(_line, done.items))
    sys.exit(EXIT_FAILED if any(item.outcome == "refused" for item in done.items) else EXIT_FINE)


def cancel_all(layout: Layout, tasks: Sequence[LiveTask], by: str, why: str) -> Cancellations:
    """Cancel each task; one that cannot be does not stop the others."""
    store = Store(layout)
    return Cancellations(root=str(layout.root), items=tuple(_cancelled(store, task, by, why) for task in tasks))


def _cancelled(store: Store, task: LiveTask, by: str, why: str) -> Cancelled:
    words = f": {readable(why)}" if why else ""
    reason = Reason(
        code=CANCELLED,
        reason=f"It was cancelled by {readable(by)}{words}.",
        advice=f"To make it after all: reelmill retry {task.task_id}",
        task_id=task.task_id,
        when=utc_now(),
    )

    def told(outcome: str, why: str | None = None) -> Cancelled:
        was = "waiting" if task.state is TaskState.WAITING else "being rendered"
        return Cancelled(task_id=task.task_id, name=task.label, was=was, outcome=outcome, why=why)

    try:
        if store.cancel(task.task_id, reason):
            return told("cancelled")
        state = store.find(task.task_id)
    except OSError as error:
        return told("refused", str(as_machine_trouble(error, "it cannot be moved")))
    if state is TaskState.FINISHED:
        return told("finished", "its video is there already")
    if state is TaskState.FAILED:
        return told("gone", "it has failed already")
    return told("refused" if state else "gone", "it moves all the time" if state else "there is no such task any more")


def _line(item: Cancelled) -> str:
    if item.outcome == "cancelled":
        return f"cancelled {item.name} ({item.task_id}), which was {item.was}"
    return f"{item.outcome:<9} {item.name} ({item.task_id}): {item.why or ''}"
