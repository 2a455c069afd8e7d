"""``reelmill web``: serves the page."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import config_option, plain_errors, root_option, root_to_change
from shared.config import load_config
from shared.process import config_path


@click.command("web")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of web.listen.")
@root_option
@config_option
@plain_errors
def web(listen: str | None, given_root: Path | None, config: Path | None) -> None:
    """Serve a page that shows the farm, on this machine only unless web.listen says otherwise."""
    from console.web.server import serve  # noqa: PLC0415 - a web framework is no part of every other command

    layout = root_to_change(given_root, config)
    serve(layout, load_config(config_path(layout, str(config) if config else None)), listen)
