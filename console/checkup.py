"""What a box needs to take part in a farm, each tried out: the root's filesystem, rights, room, events and clock."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import lock_descriptor
from pydantic import BaseModel, ConfigDict, Field
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from shared.config import Config
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.ffmpeg import find_ffmpeg
from shared.files import as_machine_trouble, create_exclusive, remove_tree, rename_new
from shared.records.lease import LeaseRecord
from shared.records.record import RecordError
from shared.version import RULES

_EVENT_SECONDS = 2.0  # a local event arrives within milliseconds; a loaded machine may take longer
_CLOCK_SECONDS = 5.0  # file times of a server that differ by more put versions of one chapter into a wrong order


class Finding(BaseModel):
    """One thing that was tried."""

    model_config = ConfigDict(frozen=True)

    name: str
    works: bool
    words: str = Field(description="What was found.")
    remedy: str = Field("", description="What to do about it, where it does not work.")
    matters: bool = Field(True, description="Whether the farm cannot do without it.")


@dataclass(frozen=True)
class Checkup:
    """A box and its root."""

    layout: Layout
    config: Config

    def findings(self) -> Iterator[Finding]:
        """Try everything; what is made in the root for that is removed again."""
        yield self._ffmpeg()
        yield self._one_filesystem()
        yield self._rights()
        probe = self.layout.farm / f"probe-{secrets.token_hex(4)}"
        try:
            probe.mkdir()
        except OSError as error:
            why = str(as_machine_trouble(error, "cannot make a folder in .farm/"))
            yield Finding(name="writing", works=False, words=why, remedy="See what the lines above say.")
            return
        try:
            yield from (_tried(name, probe, trial, remedy) for name, trial, remedy in _TRIALS)
            yield self._clock(probe)
        finally:
            remove_tree(probe)
        yield self._events()
        yield self._room()
        yield self._rules()

    def _ffmpeg(self) -> Finding:
        try:
            found = find_ffmpeg(self.config.ffmpeg.path)
        except ReelmillError as error:
            return Finding(name="ffmpeg", works=False, words=str(error), remedy="Set ffmpeg.path, or leave it empty.")
        return Finding(name="ffmpeg", works=True, words=f"{found.version}, {found.path}")

    def _one_filesystem(self) -> Finding:
        """Tasks move by renaming their folder, which no two filesystems can do."""
        layout = self.layout
        folders = [*(layout.state(state) for state in TaskState), layout.farm]
        devices = {folder: folder.stat().st_dev for folder in folders}
        apart = [str(layout.relative(path)) for path, device in devices.items() if device != devices[layout.farm]]
        if apart:
            return Finding(
                name="one filesystem",
                works=False,
                words=f"{', '.join(apart)} and .farm lie on different filesystems, and tasks move by rename",
                remedy="Mount one filesystem over the whole root; only raw/, scanned/ and assets/ may be others.",
            )
        return Finding(name="one filesystem", works=True, words="tasks, processing, output, trash/failed and .farm")

    def _rights(self) -> Finding:
        folders = [folder for folder in (self.layout.raw, *self.layout.folders()) if folder.is_dir()]
        closed = [
            str(self.layout.relative(path)) for path in folders if not os.access(path, os.R_OK | os.W_OK | os.X_OK)
        ]
        if closed:
            remedy = "Give this user the rights, or share the root by a group (docs/sharing.md)."
            return Finding(
                name="rights", works=False, words=f"this user may not write {', '.join(closed)}", remedy=remedy
            )
        return Finding(name="rights", works=True, words=f"this user may write all {len(folders)} folders")

    def _clock(self, probe: Path) -> Finding:
        (probe / "clock").touch()
        apart = (probe / "clock").stat().st_mtime - time.time()
        return Finding(
            name="clock",
            works=abs(apart) <= _CLOCK_SECONDS,
            words=f"the root's filesystem is {apart:+.1f} s from this machine",
            remedy="Let both keep time by NTP (timedatectl set-ntp true).",
            matters=False,
        )

    def _events(self) -> Finding:
        seen = threading.Event()
        name = f".reelmill-probe-{secrets.token_hex(4)}"
        watcher, observer = _Watcher(name, seen.set), Observer()
        try:
            observer.schedule(watcher, str(self.layout.raw))
            observer.start()
            (self.layout.raw / name).touch()
            works = seen.wait(_EVENT_SECONDS)
            words = "they arrive" if works else "none arrives, as on most network mounts"
        except OSError as error:
            works, words = False, f"they cannot be had ({error})"
        finally:
            (self.layout.raw / name).unlink(missing_ok=True)
            if observer.is_alive():
                observer.stop()
                observer.join()
        remedy = f"Nothing: the rescan finds every drop within {self.config.ingest.rescan_seconds:g} s."
        return Finding(name="file events in raw/", works=works, words=words, remedy=remedy, matters=False)

    def _room(self) -> Finding:
        free, least = shutil.disk_usage(self.layout.root).free, self.config.worker.min_free_bytes
        return Finding(
            name="room",
            works=free >= least,
            words=f"{free / 1e9:.1f} GB free, and {least / 1e9:.1f} GB are the least",
            remedy="Make room, or lower worker.min_free_bytes; conformed clips in .farm/cache/ may go at any time.",
        )

    def _rules(self) -> Finding:
        lease, wanted = self.config.worker.lease_seconds, self.config.worker.heartbeat_seconds
        with suppress(FileNotFoundError):
            try:
                record = LeaseRecord.read(self.layout.lease)
            except RecordError as error:
                remedy = "Stop all workers and delete it; the next one writes it anew."
                return Finding(name="lease", works=False, words=str(error), remedy=remedy)
            if record.rules > RULES:
                words = f"this root shares its tasks by rules {record.rules}, and this program knows {RULES}"
                return Finding(name="lease", works=False, words=words, remedy="Update this program.")
            lease = record.lease_seconds
        words = f"silent workers count as dead after {lease:g} s, and this one shows life every {wanted:g} s"
        remedy = f"Set worker.heartbeat_seconds to at most {lease / 3:g}."
        return Finding(name="lease", works=wanted * 3 <= lease, words=words, remedy=remedy)


class _Watcher(FileSystemEventHandler):
    def __init__(self, name: str, seen: Callable[[], None]) -> None:
        self._name = name
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        if os.fsdecode(event.src_path).endswith(self._name):
            self._seen()


# -- what the protocol asks of a filesystem ------------------------------------------------------


def _tried(name: str, probe: Path, trial: Callable[[Path], str | None], remedy: str) -> Finding:
    try:
        trouble = trial(probe)
    except OSError as error:
        trouble = str(as_machine_trouble(error, "it cannot be tried"))
    return Finding(name=name, works=trouble is None, words=trouble or "as it must be", remedy=remedy)


def _creates_once(probe: Path) -> str | None:
    create_exclusive(probe / "once", b"first")
    with suppress(FileExistsError):
        create_exclusive(probe / "once", b"second")
        return "a file was created twice"
    return None if (probe / "once").read_bytes() == b"first" else "a file that was there has been replaced"


def _keeps_full_folders(probe: Path) -> str | None:
    """The first output wins, since a folder cannot be renamed onto one that holds something."""
    for name in ("new", "full"):
        (probe / name).mkdir()
        (probe / name / name).touch()
    try:
        (probe / "new").rename(probe / "full")
    except OSError as error:
        is_refused = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        return None if is_refused else f"renaming onto a full folder ended with {error.strerror}"
    return "a folder that holds something was replaced by a rename"


def _moves_folders(probe: Path) -> str | None:
    (probe / "from").mkdir()
    (probe / "from" / "file").write_bytes(b"x")
    (probe / "from").rename(probe / "to")
    is_moved = (probe / "to" / "file").read_bytes() == b"x" and not (probe / "from").exists()
    return None if is_moved else "a folder that was renamed stands under both names"


def _names_once(probe: Path) -> str | None:
    for name in ("one", "two"):
        (probe / name).write_bytes(name.encode())
    with suppress(FileExistsError):
        rename_new(probe / "one", probe / "two")
        return "a file was replaced by a rename that must not replace"
    return None if (probe / "two").read_bytes() == b"two" else "a file that was there has been replaced"


def _locks(probe: Path) -> str | None:
    handles = [os.open(probe / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    try:
        if not lock_descriptor(handles[0], blocking=False):
            return "a lock that nobody holds cannot be had"
        return "a lock was given twice" if lock_descriptor(handles[1], blocking=False) else None
    finally:
        for handle in handles:
            os.close(handle)


_OTHER = "Use another filesystem or mount for the root: ext4, XFS, Btrfs, NFS 4, SMB 3."
_TRIALS: tuple[tuple[str, Callable[[Path], str | None], str], ...] = (
    ("exclusive creation", _creates_once, _OTHER),
    ("moving folders", _moves_folders, _OTHER),
    ("first output wins", _keeps_full_folders, _OTHER),
    ("never replacing", _names_once, _OTHER),
    ("locks", _locks, f"{_OTHER} On NFS, mount without nolock."),
)
