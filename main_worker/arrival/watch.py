"""File events in ``raw/``. They hurry the rescan, which is what finds every drop, and tell how a file came."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MOVED,
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from main_worker.arrival.intake import PROBE
from main_worker.arrival.settling import Clue
from shared.log import Logger

Mode = Literal["auto", "events", "poll"]

_PROBE_SECONDS = 2.0  # a local event arrives within milliseconds; a loaded machine may take longer
# What may be a drop to take. Not that a file grows: a copy of gigabytes would be told of a hundred thousand times.
_NEWS = (FileCreatedEvent, DirCreatedEvent, FileMovedEvent, DirMovedEvent, FileClosedEvent)
# Full events tell a file that was renamed into the folder from one that was made there.
_HOW: dict[str, Any] = {"generate_full_events": True} if sys.platform == "linux" else {}

# What it warns of, at its end and where folders are made faster than it looks at them (7.1), would stand bare on
# standard error, between the lines of our log, and asks nothing of anybody: the rescan finds every drop.
logging.getLogger("watchdog").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)


class Events(FileSystemEventHandler):
    """Calls whenever something changes below a folder, and collects what is told of single files."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._observer: Any = None
        self._lock = threading.Lock()
        self._clues: dict[str, Clue] = {}
        self._probes: dict[str, threading.Event] = {}

    def start(self, folder: Path, mode: Mode, log: Logger) -> bool:
        """Begin to watch, and say in the log where only the rescan finds drops; returns whether events are used.

        With ``auto`` a file is made in every filesystem below `folder` to see whether its event arrives: network
        mounts and some containers send none.
        """
        if mode == "poll":
            log.info("Not using file events for raw/, as configured; the rescan finds every drop", name="watch_poll")
            return False
        self._observer = Observer(**_HOW)
        try:
            self._observer.schedule(self, str(folder), recursive=True, event_filter=list(_NEWS))
            self._observer.start()
        except OSError as error:  # no watches left, for instance
            log.warning(f"No file events for raw/ ({error}); the rescan finds every drop", name="watch_poll")
            return False
        if mode == "events":
            return True
        deaf = [mount for mount in mounts_in(folder) if not self.event_arrives(mount)]
        for mount in deaf:
            log.warning(f"No file events arrive from {mount}; the rescan finds every drop there", name="watch_poll")
        if folder in deaf and len(deaf) == len(mounts_in(folder)):
            self.stop()
            return False
        return True

    def stop(self) -> None:
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def take_clues(self) -> dict[str, Clue]:
        """What was told of files, by path, since this was last asked."""
        with self._lock:
            clues, self._clues = self._clues, {}
        return clues

    def event_arrives(self, folder: Path, seconds: float = _PROBE_SECONDS) -> bool:
        """Whether the event of a file made in `folder` arrives in time; a folder that takes no file proves nothing."""
        probe = folder / f"{PROBE}{secrets.token_hex(4)}.tmp"
        seen = self._probes[str(probe)] = threading.Event()
        try:
            probe.touch()
            return seen.wait(seconds)
        except OSError:  # read-only for us: events of others may well arrive
            return True
        finally:
            with suppress(OSError):  # then the next look at raw/ removes it
                probe.unlink()
            self._probes.pop(str(probe))

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.src_path)
        if probe := self._probes.get(path):
            probe.set()
            return
        self._note(event, path)
        if _is_news(event):
            self._changed()

    def _note(self, event: FileSystemEvent, path: str) -> None:
        with self._lock:
            if isinstance(event, FileMovedEvent):
                self._clues.pop(path, None)
                if event.dest_path and not event.is_synthetic:  # a moved folder says nothing of the files in it
                    self._clues[os.fsdecode(event.dest_path)] = Clue.RENAMED
            elif isinstance(event, FileClosedEvent):
                self._clues.setdefault(path, Clue.CLOSED)


def _is_news(event: FileSystemEvent) -> bool:
    """Whether there may be a drop to take; a file that grows or goes, as each does that is filed, can wait."""
    if event.event_type == EVENT_TYPE_MOVED:
        return bool(event.dest_path)
    return event.event_type in (EVENT_TYPE_CREATED, EVENT_TYPE_CLOSED)


def mounts_in(folder: Path) -> tuple[Path, ...]:
    """The folder itself and every folder below it that is on another filesystem than its parent."""
    found = [folder]
    for parent, names, _ in os.walk(folder):
        device = _device(Path(parent))
        found += [path for name in names if _device(path := Path(parent, name)) not in (device, None)]
    return tuple(found)


def _device(path: Path) -> int | None:
    try:
        return path.lstat().st_dev
    except OSError:
        return None
