"""How the farm is, read from its folders: what alerts are decided from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from main_worker.alerts.deciding import NodeView, View
from shared.domain.layout import REASON, REASON_SUFFIX, Layout
from shared.domain.task import TaskState
from shared.nodes import Nodes, Seen
from shared.records.main import MainRecord
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Store

_MOST_READ = 200  # waiting tasks whose profile is read in one look; a queue tells its profiles over some looks
_UNREAD = "unread"  # the code of a failed task whose reason cannot be read


class Viewing:
    """Looks at one root again and again; `marks` say by folder when the newest entry that was seen came there.

    They are times of the filesystem (st_ctime_ns), so that no clock of another machine is compared with them.
    """

    def __init__(self, layout: Layout, nodes: Nodes, marks: Mapping[str, int]) -> None:
        self._layout = layout
        self._store = Store(layout)
        self._nodes = nodes
        self.marks = dict(marks)
        self._came: dict[Path, dict[str, int]] = {}
        self._codes: dict[str, str] = {}
        self._profiles: dict[str, str] = {}

    def look(self) -> View:
        """The farm as it is now.

        Raises:
            OSError: a folder cannot be read.
        """
        waiting = self._store.ids(TaskState.WAITING)
        finished = self._seen(self._layout.state(TaskState.FINISHED), self._store.ids(TaskState.FINISHED))
        failed = self._seen(self._layout.state(TaskState.FAILED), self._store.ids(TaskState.FAILED))
        self._codes = {task: self._codes.get(task) or self._code(task) for task in failed}
        return View(
            finished=finished,
            failed=self._codes,
            rejected=self._seen(self._layout.invalid, self._explained()),
            waiting=len(waiting),
            processing=len(self._store.ids(TaskState.PROCESSING)),
            wanted=self._wanted(waiting),
            nodes={name: _node(seen) for name, seen in self._nodes.look().items()},
            free_bytes=self._free_bytes(),
            paused=self._paused(),
        )

    def earlier(self, view: View, marks: Mapping[str, int]) -> View | None:
        """What of a view had been there when the marks were made; None where there are none."""
        if not marks:
            return None

        def old(folder: Path) -> frozenset[str]:
            mark = marks.get(self._name(folder), 0)
            return frozenset(name for name, came in self._came[folder].items() if came <= mark)

        failed = old(self._layout.state(TaskState.FAILED))
        return replace(
            View(),
            finished=old(self._layout.state(TaskState.FINISHED)),
            failed={task: code for task, code in view.failed.items() if task in failed},
            rejected=old(self._layout.invalid),
        )

    def _seen(self, folder: Path, names: Iterable[str]) -> frozenset[str]:
        """Names in a folder, those noted that are new there."""
        known = self._came.get(folder, {})
        came = {name: known.get(name) or _came(folder / name) for name in names}
        self._came[folder] = came
        key = self._name(folder)
        self.marks[key] = max([self.marks.get(key, 0), *(came[name] for name in came.keys() - known.keys())])
        return frozenset(came)

    def _name(self, folder: Path) -> str:
        return str(self._layout.relative(folder))

    def _explained(self) -> list[str]:
        """The explanations of rejected drops; one is written before its drop is moved, and may be taken back."""
        try:
            names = set(os.listdir(self._layout.invalid))  # noqa: PTH208
        except FileNotFoundError:
            return []
        return [name for name in names if name.endswith(REASON_SUFFIX) and name.removesuffix(REASON_SUFFIX) in names]

    def _code(self, task_id: str) -> str:
        with suppress(OSError, RecordError):
            return Reason.read(self._layout.task(TaskState.FAILED, task_id) / REASON).code
        return _UNREAD

    def _wanted(self, waiting: list[str]) -> frozenset[str]:
        self._profiles = {task: profile for task in waiting if (profile := self._profiles.get(task))}
        for task in islice((task for task in waiting if task not in self._profiles), _MOST_READ):
            with suppress(OSError, RecordError):
                self._profiles[task] = self._store.metadata(TaskState.WAITING, task).render.profile
        return frozenset(self._profiles.values())

    def _free_bytes(self) -> int | None:
        with suppress(OSError):
            return shutil.disk_usage(self._layout.root).free
        return None

    def _paused(self) -> str | None:
        with suppress(OSError, RecordError):
            record = MainRecord.read(self._layout.main_record)
            return (record.trouble or "it does not say why") if record.state == "paused" else None
        return None


def _came(path: Path) -> int:
    """When an entry got its name, which a rename counts as a change (st_ctime_ns)."""
    with suppress(OSError):
        return path.lstat().st_ctime_ns
    return 0


def _node(seen: Seen) -> NodeView:
    record = seen.record
    work = record.task_id or record.label
    return NodeView(
        life=seen.life,
        state=record.state,
        why=record.why or "",
        beat=(record.pid, record.counter),
        work=(work, record.phase or "", record.percent or 0.0) if work else None,
        profiles=None if record.profiles is None else frozenset(record.profiles),
    )
