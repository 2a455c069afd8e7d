"""``reelmill tasks``: the tasks of a farm, by state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from console.farm.lost import lost, lost_words
from console.farm.task import TaskView, newest_tasks, tasks
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import complain, say
from console.tables import clock, table
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.queue import Queue
from shared.store import Store

_WORDS = {
    "waiting": TaskState.WAITING,
    "processing": TaskState.PROCESSING,
    "failed": TaskState.FAILED,
    "finished": TaskState.FINISHED,
}


@click.command("tasks")
@click.option("--state", "word", type=click.Choice(list(_WORDS)), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Of each state, at most so many.")
@root_option
@config_option
@json_option
@plain_errors
def tasks_command(word: str | None, limit: int, given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """List tasks: those that wait in the order they will run, those that ended with the newest first."""
    layout = chosen_root(given_root)
    store = Store(layout)
    wanted = [_WORDS[word]] if word else list(_WORDS.values())
    found = {state: list(_listed(layout, store, state, limit)) for state in wanted}
    if words := lost_words(lost(layout)):
        complain(words)
    if as_json:
        show_json([view.model_dump(mode="json") for views in found.values() for view in views])
        return
    for state, views in found.items():
        count = len(store.ids(state))
        say(f"{state.value}/: {count}" + (f", the first {len(views)} of them" if count > len(views) else ""))
        for line in table(("ID", "LENGTH", "TASK", ""), map(_row, views)):
            say(f"  {line}")


def _listed(layout: Layout, store: Store, state: TaskState, limit: int) -> Iterator[TaskView]:
    if state is TaskState.WAITING:
        queue = Queue(store)
        queue.look(now=True)  # whole, however long that takes: who asks wants to know
        ids = [ticket.task_id for ticket in islice(queue.tasks(), limit)]
    else:
        ids = newest_tasks(layout, store, state, limit)
    by_id = {view.task_id: view for view in tasks(layout, store, state, ids)}
    return (by_id[task_id] for task_id in ids if task_id in by_id)


def _row(view: TaskView) -> tuple[object, ...]:
    return view.task_id[:8], clock(view.seconds), view.label, view.reason or view.video or ""
