"""The library in ``scanned/``: an index of its sidecars, rebuilt at every start.

The index holds only what is asked of every entry; the rest is read from the one sidecar that is wanted, so that a
library of a hundred thousand files costs some tens of megabytes of memory.
"""

from __future__ import annotations

import sys
from bisect import insort
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from shared.domain.drop import Drop, Kind
from shared.domain.layout import Layout, retired_of, sidecar_of
from shared.files import is_private, is_there, walk
from shared.log import Logger
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings


class Place(NamedTuple):
    """Within what the same content counts as one library entry."""

    kind: Kind
    category: str
    story: str | None


def place_of(item: Drop | Sidecar) -> Place:
    """Of voices and links their story; of texts the chapter, and of cards which one, since two may have the same."""
    is_one_of_several = item.kind in (Kind.TEXT, Kind.CARD)
    story = item.story and sys.intern(f"{item.story}/{item.chapter}" if is_one_of_several else item.story)
    return Place(item.kind, sys.intern(item.category), story)


def text_place(voice: Sidecar) -> Place:
    """The place of the texts of a voice."""
    return Place(Kind.TEXT, voice.category, f"{voice.story}/{voice.chapter}")


class _Version(NamedTuple):
    """What a story was given at some time (RFC 3339) that counts until something newer comes."""

    since: str
    relative: str
    sha256: str
    settings: StorySettings | None


