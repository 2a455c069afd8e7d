"""``reelmill doctor``: which video encoders of this machine work, how fast, and what to do about the others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.workers import worker_for
from shared.domain.names import readable
from shared.records.encoders import EncodersRecord, Trial


@click.command("doctor")
@root_option
@config_option
@json_option
@plain_errors
def doctor(given_root: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Try every video encoder of this machine, and say what works and how fast."""
    with worker_for("render_worker", chosen_root(given_root), config, "--encoders") as child:
        told = child.stdout.read() if child.stdout else b""
    if child.returncode:
        sys.exit(child.returncode)
    records = [EncodersRecord.from_bytes(line, "what the render worker said") for line in told.splitlines()]
    if as_json:
        show_json([record.model_dump(mode="json", by_alias=True) for record in records])
    else:
        click.echo("\n".join(line for record in records for line in lines(record)))


def lines(record: EncodersRecord) -> Iterator[str]:
    """The record in words."""
    best = record.best()
    yield f"{record.ffmpeg}"
    yield f"Encoders of {record.codec} on {record.host} (clips of 1080p, preset medium):"
    for trial in record.trials:
        yield from _trial_lines(trial, is_best=trial is best)
    if best is None:
        yield f"None of them works: this ffmpeg cannot make {record.codec}; ffmpeg.path names another one."


def _trial_lines(trial: Trial, *, is_best: bool) -> Iterator[str]:
    if not trial.works:
        yield f"  no     {trial.encoder:<18} {readable(trial.words)}"
        if trial.advice:
            yield f"         {'':<18} {trial.advice}"
        return
    speed = f"{trial.fps:.0f} frames a second"
    if trial.decoder:
        speed += f", {trial.decoder_fps:.0f} with clips decoded by {trial.decoder}"
    yield f"  works  {trial.encoder:<18} {speed}{'   <- what auto takes' if is_best else ''}"
