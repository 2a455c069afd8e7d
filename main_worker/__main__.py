"""``python -m main_worker``: the main worker in the foreground. `reelmill main` becomes this program."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from main_worker.daemon import MainWorker
from main_worker.once import run_once
from main_worker.rehearsal import rehearse
from shared.assets import check_assets
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg
from shared.files import as_machine_trouble
from shared.lifesign import hold
from shared.log import log_to_file
from shared.process import EXIT_FAILED, EXIT_FINE, Started, on_stop_signals, run_worker
from shared.recovery import agree_on_lease
from shared.store import Store

UNTIL_IDLE, ONCE, DRY_RUN = "until-idle", "once", "dry-run"


def work(started: Started) -> int | None:
    config, layout = started.config, started.layout
    check_assets(config, layout)
    ffmpeg = find_ffmpeg(config.ffmpeg.path)
    if started.mode == DRY_RUN:
        rehearse(config, layout, ffmpeg, started.log, sys.stdout)
        return EXIT_FINE
    with main_lock(layout):
        if started.mode == ONCE:
            return EXIT_FINE if run_once(config, layout, ffmpeg, started.log) else EXIT_FAILED
        log_to_file(config.log, layout.log_file("main_worker"))
        lease = agree_on_lease(Store(layout), config.worker.lease_seconds, config.worker.heartbeat_seconds)
        worker = MainWorker(config, layout, lease, ffmpeg, started.log, started.systemd)
        on_stop_signals(worker.stop)
        worker.run(until_idle=started.mode == UNTIL_IDLE)
    return EXIT_FINE


@contextmanager
def main_lock(layout: Layout) -> Iterator[None]:
    """Be the one main worker of a root.

    Raises:
        RootError: another one is at work, with its host and process.
        MachineTrouble: the lock's file cannot be made.
    """
    try:
        handle = os.open(layout.main_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise as_machine_trouble(error, "cannot take the main worker's lock") from error
    try:
        if not hold(handle):
            holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            raise RootError(f"another main worker ({holder or 'unknown'}) is at work on {layout.root}; stop it first")
        with suppress(OSError):  # for people only; a full disk must not keep the worker from waiting for its end
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(run_worker("main_worker", sys.argv[1:], work, modes=(UNTIL_IDLE, ONCE, DRY_RUN), changes_nothing=DRY_RUN))
