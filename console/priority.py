"""``reelmill priority``: which tasks go first."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field

from console import completing
from console.live import LiveTask, named
from console.options import config_option, json_option, plain_errors, root_option, root_to_change, show_json
from console.saying import say
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.orders import Orders
from shared.process import EXIT_FAILED, EXIT_FINE
from shared.records.record import RecordError
from shared.store import Store


class Prioritised(BaseModel):
    """What became of one task that was to have another priority."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    name: str = Field(description="Category, story and chapter.")
    priority: int | None = Field(None, description="What it has now; null where it was not changed.")
    why: str | None = Field(None, description="Why it was not changed, or what to know.")


@click.command("priority")
@click.argument("number", type=click.IntRange(0, 100), metavar="0..100")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completing.tasks(TaskState.WAITING))
@root_option
@config_option
@json_option
@plain_errors
def priority(
    number: int, names: tuple[str, ...], given_root: Path | None, config: Path | None, *, as_json: bool
) -> None:
    """Let tasks go before others, or after them: of those that wait, the highest number goes first.

    NAME is a task's id or its beginning, category/story/chapter, or category/story for all of a story.
    """
    layout = root_to_change(given_root, config)
    orders = Orders(layout)
    done = [_prioritised(orders, task, number) for task in named(Store(layout), names)]
    if as_json:
        show_json([item.model_dump(mode="json") for item in done])
    else:
        say(*map(_line, done))
    sys.exit(EXIT_FAILED if any(item.priority is None for item in done) else EXIT_FINE)


def _prioritised(orders: Orders, task: LiveTask, number: int) -> Prioritised:
    try:
        state = orders.prioritise(task.task_id, number)
    except OSError as error:
        why = str(as_machine_trouble(error, "it cannot be changed"))
    except RecordError as error:
        why = str(error)
    else:
        if state:
            held = "it is being rendered; this counts if it goes back to the queue"
            note = held if state is TaskState.PROCESSING else None
            return Prioritised(task_id=task.task_id, name=task.label, priority=number, why=note)
        why = "it does not wait any more"
    return Prioritised(task_id=task.task_id, name=task.label, why=why)


def _line(item: Prioritised) -> str:
    note = f": {item.why}" if item.why else ""
    what = "unchanged" if item.priority is None else f"priority {item.priority:>3}"
    return f"{what}  {item.name} ({item.task_id}){note}"
