"""``reelmill show``: everything about one task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field

from console import completing
from console.live import named
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import say
from console.tables import clock, table
from console.why import why
from shared.domain.layout import ATTEMPTS, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.records.attempt import AttemptRecord
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Store


class Shown(BaseModel):
    """One task with all that is known of it."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    label: str = Field(description="Category, story and chapter.")
    state: str
    folder: str = Field(description="Relative to the root.")
    why: tuple[str, ...] = Field(description="Sentences about where it is.")
    metadata: Metadata | None = Field(description="Null where it cannot be read.")
    attempts: tuple[AttemptRecord, ...]
    files: tuple[str, ...] = Field(description="What lies in its folder, relative to the root.")
    render: RenderRecord | None = Field(None, description="How its video was made.")


@click.command("show")
@click.argument("name", shell_complete=completing.tasks(*TaskState))
@root_option
@config_option
@json_option
@plain_errors
def show(name: str, given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """Tell all about a task: where it is and why, what it is made of, who tried it, and where its files are.

    NAME is a task's id or its beginning, category/story/chapter, or category/story for all of a story.
    """
    layout = chosen_root(given_root)
    found = [
        shown(layout, task.task_id, task.label, task.state) for task in named(Store(layout), [name], tuple(TaskState))
    ]
    if as_json:
        show_json([task.model_dump(mode="json", by_alias=True) for task in found])
    else:
        for number, task in enumerate(found):
            say(*[""] * bool(number), *lines(layout, task))


def shown(layout: Layout, task_id: str, label: str, state: TaskState) -> Shown:
    """All that the folders tell of one task."""
    store = Store(layout)
    folder = layout.task(state, task_id)
    try:
        metadata = store.metadata(state, task_id)
    except (RecordError, FileNotFoundError):
        metadata = None
    try:
        render = RenderRecord.read(folder / RENDER_RECORD) if state is TaskState.FINISHED else None
    except (RecordError, FileNotFoundError):
        render = None
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir() and ATTEMPTS not in path.parts)
    return Shown(
        task_id=task_id,
        label=label,
        state=state.value,
        folder=str(layout.relative(folder)),
        why=tuple(why(layout, task_id, state)),
        metadata=metadata,
        attempts=tuple(store.attempts(state, task_id)),
        files=tuple(str(layout.relative(path)) for path in files),
        render=render,
    )


def lines(layout: Layout, task: Shown) -> Iterator[str]:
    """A task in words."""
    yield task.label
    yield f"  id        {task.task_id}, in {task.folder}/"
    yield from (f"  {'state' if number == 0 else '':<9} {words}" for number, words in enumerate(task.why))
    if metadata := task.metadata:
        render = metadata.render
        yield (
            f"  video     {clock(metadata.voice_duration)} in {render.resolution} at {render.frame_rate:g} frames a "
            f'second, profile "{render.profile}", priority {metadata.priority}, made {metadata.created_at}'
        )
        rows = [(name, read.path, clock(read.seconds)) for name, read in metadata.inputs.items()]
        yield from _under("made of", table(("FILE", "IS", "LENGTH"), rows))
    if record := task.render:
        took = sum(record.timings.values())
        yield f"  rendered  by {record.node} with {record.encoder} in {took:.1f} s, finished {record.finished_at}"
    tries = [
        (one.number, one.node, one.started_at, one.ended.value if one.ended else "", one.why) for one in task.attempts
    ]
    yield from _under("attempts", table(("NO", "NODE", "BEGUN", "ENDED", "WHY"), tries))
    yield from _under("files", [f"{layout.root}/{path}" for path in task.files])


def _under(head: str, found: Iterator[str] | list[str]) -> Iterator[str]:
    for number, line in enumerate(found):
        yield f"  {head if number == 0 else '':<9} {line}"
