"""``reelmill nodes``: the render workers of a farm."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.snapshot import NodeView, lost, lost_words, nodes
from console.tables import clock, table

_GIGA = 1e9


@click.command("nodes")
@root_option
@config_option
@json_option
@plain_errors
def nodes_command(given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """List the render workers: what each does, how fast it is, and what is wrong with it."""
    layout = chosen_root(given_root)
    found = nodes(layout)
    if words := lost_words(lost(layout)):
        click.echo(f"reelmill: {words}", err=True)
    if as_json:
        show_json([node.model_dump(mode="json", by_alias=True) for node in found])
    elif not found:
        click.echo("No render worker runs; start one with: reelmill render")
    else:
        heads = ("NODE", "STATE", "DONE", "LEFT", "PACE", "ENCODER", "FREE", "VERSION", "")
        click.echo("\n".join(table(heads, map(_row, found))))


def _row(node: NodeView) -> tuple[object, ...]:
    record = node.record
    words = node.verdict or record.label or record.why
    return (
        record.node,
        "gone" if node.running is False else record.state,
        f"{record.percent:.0f} %" if record.percent is not None else "",
        clock(record.eta_seconds),
        f"{record.pace:g} ×" if record.pace else "",
        record.encoder,
        f"{record.free_bytes / _GIGA:.1f} GB" if record.free_bytes is not None else "",
        record.program,
        words or "",
    )
