"""``reelmill main`` and ``reelmill render``: one worker in the foreground, as systemd wants it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from console.options import chosen_root, config_option, home_of, home_option, plain_errors, remote_option, root_option
from shared.domain.layout import Layout
from shared.leash import leashed


def worker_command(package: str, layout: Layout, config: Path | None, *flags: str) -> list[str]:
    """The program of a worker; the console starts workers, it never imports them."""
    named = ["--config", str(config.absolute())] if config else []
    return [sys.executable, "-P", "-m", package, "--root", str(layout.root), *named, *flags]


@contextmanager
def worker_for(package: str, layout: Layout, config: Path | None, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that does one thing and ends by itself, or with this process; what it found is its standard output."""
    command = leashed(worker_command(package, layout, config, mode), signal.SIGTERM)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        try:
            yield child
        except BaseException:
            child.terminate()
            raise


def _become(package: str, given_root: Path | None, config: Path | None, *flags: str) -> None:
    command = worker_command(package, chosen_root(given_root), config, *flags)
    os.execv(command[0], command)  # noqa: S606 - the worker takes this process over, signals and all


@click.command("main")
@root_option
@config_option
@plain_errors
def main_worker(given_root: Path | None, config: Path | None) -> None:
    """Run the main worker: take drops in, make tasks."""
    _become("main_worker", given_root, config)


@click.command("render")
@root_option
@config_option
@click.option("--dry-run", is_flag=True, help="Print the plans of waiting tasks as JSON, a line each, and end.")
@remote_option
@home_option
@plain_errors
def render_worker(
    given_root: Path | None, config: Path | None, remote: str | None, home: Path | None, *, dry_run: bool
) -> None:
    """Run a render worker: turn tasks into videos."""
    if remote and dry_run:
        raise click.UsageError("--dry-run goes with a root that is mounted")
    if remote:
        _become("render_worker", home_of(remote, home), config, "--remote", remote)
    _become("render_worker", given_root, config, *(["--dry-run"] if dry_run else []))
