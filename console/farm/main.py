"""The main worker: whether it runs, and what it says."""

from __future__ import annotations

import time
from contextlib import suppress

from shared.domain.layout import Layout
from shared.lifesign import is_free
from shared.records.figures import FiguresRecord
from shared.records.main import MainRecord
from shared.records.record import RecordError
from shared.tally import Tally


def is_main_running(layout: Layout) -> bool:
    """Whether a main worker of this host runs on this root."""
    return layout.main_lock.exists() and not is_free(layout.main_lock)


def figures(layout: Layout, *, main_running: bool) -> FiguresRecord:
    """The figures as the main worker has last counted them, or counted now where none runs."""
    if main_running:
        with suppress(RecordError, FileNotFoundError):
            return FiguresRecord.read(layout.figures_record)
    tally, now = Tally(layout), time.time()
    tally.look(now)
    return tally.record(now)


def main_record(layout: Layout) -> MainRecord | None:
    """What the main worker last said; it may have ended since."""
    with suppress(RecordError, FileNotFoundError):
        return MainRecord.read(layout.main_record)
    return None