class Library:
    """Everything in ``scanned/``, indexed by content and by what tasks are made from."""

    def __init__(self, layout: Layout, log: Logger) -> None:
        self._layout = layout
        self._log = log
        self._by_content: dict[tuple[Place, str], str] = {}
        self._shelves: dict[tuple[Kind, str], list[str]] = {}
        self._seconds: dict[str, float] = {}
        self._without_task: dict[str, Place] = {}
        self._versions: dict[Place, list[_Version]] = {}
        self._gone: set[str] = set()
        self.version = 0
        """Grows with every change, so that nobody need look when there was none."""

    def load(self, *, mend: bool = True) -> None:
        """Read every sidecar; unless told not to, remove what a crash left half filed.

        Raises:
            OSError: a part of it cannot be read; it must not be used then, since what is missing would be filed twice.
        """
        for folder, names in walk(self._layout.scanned):
            for name in names:
                path = folder / name
                if is_private(path):
                    if mend:
                        path.unlink()
                elif name.endswith(".json"):
                    self._load_one(path, mend=mend)

    def _load_one(self, record: Path, *, mend: bool) -> None:
        path = record.with_name(record.name.removesuffix(".json"))
        if not is_there(path):  # it was taken out, or a crash came between the two: the sidecar is written first
            if mend:
                record.unlink()
            return
        try:
            sidecar = Sidecar.read(record)
        except RecordError as error:
            self._log.warning(
                f"Not using {self._layout.relative(path)}: {error}; move it back into raw/ to have it scanned again",
                name="sidecar_damaged",
            )
            return
        self.add(path, sidecar)

    def add(self, path: Path, sidecar: Sidecar) -> None:
        """Index a file that is in place with its sidecar."""
        if sidecar.address is not None:
            return  # a text is made of a drop, but only the link file itself says that the drop is done
        self.version += 1
        place = place_of(sidecar)
        relative = str(self._layout.relative(path))
        if sidecar.kind in (Kind.SETTINGS, Kind.TEXT, Kind.CARD):
            self._add_version(place, relative, sidecar)
            return
        self._by_content[place, sidecar.origin.sha256] = relative
        facts = sidecar.video or sidecar.audio
        if sidecar.kind is Kind.VOICE:
            self._note_voice(relative, place, sidecar)
        elif facts:
            if relative not in self._seconds:
                insort(self._shelves.setdefault((place.kind, place.category), []), relative)
            self._seconds[relative] = facts.seconds

    def _note_voice(self, relative: str, place: Place, sidecar: Sidecar) -> None:
        if sidecar.task_id is None:
            self._without_task[relative] = place
        else:
            self._without_task.pop(relative, None)

    def _add_version(self, place: Place, relative: str, sidecar: Sidecar) -> None:
        """Only the newest settings or card of a story, or text of a chapter, is in force; older ones may come again."""
        if sidecar.kind is Kind.SETTINGS and sidecar.settings is None:
            return
        versions = self._versions.setdefault(place, [])
        versions.append(_Version(sidecar.scanned_at, relative, sidecar.origin.sha256, sidecar.settings))
        self._put_in_force(place, versions)

    def _put_in_force(self, place: Place, versions: list[_Version]) -> None:
        versions.sort(key=lambda version: version.since)
        for version in versions:
            self._by_content.pop((place, version.sha256), None)
        if versions:
            self._by_content[place, versions[-1].sha256] = versions[-1].relative

    def note_task(self, path: Path, sidecar: Sidecar, task_id: str) -> None:
        """Record that a voice has its task, so that it never gets a second one by itself."""
        noted = sidecar.changed(task_id=task_id)
        noted.write(sidecar_of(path))
        self.add(path, noted)

    def read(self, relative: str) -> tuple[Path, Sidecar]:
        """A library file and its record.

        Raises:
            FileNotFoundError, RecordError: somebody took one of the two away, or damaged the record.
        """
        path = self._layout.root / relative
        path.stat()
        return path, Sidecar.read(sidecar_of(path))

    def has(self, relative: str) -> bool:
        """Whether a file is in its place with its record; one that is not may be forgotten (:meth:`forget_gone`)."""
        path = self._layout.root / relative
        try:
            path.stat()
            sidecar_of(path).stat()
        except FileNotFoundError:
            self._gone.add(relative)
            return False
        return True

    @property
    def misses_some(self) -> bool:
        """Whether files have turned out to be gone."""
        return bool(self._gone)

    def forget_gone(self) -> None:
        """Take what turned out to be gone out of the index; its caller has made sure that no folder is lost."""
        gone = {relative for relative in tuple(self._gone) if not self.has(relative)}
        self._gone.clear()
        if not gone:
            return
        self._by_content = {key: relative for key, relative in self._by_content.items() if relative not in gone}
        self._shelves = {
            key: [relative for relative in shelf if relative not in gone] for key, shelf in self._shelves.items()
        }
        for place, versions in self._versions.items():
            versions[:] = (version for version in versions if version.relative not in gone)
            self._put_in_force(place, versions)
        for relative in gone:
            self._seconds.pop(relative, None)
            self._without_task.pop(relative, None)
        self.version += 1
        files = min(gone) if len(gone) == 1 else f"{len(gone)} files, {min(gone)} among them"
        self._log.warning(
            f"Not using any more what was taken out of the library, or lost its record: {files}; "
            "what is moved back into raw/ is scanned again",
            name="library_gone",
        )

    def shelf(self, kind: Kind, category: str) -> Sequence[str]:
        """All clips or tracks of a category, by path, in a fixed order."""
        return self._shelves.get((kind, category), ())

    def seconds(self, relative: str) -> float:
        """How long a clip or track plays."""
        return self._seconds[relative]

    def is_retired(self, relative: str) -> bool:
        """Whether somebody took a file out of future videos."""
        return is_there(retired_of(self._layout.root / relative))

    def without_task(self) -> Mapping[str, Place]:
        """Every voice no task was made of yet, by path."""
        return self._without_task

    def settings(self, category: str, story: str | None, *, planned: bool = False) -> StorySettings:
        """What a story wants of its videos: what the newest of its settings says that is still there.

        Args:
            planned: settings count that are not in the library yet, and would be.
        """
        versions = self._versions.get(Place(Kind.SETTINGS, category, story), ())
        there = (version for version in reversed(versions) if planned or self.has(version.relative))
        return next((version.settings for version in there if version.settings), StorySettings())

    def text_of(self, voice: Sidecar) -> str | None:
        """The newest text of a voice's chapter that is there and not retired, by path; subtitles go before prose."""
        versions = self._versions.get(text_place(voice), ())
        paths = sorted((version.relative for version in reversed(versions)), key=lambda path: not path.endswith(".srt"))
        return next((path for path in paths if self.has(path) and not self.is_retired(path)), None)

    def card_of(self, category: str, story: str | None, name: str) -> str | None:
        """The newest card of a story that is there and not retired, by path."""
        versions = self._versions.get(Place(Kind.CARD, category, f"{story}/{name}"), ())
        paths = (version.relative for version in reversed(versions))
        return next((path for path in paths if self.has(path) and not self.is_retired(path)), None)

    def with_content(self, place: Place, sha256: str) -> str | None:
        """The file that was made from a drop with these bytes."""
        return self._by_content.get((place, sha256))
