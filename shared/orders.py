"""What operators tell the nodes: small files that count as soon as they are there."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path, PurePosixPath

from shared.domain.layout import METADATA, Layout
from shared.domain.task import TaskState
from shared.records.metadata import Metadata
from shared.records.orders import Order, OrdersRecord
from shared.records.record import RecordError
from shared.tree.local import LocalTree
from shared.tree.tree import Tree


class Orders:
    """The standing orders of one root; `node` None means the whole farm."""

    def __init__(self, layout: Layout, tree: Tree | None = None) -> None:
        self._layout = layout
        self._tree = tree or LocalTree(layout.root)

    def read(self, node: str | None = None) -> OrdersRecord:
        """What has been ordered.

        Raises:
            RecordError: the file is damaged.
        """
        try:
            path = self._layout.orders_of(node)
            return OrdersRecord.from_bytes(self._tree.read(self._layout.relative(path)), str(path))
        except FileNotFoundError:
            return OrdersRecord()

    def pause(self, order: Order, node: str | None = None) -> None:
        self._write(node, self._readable(node).changed(pause=order))

    def resume(self, node: str | None = None) -> bool:
        """Take a pause back; False where there was none."""
        before = self._readable(node)
        self._write(node, before.changed(pause=None))
        return before.pause is not None

    def drain(self, order: Order, node: str) -> None:
        self._write(node, self._readable(node).changed(drain=order))

    def drained(self, node: str) -> None:
        """Take back the order to drain: it was carried out, or was meant for a worker that is gone."""
        before = self.read(node)
        if before.drain:
            self._write(node, before.changed(drain=None))

    def set_hours(self, hours: tuple[str, ...], node: str) -> None:
        """Have a node work in these hours only; none: always."""
        self._write(node, self._readable(node).changed(hours=hours))

    def prioritise(self, task_id: str, priority: int) -> TaskState | None:
        """Give a task another priority; returns where it is, or None where it neither waits nor is in work.

        Raises:
            RecordError: its metadata is damaged.
        """
        for state in (TaskState.WAITING, TaskState.PROCESSING, TaskState.WAITING):  # the last for one moving back
            path = self._layout.relative(self._layout.task(state, task_id) / METADATA)
            with suppress(FileNotFoundError):
                changed = Metadata.from_bytes(self._tree.read(path), str(path)).changed(priority=priority)
                self._make_folder(self._layout.orders)
                self._make_folder(self._layout.priorities)
                self._tree.replace(path, changed.to_bytes(), by=self._drafts)
                mark = self._layout.priorities / f"{task_id}.{secrets.token_hex(4)}"
                self._tree.create(self._layout.relative(mark), b"", by=self._drafts)
                return state
        return None

    def _readable(self, node: str | None) -> OrdersRecord:
        """What stands there, or a clean sheet where that is damaged: an order that is given now must count."""
        with suppress(RecordError):
            return self.read(node)
        return OrdersRecord()

    def _write(self, node: str | None, orders: OrdersRecord) -> None:
        self._make_folder(self._layout.orders)
        self._tree.replace(self._layout.relative(self._layout.orders_of(node)), orders.to_bytes(), by=self._drafts)

    def _make_folder(self, folder: Path) -> None:
        with suppress(FileExistsError):
            self._tree.make_folder(self._layout.relative(folder))

    @property
    def _drafts(self) -> PurePosixPath:
        return self._layout.relative(self._layout.drafts)


def task_of(mark: str) -> str:
    """The task whose priority was changed, from the name of the file that says so; each change has one of its own."""
    return mark.partition(".")[0]
