"""Counts what the nodes have written down into the figures of the farm and of each node, reading every line once."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.domain.figures import Counts, Ledger, Window, begin_of, by_window
from shared.domain.layout import Layout
from shared.records.figures import FiguresLine, FiguresRecord
from shared.records.record import RecordError, utc_now

_LINES = ".jsonl"


@dataclass
class Tally:
    """One reader's count; for one thread.

    Attributes:
        news: what each node did since this tally was first made, lines of before not counted.
        damaged: lines that could not be read.
        unread: files that could not be read at the last look, and why.
    """

    layout: Layout
    news: dict[str, Counts] = field(default_factory=dict)
    damaged: int = 0
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._ledgers: dict[str, Ledger] = defaultdict(Ledger)
        self._read: dict[Path, int] = {}
        self._has_looked = False

    def look(self, now: float) -> None:
        """Read what has been written since the last look, as of now (seconds since 1970, UTC)."""
        began = begin_of(Window.LAST_DAY, now)
        # The clocks of nodes differ: what one wrote after its midnight, and before ours, lies in the next folder.
        first = (datetime.fromtimestamp(began, UTC) - timedelta(hours=1)).date().isoformat()
        found: dict[Path, int] = {}
        unread = []
        for folder in sorted(name for name in _names(self.layout.figures) if name >= first):
            for name in _names(self.layout.figures / folder):
                if name.endswith(_LINES) and not name.startswith("."):
                    path = self.layout.figures / folder / name
                    try:
                        found[path] = self._read_on(path, self._read.get(path, 0))
                    except OSError as error:
                        found[path] = self._read.get(path, 0)
                        unread.append(f"{self.layout.relative(path)}: {error.strerror or error}")
        self._read, self._has_looked, self.unread = found, True, tuple(unread)
        for ledger in self._ledgers.values():
            ledger.forget_before(began)

    def record(self, now: float) -> FiguresRecord:
        """The figures of what was read, over windows that end now."""
        windows = {window: by_window(self._ledgers, window, now) for window in Window}
        return FiguresRecord(
            made_at=utc_now(),
            since={window.value: _as_words(begin_of(window, now)) for window in Window},
            farm={window.value: farm for window, (farm, _) in windows.items()},
            nodes={
                node: {window.value: nodes[node] for window, (_, nodes) in windows.items()}
                for node in sorted(self._ledgers)
            },
            damaged_lines=self.damaged,
            unread=self.unread,
        )

    def _read_on(self, path: Path, offset: int) -> int:
        """Count the lines behind an offset; returns where the next one will begin. One without its end is yet to be."""
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size <= offset:
                return offset
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                if line.strip():
                    self._count(path, line)
        return offset

    def _count(self, path: Path, content: bytes) -> None:
        node = path.name.removesuffix(_LINES)
        try:
            line = FiguresLine.from_bytes(content, str(path))
        except RecordError:
            self.damaged += 1  # told by whoever shows the figures: what a power loss cut off is no trouble to mend
            return
        self._ledgers[node].add(line.seconds, line.counts)
        if self._has_looked:
            self.news[node] = self.news.get(node, Counts()) + line.counts
        else:
            self.news.setdefault(node, Counts())


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except (FileNotFoundError, NotADirectoryError):
        return []


def _as_words(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
