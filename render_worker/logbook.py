"""Writes down on the root what a node did, a line for each task and one a minute, in a file of its own for each day."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from render_worker.worklog import Worklog
from shared.files import as_machine_trouble
from shared.log import Logger
from shared.records.figures import FiguresLine
from shared.store import Store
from shared.tree.tree import AlreadyThere, NotThere

_SECONDS = 1.0  # what a crash loses of a task that has just ended
_MOST_KEPT = 10_000  # lines that wait for a link that is down; the oldest go first


class Logbook:
    """One node's book, kept from :meth:`start` to :meth:`stop` by a thread of its own, so that no work waits for it."""

    def __init__(
        self, worklog: Worklog, store: Store, node: str, log: Logger, now: Callable[[], float] = time.time
    ) -> None:
        """`now`: the time in seconds since 1970 (UTC)."""
        self._worklog = worklog
        self._store = store
        self._node = node
        self._log = log
        self._now = now
        self._lines: deque[FiguresLine] = deque(maxlen=_MOST_KEPT)
        self._file: Path | None = None
        self._length = 0
        self._is_own = False
        self._said = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="figures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write down the rest, and end."""
        self._ended.set()
        self._thread.join()
        self.write(all_of_it=True)

    def write(self, *, all_of_it: bool = False) -> None:
        """Write what there is; what cannot be written now is kept, and the trouble told once."""
        for entry in self._worklog.take(all_of_it=all_of_it):
            outcome = entry.outcome.value if entry.outcome else None
            self._lines.append(FiguresLine.of(self._now(), entry.counts, entry.task_id, outcome))
        try:
            while self._lines:
                self._write_day(self._lines[0].at[:10])
        except OSError as error:
            trouble = str(as_machine_trouble(error, "cannot write down what this node did; it is tried again"))
            if trouble != self._said:
                self._log.warning(trouble, name="figures_late", node=self._node)
            self._said = trouble
        else:
            self._said = ""

    def _keep(self) -> None:
        while not self._ended.wait(_SECONDS):
            self.write()

    def _write_day(self, day: str) -> None:
        """Write the first of the lines, as far as they are of one day."""
        path = self._store.layout.figures_of(day, self._node)
        content, count = b"", 0
        for line in self._lines:
            if line.at[:10] != day:
                break
            content, count = content + line.to_line(), count + 1
        if path != self._file:
            self._length = self._begin(path)
            self._file = path
        if self._length and not self._is_own:
            content = b"\n" + content  # an earlier process of this node may have been killed amid a line
        try:
            self._store.tree.extend(self._store.at(path), self._length, content)
        except NotThere:
            self._file = None  # somebody removed the folder: it is made again at the next try
            raise
        self._length, self._is_own = self._length + len(content), True
        for _ in range(count):
            self._lines.popleft()

    def _begin(self, path: Path) -> int:
        """Have the folder of a day; how long the file is already."""
        self._is_own = False
        for folder in (path.parent.parent, path.parent):
            with suppress(AlreadyThere):
                self._store.tree.make_folder(self._store.at(folder))
        try:
            return self._store.tree.size(self._store.at(path))
        except NotThere:
            return 0
