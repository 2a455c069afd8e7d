"""What lies in ``raw/`` right now, and what of it is ready. Reads names; opens a drop only to ask for its writers."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from main_worker.ready import Ready, identity_of
from main_worker.settling import Settled, Settling, Sighting, decide, look
from main_worker.writers import has_writer
from shared.domain.drop import Drop, LeftAlone, Misplaced, classify
from shared.domain.errors import Rejection
from shared.domain.names import readable
from shared.files import original_name, put_back


@dataclass(frozen=True)
class View:
    """One look at ``raw/``.

    Attributes:
        settling: drops that still have to prove that they are complete, each with what it waits for.
        next_at: when the first of them may be (monotonic seconds), or None.
        unreadable: folders that could not be read, with the system's words.
    """

    ready: tuple[Ready, ...]
    settling: dict[PurePosixPath, str]
    next_at: float | None
    unreadable: tuple[str, ...]


@dataclass
class Intake:
    """Remembers what was seen of each drop from one look to the next."""

    raw: Path
    quiet_seconds: float
    _seen: dict[PurePosixPath, Sighting] = field(default_factory=dict)
    _closed: dict[PurePosixPath, Sighting] = field(default_factory=dict)

    def look(self, now: float) -> View:
        """Read all of ``raw/`` once."""
        unreadable: list[str] = []
        found = self._walk(self.raw, unreadable)
        if not unreadable:  # a folder that cannot be read says nothing about what is in it
            self._seen = {name: seen for name, seen in self._seen.items() if name in found}
            self._closed = {name: seen for name, seen in self._closed.items() if name in found}
        ready, times = [], []
        settling: dict[PurePosixPath, str] = {}
        for relative, status in sorted(found.items()):
            drop = _judge(relative, status)
            if isinstance(drop, LeftAlone):
                continue
            identity = identity_of(status)
            self._seen[relative] = seen = look(self._seen.get(relative), identity, now)
            decision = self._decide(relative, drop, seen, now)
            if isinstance(decision, Settled):
                ready.append(Ready(self.raw / relative, relative, drop, identity, decision.evidence))
            else:
                settling[relative] = decision.why
                times.append(decision.at)
        return View(tuple(ready), settling, min(times, default=None), tuple(unreadable))

    def _decide(
        self, relative: PurePosixPath, drop: Drop | Misplaced, seen: Sighting, now: float
    ) -> Settled | Settling:
        decision = decide(seen, now, self.quiet_seconds)
        if isinstance(decision, Settling) or isinstance(drop, Misplaced):
            return decision
        if self._closed.get(relative) == seen:
            return decide(seen, now, self.quiet_seconds, writer=False)
        writer = has_writer(self.raw / relative)
        if writer is False:
            self._closed[relative] = seen  # looked at once; a writer that opens it again changes it
        return decide(seen, now, self.quiet_seconds, writer)

    def restore(self) -> None:
        """Give files their names back that a crash left put aside (see :func:`shared.files.remove_same`)."""
        for folder, _, names in os.walk(self.raw):
            for name in names:
                aside = Path(folder, name)
                if before := original_name(aside):
                    put_back(aside, before)

    def _walk(self, folder: Path, unreadable: list[str]) -> dict[PurePosixPath, os.stat_result]:
        found: dict[PurePosixPath, os.stat_result] = {}
        pending = [folder]
        while pending:
            current = pending.pop()
            try:
                entries = list(os.scandir(current))
            except FileNotFoundError:
                if current == self.raw:
                    unreadable.append(f"{current}: it is gone")
                continue
            except OSError as error:
                unreadable.append(f"{current}: {error.strerror}")
                continue
            for entry in entries:
                path = current / entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone since it was listed
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path)
                else:
                    found[PurePosixPath(path.relative_to(self.raw))] = status
        return found


_SPECIAL = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def _judge(relative: PurePosixPath, status: os.stat_result) -> Drop | Misplaced | LeftAlone:
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
