"""Counts the figures now and then, keeps them for `reelmill status`, and has them told; nothing waits for it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from contextlib import suppress

from main_worker.metrics.exporter import Exporter
from main_worker.metrics.families import View
from shared.domain.layout import REASON_SUFFIX, Layout
from shared.domain.node import Life
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, write_hint
from shared.log import Logger
from shared.nodes import Nodes
from shared.records.figures import FiguresRecord
from shared.settings import Metrics
from shared.store import Store
from shared.tally import Tally
from shared.version import PROGRAM

_SHARE = 20  # the part of the time that looking may take, where output/ is large or slow
_STATES = {
    TaskState.WAITING: "waiting",
    TaskState.PROCESSING: "processing",
    TaskState.FINISHED: "finished",
    TaskState.FAILED: "failed",
}


class Keeping:
    """One main worker's figures."""

    def __init__(self, settings: Metrics, layout: Layout, nodes: Nodes, log: Logger) -> None:
        self._settings = settings
        self._layout = layout
        self._store = Store(layout)
        self._nodes = nodes
        self._log = log
        self._tally = Tally(layout)
        self.exporter = Exporter(settings)
        self._said: frozenset[str] = frozenset()

    def keep_watch(self, ended: threading.Event) -> None:
        """Look until `ended`, and once more then; meant for a thread of its own."""
        while True:
            is_last = ended.is_set()
            started = time.monotonic()
            self.look(time.time())
            if is_last:
                break
            ended.wait(max(self._settings.look_seconds, _SHARE * (time.monotonic() - started)))
        try:
            self.exporter.close()
        except OSError as error:
            self._complain([str(as_machine_trouble(error, "cannot take the metrics away"))])

    def look(self, now: float) -> None:
        """Count, keep and tell the figures as of now (seconds since 1970, UTC)."""
        troubles = []
        try:
            self._tally.look(now)
            record = self._tally.record(now)
            troubles += [f"cannot read what a node did: {why}" for why in self._tally.unread]
            self._keep(record)
            if self._settings.listen or self._settings.textfile:
                self.exporter.families.view = self._view(record)
                troubles += [str(trouble) for trouble in self.exporter.tell()]
        except OSError as error:
            troubles.append(str(as_machine_trouble(error, "cannot count the figures")))
        self._complain(troubles)

    def _keep(self, record: FiguresRecord) -> None:
        write_hint(self._layout.figures_record, record.to_bytes())

    def _complain(self, troubles: list[str]) -> None:
        for trouble in troubles:
            if trouble not in self._said:
                self._log.warning(trouble, name="metrics_trouble")
        self._said = frozenset(troubles)

    def _view(self, record: FiguresRecord) -> View:
        seen = self._nodes.look().values()
        nodes = Counter(one.record.state if one.life is Life.ALIVE else one.life.value for one in seen)
        free = None
        with suppress(OSError):  # a disk that does not tell: the metric is left out, which says so
            free = shutil.disk_usage(self._layout.root).free
        return View(
            program=PROGRAM,
            record=record,
            tasks={words: len(self._store.ids(state)) for state, words in _STATES.items()},
            nodes=nodes,
            free_bytes=free,
            rejected=self._rejected(),
            news=dict(self._tally.news),
        )

    def _rejected(self) -> int:
        """Rejected drops; each has its explanation beside it."""
        try:
            names = set(os.listdir(self._layout.invalid))  # noqa: PTH208
        except FileNotFoundError:
            return 0
        return sum(f"{name}{REASON_SUFFIX}" in names for name in names)
