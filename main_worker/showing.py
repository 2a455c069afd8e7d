"""Links finished videos by their story's name: those of far nodes, and those that a crash left without a link."""

from __future__ import annotations

from shared import by_story
from shared.domain.errors import MachineTrouble
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.log import Logger
from shared.records.record import RecordError
from shared.store import Store


class Showing:
    """Each video is looked at once by a main worker."""

    def __init__(self, store: Store, log: Logger) -> None:
        self._store = store
        self._log = log
        self._known: frozenset[str] = frozenset()

    def look(self) -> None:
        """Link what has finished since the last look."""
        try:
            finished = frozenset(self._store.ids(TaskState.FINISHED))
        except OSError as error:
            self._log.warning(str(as_machine_trouble(error, "cannot look for finished videos")), name="view_late")
            return
        for task_id in finished - self._known:
            try:
                by_story.show(self._store.layout, self._store.metadata(TaskState.FINISHED, task_id))
            except (OSError, RecordError, MachineTrouble) as error:
                self._log.warning(f"Cannot link output/{task_id} by its story: {error}", name="view_late")
        self._known = finished
