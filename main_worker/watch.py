"""File events in ``raw/``. They are only a hurry: the periodic rescan is what finds every drop."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from shared.log import Logger

# What it warns of at its end would stand bare on standard error, between the lines of our log.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class Hurry(FileSystemEventHandler):
    """Sets an event whenever something changes below a folder."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed
        self._observer = Observer()

    def start(self, folder: Path, log: Logger) -> None:
        """Begin to watch; where the system refuses (no watches left), the rescan alone has to do."""
        try:
            self._observer.schedule(self, str(folder), recursive=True)
            self._observer.start()
        except OSError as error:
            log.warning(f"No file events for raw/ ({error}); relying on the rescan", name="watch_refused")

    def stop(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("opened", "closed_no_write"):
            self._changed.set()
