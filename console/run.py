"""``reelmill run``: a main worker and a render worker on this machine, watched and summed up."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from console.farm.snapshot import take_snapshot
from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import complain, plain, say, shown
from console.summary import Summary, sum_up, summary_lines
from console.workers import worker_command
from shared.config import load_config
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.leash import leashed
from shared.process import EXIT_FAILED, EXIT_FINE, EXIT_USAGE, config_path, on_stop_signals
from shared.records.record import utc_now

_TICK_SECONDS = 0.3
# A render worker that is told to stop kills its ffmpeg at once and gives its task back; this is patience, not need.
_STOP_SECONDS = 30.0


class WorkerDied(ReelmillError):
    """One of the two workers ended by itself."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"the {name} ended by itself with status {status}; its last lines above say why")
        self.status = status


@click.command("run")
@root_option
@config_option
@click.option("--until-idle", is_flag=True, help="End when nothing is left to do, with a summary.")
@json_option
@plain_errors
def run(given_root: Path | None, config: Path | None, *, until_idle: bool, as_json: bool) -> None:
    """Run a main worker and a render worker here; Ctrl-C stops both cleanly."""
    layout = chosen_root(given_root)
    summary, status = run_farm(layout, config, until_idle=until_idle)
    if as_json:
        show_json(summary)
    elif until_idle:
        say(*summary_lines(summary))
    sys.exit(status)


def run_farm(layout: Layout, config: Path | None, *, until_idle: bool) -> tuple[Summary, int]:
    """Run both workers until idle or until a signal; returns what happened and the exit status.

    Raises:
        ConfigError: before anything is started.
    """
    load_config(config_path(layout, str(config) if config else None))
    started = utc_now()
    status = EXIT_FINE
    try:
        with _Workers(layout, config, until_idle=until_idle) as workers:
            workers.wait()
    except WorkerDied as died:
        complain(str(died))
        status = died.status if died.status == EXIT_USAGE else EXIT_FAILED
    summary = sum_up(layout, started)
    if (summary.failed or (until_idle and summary.pending)) and status == EXIT_FINE:
        status = EXIT_FAILED
    return summary, status


class _Workers:
    """The two processes, their log lines and their progress on this terminal."""

    def __init__(self, layout: Layout, config: Path | None, *, until_idle: bool) -> None:
        self._layout = layout
        self._until_idle = until_idle
        idle = ["--until-idle"] if until_idle else []
        self._commands = {
            "main worker": worker_command("main_worker", layout, config, *idle),
            "render worker": worker_command("render_worker", layout, config),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._asked_to_stop = threading.Event()
        self._screen = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        on_stop_signals(self._asked_to_stop.set)
        for name, command in self._commands.items():
            # A process group of its own: Ctrl-C reaches the workers only through us, once.
            process = subprocess.Popen(
                leashed(command, signal.SIGTERM), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, process_group=0
            )
            assert process.stderr is not None  # noqa: S101 - for the type checker: it was asked for
            reader = threading.Thread(target=self._pass_on, args=(process.stderr,))
            reader.start()
            self._processes[name] = process
            self._readers.append(reader)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in self._readers:
            reader.join()

    def wait(self) -> None:
        """Until the main worker says nothing is left, or a signal comes.

        Raises:
            WorkerDied: a worker ended by itself.
        """
        with self._progress() as bars:
            while not self._asked_to_stop.is_set():
                main = self._processes["main worker"].poll()
                if main == 0 and self._until_idle:
                    return
                for name, process in self._processes.items():
                    if (code := process.poll()) is not None:
                        raise WorkerDied(name, code)
                if bars:
                    self._show(bars)
                time.sleep(_TICK_SECONDS)

    @contextmanager
    def _progress(self) -> Iterator[Progress | None]:
        """Live bars on a terminal; elsewhere the log lines tell enough."""
        if not self._screen.is_terminal:
            yield None
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._screen, transient=True) as bars:
            yield bars

    def _show(self, bars: Progress) -> None:
        for node in take_snapshot(self._layout).nodes:
            record = node.record
            words = plain(f"{record.node}: {record.label or record.state}")
            if record.node not in self._bars:
                self._bars[record.node] = bars.add_task(words, total=100)
            bars.update(self._bars[record.node], description=words, completed=record.percent or 0)

    def _pass_on(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._screen.print(shown(line.decode("utf-8", "replace").rstrip("\n")))
        stream.close()
