"""The main worker's care for its nodes: it watches them, and suggests to each the tasks that fit it best."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from itertools import islice

from main_worker.nodes.assignment import Offer, Wish, assign
from main_worker.nodes.watching import Watching
from main_worker.showing import Showing
from shared.domain.layout import Layout
from shared.domain.node import Life
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, make_folder, write_hint
from shared.log import Logger
from shared.nodes import Nodes, Seen
from shared.queue import Queue
from shared.records.agenda import AgendaRecord
from shared.records.main import NodeVerdict
from shared.records.metadata import CLIP_DIGITS
from shared.records.record import RecordError, utc_now
from shared.store import Store

_SECONDS = 2.0
_SHARE = 20
_EACH = 10  # tasks on a list; it is written again long before they are rendered
_MOST_LISTED = 3000  # on all lists; with more nodes they are shorter
_AHEAD = 3  # times as many tasks are looked at as can be handed out, since not every node makes all


class Handing:
    """One main worker's care for its nodes."""

    def __init__(
        self, layout: Layout, store: Store, nodes: Nodes, watching: Watching, showing: Showing, log: Logger
    ) -> None:
        self._layout = layout
        self._store = store
        self._nodes = nodes
        self._watching = watching
        self._showing = showing
        self._show_at = 0.0
        self._log = log
        self._queue = Queue(store)
        self._wishes: dict[str, Wish] = {}
        self._lists: dict[str, tuple[str, ...]] = {}
        self._said = ""
        self.verdicts: tuple[NodeVerdict, ...] = ()

    def keep_watch(self, ended: threading.Event) -> None:
        """Look now and then until `ended`; meant for a thread of its own, so that much in ``raw/`` hinders nobody."""
        while True:
            try:
                self.look()
                self._show()
            except OSError as error:
                trouble = str(as_machine_trouble(error, "cannot look after the nodes"))
                if trouble != self._said:
                    self._log.warning(trouble, name="nodes_trouble")
                self._said = trouble
            if ended.wait(_SECONDS):
                return

    def _show(self) -> None:
        """Link new videos, as rarely as a twentieth of the time allows: there may be a hundred thousand."""
        if (started := time.monotonic()) >= self._show_at:
            self._showing.look()
            self._show_at = time.monotonic() + max(_SECONDS, _SHARE * (time.monotonic() - started))

    def look(self) -> None:
        """Judge the nodes, and write their lists where these have changed."""
        nodes = self._nodes.look()
        self.verdicts = self._watching.look(nodes)
        offers = [_offer(seen) for seen in nodes.values() if _takes_tasks(seen)]
        lists = self._suggestions(offers) if offers else {}
        make_folder(self._layout.agenda("any").parent)
        for node in self._lists.keys() - lists.keys():
            self._layout.agenda(node).unlink(missing_ok=True)
        for node, tasks in lists.items():
            if self._lists.get(node) != tasks:
                write_hint(self._layout.agenda(node), AgendaRecord(tasks=tasks, made_at=utc_now()).to_bytes())
        self._lists = lists

    def _suggestions(self, offers: list[Offer]) -> dict[str, tuple[str, ...]]:
        self._queue.look()
        for gone in self._wishes.keys() - self._queue.ids:
            del self._wishes[gone]
        each = max(1, min(_EACH, _MOST_LISTED // len(offers)))
        first = islice(self._queue.tasks(), _AHEAD * each * len(offers))
        wishes = [wish for ticket in first if (wish := self._wish(ticket.task_id))]
        return {node: tuple(tasks) for node, tasks in assign(wishes, offers, each).items()}

    def _wish(self, task_id: str) -> Wish | None:
        if task_id not in self._wishes:
            with suppress(OSError, RecordError):
                metadata = self._store.metadata(TaskState.WAITING, task_id)
                clips = frozenset(metadata.inputs[name].sha256[:CLIP_DIGITS] for name in metadata.video_files)
                self._wishes[task_id] = Wish(task_id, metadata.render.profile, metadata.voice_duration, clips)
        return self._wishes.get(task_id)


def _takes_tasks(seen: Seen) -> bool:
    return seen.life is not Life.DEAD and seen.record.takes_tasks


def _offer(seen: Seen) -> Offer:
    record = seen.record
    profiles = None if record.profiles is None else frozenset(record.profiles)
    return Offer(record.node, profiles, record.pace, frozenset(record.clips))
