"""Files beside a drop that speak of it: ``.done``, ``.sha256``, and the reason that came back with a rejected drop."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from main_worker.arrival.settling import Checksum, Done, Marker
from shared.domain.layout import REASON_SUFFIX

DONE, CHECKSUM = ".done", ".sha256"
_ENDINGS = (DONE, CHECKSUM, REASON_SUFFIX)
_MOST_BYTES = 64 * 1024  # a list of hashes for a whole folder is shorter; more is no such file
# As `sha256sum` writes it, and as `sha256sum --tag`, BSD and macOS do.
_LINE = re.compile(
    r"\\?(?P<hash>[0-9a-f]{64})(?:\s+[ *]?(?P<name>.+?))?\s*|SHA256 \((?P<tagged>.+)\) = (?P<tag>[0-9a-f]{64})\s*",
    re.IGNORECASE,
)


Notes = Mapping[PurePosixPath, int]
"""Files in ``raw/`` that may speak of a drop: when each was last changed (nanoseconds), by path."""


def notes_among(found: Mapping[PurePosixPath, int]) -> Notes:
    """Those of the files in ``raw/`` that have the name of a note."""
    return {name: changed for name, changed in found.items() if name.name.endswith(_ENDINGS)}


def companions(relative: PurePosixPath, present: Notes) -> tuple[PurePosixPath, ...]:
    """The notes that lie beside a drop and go with it."""
    if not present:  # the usual case, and asked of every drop at every look
        return ()
    return tuple(name for ending in _ENDINGS if (name := beside(relative, ending)) in present)


def beside(relative: PurePosixPath, ending: str) -> PurePosixPath:
    return relative.with_name(relative.name + ending)


def read_marker(raw: Path, relative: PurePosixPath, changed: int, present: Notes) -> Marker | None:
    """What lies beside a drop and says that it is complete; a ``.sha256`` is the better word of the two.

    A ``.done`` that is older than the drop speaks of one that had the name before.

    Args:
        changed: when the drop was last changed, in nanoseconds.
    """
    if not present:
        return None
    checksum, is_done = beside(relative, CHECKSUM), present.get(beside(relative, DONE), -1) >= changed
    if checksum in present:
        found = Checksum(_hash_in(raw / checksum, relative.name))
        if found.sha256 or not is_done:
            return found
    return Done.DONE if is_done else None


def _hash_in(path: Path, name: str) -> str | None:
    """The hash a file as ``sha256sum`` writes it gives for a name; one that stands alone is meant for the drop."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            text = stream.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None  # gone again, or not for us to read: then the quiet period has to do
    found = {
        (line["hash"] or line["tag"]).lower(): line["name"] or line["tagged"]
        for line in map(_LINE.fullmatch, text.lstrip("\ufeff").splitlines())
        if line
    }
    named = [sha256 for sha256, of in found.items() if of is not None and PurePosixPath(of).name == name]
    chosen = named or (list(found) if len(found) == 1 else [])
    return chosen[0] if chosen else None
