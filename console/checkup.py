"""What a box needs to take part in a farm, each tried out: its tools, and the filesystem of its root."""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import lock_descriptor
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from console.box import room, set_by_ntp, tools
from console.finding import Advice, Finding, Remedy, fine, wrong
from console.options import user_name
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, create_exclusive, remove_tree, rename_new
from shared.records.lease import LeaseRecord
from shared.records.record import RecordError
from shared.version import RULES

_EVENT_SECONDS = 2.0  # a local event arrives within milliseconds; a loaded machine may take longer
_CLOCK_SECONDS = 5.0  # file times of a server that differ by more put versions of one chapter into a wrong order
_NO_WATCHES = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)  # what inotify says where its limits are reached


@dataclass(frozen=True)
class Checkup:
    """A box and its root."""

    layout: Layout
    config: Config

    def findings(self) -> Iterator[Finding]:
        """Try everything; what is made in the root for that is removed again."""
        yield from tools(self.config)
        yield self._one_filesystem()
        yield self._rights()
        yield from self._filesystem()
        yield from set_by_ntp()
        yield self._events()
        yield room(self.layout, self.config)
        yield rules(lambda: LeaseRecord.read(self.layout.lease), self.layout.lease, self.config)

    def _filesystem(self) -> Iterator[Finding]:
        """What can be tried in a folder of its own."""
        probe = self.layout.farm / f"probe-{secrets.token_hex(4)}"
        try:
            probe.mkdir()
        except OSError as error:
            why = str(as_machine_trouble(error, "cannot make a folder in .farm/"))
            yield wrong("writing", why, self._writing(error, [self.layout.farm]))
            return
        try:
            yield from (self._tried(name, probe, trial, remedy) for name, trial, remedy in _TRIALS)
            yield self._clock(probe)
        finally:
            remove_tree(probe)

    def _tried(self, name: str, probe: Path, trial: Callable[[Path], str | None], remedy: Remedy) -> Finding:
        try:
            trouble = trial(probe)
        except OSError as error:
            trouble = str(as_machine_trouble(error, "it cannot be tried"))
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                return wrong(name, trouble, self._writing(error, [probe]))
        return wrong(name, trouble, remedy.filled(root=self.layout.root)) if trouble else fine(name, "as it must be")

    def _one_filesystem(self) -> Finding:
        """Tasks move by renaming their folder, which no two filesystems can do."""
        layout, name = self.layout, "one filesystem"
        folders = [*(layout.state(state) for state in TaskState), layout.farm]
        devices = {folder: folder.stat().st_dev for folder in folders}
        apart = [path for path, device in devices.items() if device != devices[layout.farm]]
        if not apart:
            return fine(name, "tasks, processing, output, trash/failed and .farm")
        names = ", ".join(str(layout.relative(path)) for path in apart)
        words = f"{names} and .farm lie on different filesystems, and tasks move by rename"
        return wrong(name, words, self._brought_back([*apart, layout.farm]))

    def _brought_back(self, folders: list[Path]) -> Advice:
        """What makes folders of the root out of the first that is a link or a mount."""
        inside = [path for folder in folders for path in (folder, *folder.parents) if self.layout.root in path.parents]
        link = next((path for path in inside if path.is_symlink()), None)
        if link:
            return Remedy.UNLINK.filled(path=link, target=link.resolve())
        return Remedy.UNMOUNT.filled(path=next((path for path in inside if path.is_mount()), inside[0]))

    def _rights(self) -> Finding:
        folders = [folder for folder in (self.layout.raw, *self.layout.folders()) if folder.is_dir()]
        closed = [path for path in folders if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
        if not closed:
            return fine("rights", f"this user may write all {len(folders)} folders")
        words = f"this user may not write {', '.join(str(self.layout.relative(path)) for path in closed)}"
        return wrong("rights", words, self._writing(None, closed))

    def _writing(self, error: OSError | None, folders: list[Path]) -> Advice:
        """What lets this user write into folders."""
        if error and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Remedy.ROOM.filled(segments=self.layout.segments)
        if os.statvfs(folders[0]).f_flag & os.ST_RDONLY:
            mount = next(path for path in (folders[0], *folders[0].parents) if path.is_mount())
            return Remedy.WRITABLE.filled(mount=mount)
        group = self.config.files.group
        if group:
            return Remedy.SHARE.filled(group=group, user=user_name(), folders=folders)
        return Remedy.OWN.filled(user=user_name(), folders=folders)

    def _clock(self, probe: Path) -> Finding:
        (probe / "clock").touch()
        apart = (probe / "clock").stat().st_mtime - time.time()
        words = f"the root's filesystem is {apart:+.1f} s from this machine"
        if abs(apart) <= _CLOCK_SECONDS:
            return fine("clock", words)
        return wrong("clock", words, Remedy.CLOCK.filled(), matters=False)

    def _events(self) -> Finding:
        label, seen = "file events in raw/", threading.Event()
        name = f".reelmill-probe-{secrets.token_hex(4)}"
        watcher, observer = _Watcher(name, seen.set), Observer()
        remedy = Remedy.EVENTS.filled(seconds=self.config.ingest.rescan_seconds)
        try:
            observer.schedule(watcher, str(self.layout.raw))
            observer.start()
            (self.layout.raw / name).touch()
            if seen.wait(_EVENT_SECONDS):
                return fine(label, "they arrive")
            return wrong(label, "none arrives, as on most network mounts", remedy, matters=False)
        except OSError as error:
            if error.errno in _NO_WATCHES and not observer.is_alive():
                remedy = Remedy.WATCHES.filled()
            return wrong(label, f"they cannot be had ({error})", remedy, matters=False)
        finally:
            if observer.is_alive():  # ended first: watchdog complains of events that it hears while it ends
                observer.stop()
                observer.join()
            with suppress(OSError):  # it could not be made, and that was told
                (self.layout.raw / name).unlink(missing_ok=True)


def rules(read: Callable[[], LeaseRecord], where: Path, config: Config) -> Finding:
    """Whether this program may share the root's tasks, and shows life often enough.

    Args:
        read: what the root says of it; FileNotFoundError before the first worker of a root.
        where: the file, as it is named where it can be mended.
    """
    lease, wanted = config.worker.lease_seconds, config.worker.heartbeat_seconds
    with suppress(FileNotFoundError):
        try:
            record = read()
        except RecordError as error:
            return wrong("lease", str(error), Remedy.LEASE.filled(lease=where))
        if record.rules > RULES:
            words = f"this root shares its tasks by rules {record.rules}, and this program knows {RULES}"
            return wrong("lease", words, Remedy.UPDATE.filled())
        lease = record.lease_seconds
    words = f"silent workers count as dead after {lease:g} s, and this one shows life every {wanted:g} s"
    return (
        fine("lease", words) if wanted * 3 <= lease else wrong("lease", words, Remedy.HEARTBEAT.filled(most=lease / 3))
    )


class _Watcher(FileSystemEventHandler):
    def __init__(self, name: str, seen: Callable[[], None]) -> None:
        self._name = name
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        if os.fsdecode(event.src_path).endswith(self._name):
            self._seen()


# -- what the protocol asks of a filesystem ------------------------------------------------------


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


_TRIALS: tuple[tuple[str, Callable[[Path], str | None], Remedy], ...] = (
    ("exclusive creation", _creates_once, Remedy.FILESYSTEM),
    ("moving folders", _moves_folders, Remedy.FILESYSTEM),
    ("first output wins", _keeps_full_folders, Remedy.FILESYSTEM),
    ("never replacing", _names_once, Remedy.FILESYSTEM),
    ("locks", _locks, Remedy.LOCKS),
)
