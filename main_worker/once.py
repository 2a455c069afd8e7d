"""``--once``: one pass over ``raw/`` in one thread, for scripts, and for tests that count what it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from main_worker.arrival.writers import ignore_lease_signals
from main_worker.mill import Mill
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.ffmpeg import Ffmpeg
from shared.log import Logger
from shared.process import on_stop_signals

P = ParamSpec("P")
T = TypeVar("T")

_MARGIN = 0.05  # so that a drop which is due is due


def run_once(config: Config, layout: Layout, ffmpeg: Ffmpeg, log: Logger) -> bool:
    """Take in what lies in ``raw/`` and is, or within the quiet time turns out to be, complete.

    The caller holds the root's main lock. What arrives meanwhile, is still written, or looks unfinished stays for
    the next pass. Returns whether nothing was in the way.
    """
    stop = threading.Event()
    on_stop_signals(stop.set)
    ignore_lease_signals()
    mill = Mill(config, layout, ffmpeg, Inline(), 1, log, stopping=stop.is_set)
    first = time.monotonic()
    mill.look(first)
    stop.wait(min(mill.settles_in(first), config.ingest.quiet_seconds) + _MARGIN)
    mill.look(time.monotonic())
    while not stop.is_set():
        mill.turn(time.monotonic())
        if not mill.is_taking:
            break
    mill.prepare()
    standing = mill.standing(time.monotonic())
    for name, doing in standing.pending.items():
        log.info(f"raw/{readable(str(name))} stays: {doing}", name="file_stays")
    return standing.trouble is None


class Inline(Executor):
    """Does at once, in the calling thread, what it is given."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised again by future.result()
            future.set_exception(error)
        return future
