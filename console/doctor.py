"""``reelmill doctor``: whether this machine has all that it needs, and what to do about what it has not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field

from console.checkup import Checkup
from console.far import FarCheckup
from console.finding import Finding, Remedy
from console.options import (
    config_option,
    home_of,
    home_option,
    json_option,
    plain_errors,
    remote_option,
    root_option,
    root_to_change,
    show_json,
)
from console.saying import say
from console.workers import worker_for
from shared.config import load_config
from shared.far_root import remote_root
from shared.process import EXIT_FAILED, EXIT_FINE, config_path
from shared.records.encoders import EncodersRecord, Trial


class Diagnosis(BaseModel):
    """What was found on one machine."""

    model_config = ConfigDict(frozen=True)

    root: str
    checks: tuple[Finding, ...]
    encoders: tuple[EncodersRecord, ...] = Field(description="Of each codec that some profile asks for.")

    @property
    def is_well(self) -> bool:
        """Whether this machine can take part; an encoder that does not work is no trouble while another one does."""
        works = all(record.best() for record in self.encoders)
        return works and all(check.works or not check.matters for check in self.checks)


@click.command("doctor")
@root_option
@config_option
@remote_option
@home_option
@json_option
@plain_errors
def doctor(
    given_root: Path | None, config: Path | None, remote: str | None, home: Path | None, *, as_json: bool
) -> None:
    """Try everything that this machine needs: ffmpeg, its encoders, the root's filesystem, rights, room, events, clock.

    With --remote, the SFTP server in place of the root's filesystem. The exit status is 1 where something is wrong that
    the farm cannot do without.
    """
    layout = root_to_change(home_of(remote, home) if remote else given_root, config)
    settings = load_config(config_path(layout, str(config) if config else None))
    if remote:
        checks = tuple(FarCheckup(layout, settings, remote_root(remote, settings.remote)).findings())
        config = None  # what is encoded there is a matter of the farm's own, which lies in the home now
    else:
        checks = tuple(Checkup(layout, settings).findings())
    with worker_for("render_worker", layout, config, "--encoders") as child:
        told = child.stdout.read() if child.stdout else b""
    records = tuple(EncodersRecord.from_bytes(line, "what the render worker said") for line in told.splitlines())
    found = Diagnosis(root=remote or str(layout.root), checks=checks, encoders=records)
    if as_json:
        show_json(found)
    else:
        say(*checked(found.checks), *(line for record in records for line in lines(record)))
    # Where the worker could not try any encoder, it has said why, and what was found before that is told all the same.
    sys.exit(child.returncode or (EXIT_FINE if found.is_well else EXIT_FAILED))


def checked(findings: Iterable[Finding]) -> Iterator[str]:
    """What was tried, in words."""
    for finding in findings:
        mark = "fine" if finding.works else "WRONG" if finding.matters else "note"
        yield f"  {mark:<6} {finding.name:<20} {finding.words}"
        if not finding.works and finding.remedy:
            yield f"         {'':<20} {finding.remedy}"


def lines(record: EncodersRecord) -> Iterator[str]:
    """The record in words."""
    best = record.best()
    yield f"{record.ffmpeg}"
    yield f"Encoders of {record.codec} on {record.host} (clips of 1080p, preset medium):"
    for trial in record.trials:
        yield from _trial_lines(trial, is_best=trial is best)
    if best is None:
        yield f"None of them works: this ffmpeg cannot make {record.codec}. {Remedy.CODEC.filled()}"


def _trial_lines(trial: Trial, *, is_best: bool) -> Iterator[str]:
    if not trial.works:
        yield f"  no     {trial.encoder:<18} {trial.words}"
        if trial.advice:
            yield f"         {'':<18} {trial.advice}"
        return
    speed = f"{trial.fps:.0f} frames a second"
    if trial.decoder:
        speed += f", {trial.decoder_fps:.0f} with clips decoded by {trial.decoder}"
    yield f"  works  {trial.encoder:<18} {speed}{'   <- what auto takes' if is_best else ''}"
