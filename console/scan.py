"""``reelmill scan``: what ingest would do with every file in raw/, or one pass of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from pydantic import BaseModel

from console.farm.drop import drops_since
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import say
from console.summary import drop_lines
from console.workers import worker_for
from shared.domain.layout import Layout
from shared.records.forecast import Forecast
from shared.records.record import utc_now


@click.command("scan")
@root_option
@config_option
@click.option("--dry-run", is_flag=True, help="Only say what would become of every file; the default.")
@click.option("--once", is_flag=True, help="Take in what is complete, once, and end.")
@json_option
@plain_errors
def scan(given_root: Path | None, config: Path | None, *, dry_run: bool, once: bool, as_json: bool) -> None:
    """Say what would become of every file in raw/, and why; or take them in, once."""
    if dry_run and once:
        raise click.UsageError("--dry-run changes nothing and --once does; choose one of them")
    layout = chosen_root(given_root)
    sys.exit(take_in_once(layout, config, as_json=as_json) if once else foretell(layout, config, as_json=as_json))


def foretell(layout: Layout, config: Path | None, *, as_json: bool) -> int:
    """Print what would become of every file in ``raw/``, each as soon as it is known; returns the exit status."""
    told: list[Forecast] = []
    with worker_for("main_worker", layout, config, "--dry-run") as child:
        for forecast in map(Forecast.model_validate_json, child.stdout or ()):
            told.append(forecast)
            if not as_json:
                say(*forecast_lines(forecast))
    if as_json:
        _show_array(told)
    else:
        counts = Counter(forecast.outcome for forecast in told)
        say(f"{len(told)} files: " + ", ".join(f"{counts[name]} {name}" for name in sorted(counts)))
    return child.returncode


def take_in_once(layout: Layout, config: Path | None, *, as_json: bool) -> int:
    """Have one pass made over ``raw/`` and print what became of the drops; returns the exit status."""
    started = utc_now()
    with worker_for("main_worker", layout, config, "--once") as child:
        pass  # what it says of files that stay is in its log, which is on this terminal
    drops = drops_since(layout, started)
    if as_json:
        _show_array(drops)
    else:
        say(f"Drops ({len(drops)}):", *drop_lines(drops))
    return child.returncode


def forecast_lines(forecast: Forecast) -> Iterator[str]:
    """A forecast in words."""
    becomes = f" → {forecast.becomes}" if forecast.becomes else ""
    yield f"  {forecast.outcome:<7} {forecast.drop}{becomes}"
    yield f"          {' '.join(filter(None, (forecast.why, forecast.advice)))}"


def _show_array(values: Iterable[BaseModel]) -> None:
    show_json([value.model_dump(mode="json") for value in values])
