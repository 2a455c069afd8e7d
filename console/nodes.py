"""``reelmill nodes``: the render workers of a farm."""

from __future__ import annotations

from pathlib import Path

import click

from console.farm.lost import lost, lost_words
from console.farm.main import figures, is_main_running
from console.farm.node import NodeView, nodes
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import complain, say
from console.tables import FIGURE_HEADS, clock, figure_cells, table
from shared.domain.figures import Figures

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
    measured = figures(layout, main_running=is_main_running(layout)).nodes
    if words := lost_words(lost(layout)):
        complain(words)
    if as_json:
        show_json(
            [
                node.model_dump(mode="json", by_alias=True)
                | {"figures": {window: vars(one) for window, one in measured.get(node.record.node, {}).items()}}
                for node in found
            ]
        )
    elif not found:
        say("No render worker runs; start one with: reelmill render")
    else:
        heads = ("NODE", "STATE", "DONE", "LEFT", "PACE", *FIGURE_HEADS, "ENCODER", "FREE", "VERSION", "")
        say(*table(heads, (_row(node, measured.get(node.record.node, {}).get("hour")) for node in found)))


def _row(node: NodeView, figures: Figures | None) -> tuple[object, ...]:
    record = node.record
    carried = (transfer.words for transfer in record.transfers)
    words = node.verdict or "; ".join(filter(None, (record.label or record.why, *carried)))
    return (
        record.node,
        "gone" if node.running is False else record.state,
        f"{record.percent:.0f} %" if record.percent is not None else "",
        clock(record.eta_seconds),
        f"{record.pace:g} ×" if record.pace else "",
        *figure_cells(figures),
        record.encoder,
        f"{record.free_bytes / _GIGA:.1f} GB" if record.free_bytes is not None else "",
        record.program,
        words or "",
    )
