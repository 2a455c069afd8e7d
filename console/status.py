"""``reelmill status``: what the farm is doing, and why what waits is waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.snapshot import NodeView, Snapshot, take_snapshot
from shared.domain.names import readable


@click.command("status")
@root_option
@config_option
@json_option
@plain_errors
def status(given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """Say what the farm is doing, and why what waits is waiting."""
    snapshot = take_snapshot(chosen_root(given_root))
    if as_json:
        show_json(snapshot)
    else:
        click.echo("\n".join(lines(snapshot)))


def lines(snapshot: Snapshot) -> Iterator[str]:
    """The snapshot in words; names from outside cannot upset the terminal."""
    counts = snapshot.counts
    main = snapshot.main_state if snapshot.main_running else "not running (start it with: reelmill main)"
    yield f"Main worker   {main}"
    if snapshot.trouble:
        yield f"  trouble     {readable(snapshot.trouble)}"
    yield f"Render nodes  {len(snapshot.nodes) or 'none (start one with: reelmill render)'}"
    for node in snapshot.nodes:
        yield f"  {_node_line(node)}"
    yield (
        f"Tasks         {counts['tasks']} waiting, {counts['processing']} processing, "
        f"{counts['output']} finished, {counts['trash/failed']} failed"
    )
    for task in snapshot.failed:
        yield f"  failed      {readable(task.label)}: {readable(task.reason or 'no reason recorded')}"
    for drop in snapshot.pending:
        yield f"  {drop.doing:<11} {readable(drop.drop)}"
    for voice in snapshot.waiting_voices:
        yield f"  waiting     {readable(voice.voice)}: {readable(voice.reason)}"
    yield f"Rejected      {counts['trash/invalid']} drops (reasons in trash/invalid/)"


def _node_line(node: NodeView) -> str:
    record = node.record
    if node.running is False:
        return f"{record.node}: not running any more"
    if record.percent is None:
        return f"{record.node}: {readable(record.state)}"
    left = f", {record.eta_seconds:.0f} s left" if record.eta_seconds is not None else ""
    speed = f" at {record.fps:.0f} fps" if record.fps else ""
    return f"{record.node}: {record.phase} {readable(record.label or '')} {record.percent:.0f} %{speed}{left}"
