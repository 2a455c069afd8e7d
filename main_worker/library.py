"""The library in ``scanned/``: an index of its sidecars, rebuilt at every start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shared.domain.drop import Kind
from shared.domain.layout import Layout, sidecar_of
from shared.files import is_private
from shared.log import Logger
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar


@dataclass(frozen=True)
class Entry:
    """One library file and its record."""

    path: Path
    sidecar: Sidecar


class Library:
    """Everything in ``scanned/``, indexed by content and by what tasks are made from."""

    def __init__(self, layout: Layout, log: Logger) -> None:
        self._layout = layout
        self._log = log
        self._by_content: dict[tuple[Kind, str, str | None, str], Entry] = {}
        self._by_category: dict[tuple[Kind, str], dict[Path, Entry]] = {}
        self._without_task: dict[Path, Entry] = {}

    def load(self) -> None:
        """Read every sidecar; remove what a crash left half filed."""
        for folder, _, names in os.walk(self._layout.scanned):
            for name in names:
                path = Path(folder) / name
                if is_private(path):
                    path.unlink()
                elif name.endswith(".json"):
                    self._load_one(path)

    def _load_one(self, record: Path) -> None:
        path = record.with_name(record.name.removesuffix(".json"))
        try:
            sidecar = Sidecar.read(record)
        except RecordError as error:
            self._log.warning(
                f"Not using {self._layout.relative(path)}: {error}; move it back into raw/ to have it scanned again",
                name="sidecar_damaged",
            )
            return
        if path.exists():
            self.add(Entry(path, sidecar))
        else:
            record.unlink()  # a crash came between the two; the sidecar is written first, so the drop is in raw/

    def add(self, entry: Entry) -> None:
        """Index an entry whose file and sidecar are in place."""
        sidecar = entry.sidecar
        if sidecar.address is not None:
            return  # a text is made of a drop, but only the link file itself says that the drop is done
        self._by_content[sidecar.kind, sidecar.category, sidecar.story, sidecar.origin.sha256] = entry
        self._by_category.setdefault((sidecar.kind, sidecar.category), {})[entry.path] = entry
        if sidecar.kind is Kind.VOICE and sidecar.task_id is None:
            self._without_task[entry.path] = entry
        else:
            self._without_task.pop(entry.path, None)

    def note_task(self, entry: Entry, task_id: str) -> None:
        """Record that a voice has its task, so that it never gets a second one by itself."""
        noted = Entry(entry.path, entry.sidecar.changed(task_id=task_id))
        noted.sidecar.write(sidecar_of(entry.path))
        self.add(noted)

    def of_category(self, kind: Kind, category: str) -> list[Entry]:
        """All entries of a kind in a category, in a fixed order."""
        found = self._by_category.get((kind, category), {})
        return [found[path] for path in sorted(found)]

    def without_task(self) -> list[Entry]:
        """Every voice no task was made of yet, in a fixed order."""
        return [self._without_task[path] for path in sorted(self._without_task)]

    def with_content(self, kind: Kind, category: str, story: str | None, sha256: str) -> Entry | None:
        """The entry that was dropped with these bytes, within what counts as one place for the kind."""
        return self._by_content.get((kind, category, story, sha256))
