"""File events in ``raw/``. They are only a hurry: the periodic rescan is what finds every drop."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import warnings
from pathlib import Path
from typing import Literal

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from shared.log import Logger

Mode = Literal["auto", "events", "poll"]

_PROBE_SECONDS = 2.0  # a local event arrives within milliseconds; a loaded machine may take longer

# What it warns of, at its end and where folders are made faster than it looks at them (7.1), would stand bare on
# standard error, between the lines of our log, and asks nothing of anybody: the rescan finds every drop.
logging.getLogger("watchdog").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)


class Hurry(FileSystemEventHandler):
    """Sets an event whenever something changes below a folder."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed
        self._observer = Observer()
        self._probe: Path | None = None
        self._probe_seen = threading.Event()

    def start(self, folder: Path, mode: Mode, log: Logger) -> bool:
        """Begin to watch, and say in the log where only the rescan finds drops; returns whether events are used.

        With ``auto`` a file is made to see whether its event arrives: network mounts and some containers send none.
        """
        if mode == "poll":
            log.info("Not using file events for raw/, as configured; the rescan finds every drop", name="watch_poll")
            return False
        try:
            self._observer.schedule(self, str(folder), recursive=True)
            self._observer.start()
        except OSError as error:  # no watches left, for instance
            log.warning(f"No file events for raw/ ({error}); the rescan finds every drop", name="watch_poll")
            return False
        if mode == "auto" and not self.event_arrives(folder):
            self.stop()
            log.warning(f"No file events arrive from {folder}; the rescan finds every drop", name="watch_poll")
            return False
        return True

    def stop(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def event_arrives(self, folder: Path, seconds: float = _PROBE_SECONDS) -> bool:
        """Whether the event of a file made in `folder` arrives in time; a folder that takes no file proves nothing."""
        self._probe = folder / f".reelmill-probe-{secrets.token_hex(4)}.tmp"
        try:
            self._probe.touch()
            return self._probe_seen.wait(seconds)
        except OSError:  # read-only for us: events of others may well arrive
            return True
        finally:
            self._probe.unlink(missing_ok=True)

    def on_any_event(self, event: FileSystemEvent) -> None:
        if self._probe is not None and os.fsdecode(event.src_path) == str(self._probe):
            self._probe_seen.set()
        elif event.event_type not in ("opened", "closed_no_write"):
            self._changed.set()
