"""What lies in ``raw/`` right now, and what of it is ready. Reads names; opens a drop only to ask for its writers."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from main_worker.arrival.markers import Notes, companions, notes_among, read_marker
from main_worker.arrival.ready import Ready, identity_of
from main_worker.arrival.settling import Clue, Patience, Settled, Settling, Sighting, asks_for_writers, decide, look
from main_worker.arrival.writers import has_writer
from shared.domain.drop import Drop, LeftAlone, Misplaced, classify, is_foreign_folder
from shared.domain.errors import Rejection
from shared.domain.names import readable
from shared.files import is_aside

LONG_ARRIVAL_SECONDS = 600.0
"""A drop that has not settled for so long since it was first seen is not waited for by tasks."""
PROBE = ".reelmill-probe-"
"""How the name of a file begins that is made to see whether events arrive."""

_Found = dict[PurePosixPath, os.stat_result]


@dataclass(frozen=True)
class View:
    """One look at ``raw/``.

    Attributes:
        settling: drops that still have to prove that they are complete, each with what it waits for.
        next_at: when the first of them may be (monotonic seconds), or None.
        unreadable: folders that could not be read, with the system's words.
        unseen: the same folders, relative to ``raw/``.
        aside: files that a crash left put aside (see :func:`shared.files.remove_same`), and forgotten probes.
        arriving: what of `settling` is worth waiting for; a copy that never ends keeps nobody.
    """

    ready: tuple[Ready, ...] = ()
    settling: Mapping[PurePosixPath, str] = field(default_factory=dict)
    next_at: float | None = None
    unreadable: tuple[str, ...] = ()
    aside: tuple[Path, ...] = ()
    arriving: frozenset[PurePosixPath] = frozenset()
    unseen: frozenset[PurePosixPath] = frozenset()

    def hides(self, name: PurePosixPath) -> bool:
        """Whether a drop may be there without having been seen: a folder that cannot be read says nothing of it."""
        return _lies_below(name, self.unseen)


@dataclass
class Intake:
    """Remembers what was seen of each drop from one look to the next."""

    raw: Path
    patience: Patience
    _seen: dict[PurePosixPath, Sighting] = field(default_factory=dict)
    _unwritten: dict[PurePosixPath, Sighting] = field(default_factory=dict)
    _distrusted: set[PurePosixPath] = field(default_factory=set)

    def look(self, now: float, clues: Mapping[str, Clue] | None = None) -> View:
        """Read all of ``raw/`` once; `clues` are what events told of single files, by path."""
        unreadable: dict[Path, str] = {}
        found = files_below(self.raw, unreadable)
        unseen = frozenset(PurePosixPath(folder.relative_to(self.raw)) for folder in unreadable)
        self._forget(lambda name: name not in found and not _lies_below(name, unseen))
        ready, times = [], []
        arriving: set[PurePosixPath] = set()
        settling: dict[PurePosixPath, str] = {}
        notes = notes_among({name: status.st_mtime_ns for name, status in found.items()})
        for relative, status in sorted(found.items()):
            drop = judge(relative, status)
            if isinstance(drop, LeftAlone):
                continue
            path = self.raw / relative
            clue = clues.get(str(path)) if clues else None
            if clue is Clue.RENAMED and relative in self._distrusted:
                clue = None
            seen = look(self._seen.get(relative), identity_of(status), clue, now)
            self._seen[relative] = seen
            decision = self._decide(drop, seen, now, notes, is_file=stat.S_ISREG(status.st_mode))
            if isinstance(decision, Settled):
                ready.append(self._ready(drop, seen, decision, notes))
            else:
                settling[relative] = decision.why
                times.append(decision.at)
                if now - seen.first_seen < LONG_ARRIVAL_SECONDS:
                    arriving.add(relative)
        aside = tuple(self.raw / name for name in found if is_litter(name))
        return View(
            tuple(ready),
            settling,
            min(times, default=None),
            tuple(f"{folder}: {why}" for folder, why in unreadable.items()),
            aside,
            frozenset(arriving),
            unseen,
        )

    def _forget(self, is_gone: Callable[[PurePosixPath], bool]) -> None:
        self._seen = {name: seen for name, seen in self._seen.items() if not is_gone(name)}
        self._unwritten = {name: seen for name, seen in self._unwritten.items() if not is_gone(name)}
        self._distrusted = {name for name in self._distrusted if not is_gone(name)}

    def distrust(self, drops: Iterable[PurePosixPath]) -> None:
        """A rename of these proves nothing from now on: they changed under examination, and were given their name back.

        That is forgotten when they are gone. Nor does it count that nobody had them open: somebody may have by now.
        """
        for drop in drops:
            self._distrusted.add(drop)
            self._unwritten.pop(drop, None)

    def _decide(
        self, drop: Drop | Misplaced, seen: Sighting, now: float, notes: Notes, *, is_file: bool
    ) -> Settled | Settling:
        if not is_file:  # links, pipes and devices are never opened, and what they lead to is never lost
            return decide(seen, now, self.patience, writer=False)
        marker = read_marker(self.raw, drop.relative, seen.identity.mtime_ns, notes)
        if not asks_for_writers(seen, marker, now, self.patience):
            return decide(seen, now, self.patience, marker=marker)
        return decide(seen, now, self.patience, marker=marker, writer=self._writer(drop.relative, seen))

    def _writer(self, relative: PurePosixPath, seen: Sighting) -> bool | None:
        if self._unwritten.get(relative) == seen:
            return False  # asked once; a writer that opens it again changes it
        writer = has_writer(self.raw / relative)
        if writer is False:
            self._unwritten[relative] = seen
        return writer

    def _ready(self, drop: Drop | Misplaced, seen: Sighting, settled: Settled, notes: Notes) -> Ready:
        return Ready(
            path=self.raw / drop.relative,
            relative=drop.relative,
            drop=drop,
            identity=seen.identity,
            evidence=settled.evidence,
            certain=settled.certain,
            unchanged_since=seen.unchanged_since,
            first_seen=seen.first_seen,
            sha256=settled.sha256,
            companions=tuple(self.raw / name for name in companions(drop.relative, notes)),
        )


def _lies_below(name: PurePosixPath, folders: frozenset[PurePosixPath]) -> bool:
    return bool(folders) and not folders.isdisjoint(name.parents)


def is_litter(name: PurePosixPath) -> bool:
    """Whether a file is one of ours that a crash left in ``raw/``."""
    return is_aside(name.name) or name.name.startswith(PROBE)


def files_below(raw: Path, unreadable: dict[Path, str]) -> _Found:
    """Everything below `raw` that is no folder; folders that cannot be read are added to `unreadable`, with why.

    Folders that systems keep for themselves are not looked into.
    """
    found: _Found = {}
    pending = [raw]
    while pending:
        current = pending.pop()
        try:
            entries = list(os.scandir(current))
        except FileNotFoundError:
            if current == raw:
                unreadable[current] = "it is gone"
            continue
        except OSError as error:
            unreadable[current] = error.strerror or str(error)
            continue
        for entry in entries:
            path = current / entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since it was listed
            except OSError as error:
                unreadable[current] = error.strerror or str(error)
                break
            if stat.S_ISDIR(status.st_mode):
                if not is_foreign_folder(entry.name):  # the `lost+found` of a filesystem is readable to root only
                    pending.append(path)
            else:
                found[PurePosixPath(path.relative_to(raw))] = status
    return found


_SPECIAL = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def judge(relative: PurePosixPath, status: os.stat_result) -> Drop | Misplaced | LeftAlone:
    """What a file in ``raw/`` is, by its path and its type; it is not opened."""
    judged = classify(relative)
    if isinstance(judged, LeftAlone):
        return judged
    for is_special, words in _SPECIAL:
        if is_special(status.st_mode):
            rejection = Rejection(
                "not_a_file",
                f"{readable(relative.name)} is {words}, not a file; it was not opened.",
                "Drop the file itself.",
            )
            return Misplaced(relative, rejection)
    return judged
