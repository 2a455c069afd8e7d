"""``reelmill status``: what the farm is doing, and why what waits is waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import click
from rich.console import Console
from rich.live import Live

from console import completing
from console.farm.lost import lost_words
from console.farm.node import NodeView
from console.farm.snapshot import Snapshot, disk_words, queue_words, take_snapshot
from console.live import named
from console.options import (
    chosen_root,
    config_option,
    configured_min_free_bytes,
    in_words,
    json_option,
    plain_errors,
    root_option,
    show_json,
)
from console.saying import complain, say, shown
from console.tables import FIGURE_HEADS, figure_notes, figure_rows, table
from console.why import why
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.records.figures import FiguresRecord
from shared.store import Store

_MOST_REJECTED = 10
_WATCH_SECONDS = 2.0  # a look at a very large farm takes one


@click.command("status")
@root_option
@config_option
@json_option
@click.option(
    "--why",
    "task",
    metavar="TASK",
    help="Why this task is where it is: its id, or category/story/chapter.",
    shell_complete=completing.tasks(*TaskState),
)
@click.option("--watch", "watched", is_flag=True, help="Say it again every two seconds, until Ctrl-C.")
@plain_errors
def status(given_root: Path | None, config: Path | None, task: str | None, *, as_json: bool, watched: bool) -> None:
    """Say what the farm is doing, and why what waits is waiting.

    With --watch a terminal shows it anew each time, a pipe gets one block after another, and with --json one line.
    """
    layout = chosen_root(given_root)
    look = partial(
        take_snapshot, layout, min_free_bytes=configured_min_free_bytes(layout, config), most_rejected=_MOST_REJECTED
    )
    if task and (watched or as_json):
        raise click.UsageError("--why goes with neither --watch nor --json")
    if watched:
        _watch(layout, look, as_json=as_json)
    elif task:
        say(*_why_lines(layout, task))
    elif as_json:
        show_json(look())
    else:
        say(*lines(look()))


def _watch(layout: Layout, look: Callable[[], Snapshot], *, as_json: bool) -> None:
    """Say it again and again; Ctrl-C is how it ends, and no failure. A root that has gone may come back."""
    screen = Console()
    try:
        if as_json:
            while True:
                _show_line(look)
                time.sleep(_WATCH_SECONDS)
        elif screen.is_terminal:
            with Live(shown(*_block(layout, look), cut=True), console=screen, screen=True, auto_refresh=False) as live:
                while True:
                    live.update(shown(*_block(layout, look), cut=True), refresh=True)
                    time.sleep(_WATCH_SECONDS)
        else:
            while True:
                say(*_block(layout, look), "")
                time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        pass


def _block(layout: Layout, look: Callable[[], Snapshot]) -> list[str]:
    head = f"{time.strftime('%H:%M:%S')}  {layout.root}"
    try:
        return [head, *lines(look())]
    except (OSError, ReelmillError) as error:
        return [head, f"reelmill: {in_words(error)}"]


def _show_line(look: Callable[[], Snapshot]) -> None:
    try:
        show_json(look(), indent=None)
    except (OSError, ReelmillError) as error:
        complain(in_words(error))


def _why_lines(layout: Layout, word: str) -> Iterator[str]:
    for task in named(Store(layout), [word], tuple(TaskState)):
        yield f"{task.label} ({task.task_id})"
        yield from (f"  {sentence}" for sentence in why(layout, task.task_id, task.state))


def lines(snapshot: Snapshot) -> Iterator[str]:
    """The snapshot in words."""
    counts = snapshot.counts
    if words := lost_words(snapshot.lost):
        yield f"Not mounted   {words}"
    yield from _main_lines(snapshot)
    if pause := snapshot.farm_pause:
        words = f": {pause.why}" if pause.why else ""
        yield f"Farm          PAUSED by {pause.by} since {pause.when}{words}; go on with: reelmill resume"
    yield f"Render nodes  {len(snapshot.nodes) or 'none (start one with: reelmill render)'}"
    for node in snapshot.nodes:
        yield f"  {_node_line(node)}"
    yield (
        f"Tasks         {counts['tasks']} waiting, {counts['processing']} processing, "
        f"{counts['output']} finished, {counts['trash/failed']} failed"
    )
    if words := queue_words(snapshot):
        yield f"Queue         {words}"
    if words := disk_words(snapshot):
        yield f"Disk          {words}"
    if snapshot.figures:
        yield from _figure_lines(snapshot.figures)
    yield from _failed_lines(snapshot)
    for drop in snapshot.pending:
        yield f"  {drop.doing:<11} {drop.drop}"
    yield from _more(snapshot.pending_count - len(snapshot.pending), "drops in raw/")
    for voice in snapshot.waiting_voices:
        yield f"  waiting     {voice.voice}: {voice.reason}"
    yield from _more(snapshot.waiting_count - len(snapshot.waiting_voices), "voices waiting")
    yield from _rejected_lines(snapshot)


def _failed_lines(snapshot: Snapshot) -> Iterator[str]:
    for task in snapshot.failed:
        yield f"  failed      {task.label}: {task.reason or 'no reason recorded'}"
    yield from _more(snapshot.counts["trash/failed"] - len(snapshot.failed), "failed earlier")
    if snapshot.failed:
        yield "              try failed tasks again with: reelmill retry CATEGORY/STORY/CHAPTER"


def _rejected_lines(snapshot: Snapshot) -> Iterator[str]:
    count = snapshot.counts["trash/invalid"]
    yield f"Rejected      {count} drops (reasons in trash/invalid/)"
    for rejected in snapshot.rejected:
        yield f"  rejected    {PurePosixPath(rejected.now).name}: {rejected.reason or ''}"
    yield from _more(count - len(snapshot.rejected), "rejected earlier")
    if snapshot.rejected:
        yield "              try one again, mended or not, with: reelmill retry NAME"


def _figure_lines(record: FiguresRecord) -> Iterator[str]:
    yield from table(("Figures", *FIGURE_HEADS), [(f"  {name}", *cells) for name, *cells in figure_rows(record)])
    yield from (f"              {note}" for note in figure_notes(record))


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"              and {count} more {what}"


def _main_lines(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.main_running:
        yield "Main worker   not running (start it with: reelmill main)"
    elif snapshot.main_state == "paused":
        since = f" since {snapshot.paused_since}" if snapshot.paused_since else ""
        yield f"Main worker   PAUSED{since}: {snapshot.trouble or 'no reason given'}"
        yield "              drops stay in raw/ and nothing is rejected; it goes on by itself once this is over"
        return
    else:
        yield f"Main worker   {snapshot.main_state}"
    if snapshot.trouble:
        yield f"  trouble     {snapshot.trouble}"


def _node_line(node: NodeView) -> str:
    record = node.record
    if node.running is False:
        return f"{record.node}: not running any more"
    if node.verdict:
        return f"{record.node}: {node.verdict}"
    return f"{record.node}: {record.words}"
