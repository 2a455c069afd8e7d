"""A node that fails tasks which others then render is set aside, by itself, until a test of its own goes well."""

from __future__ import annotations

from collections.abc import Callable

from shared.domain.task import TaskState
from shared.records.record import RecordError
from shared.store import Store
from shared.tree.tree import Unreachable

MOST_WRONG = 3
"""Tasks that failed here and were rendered elsewhere, with none rendered here in between."""
_FIRST_SECONDS = 60.0
_MOST_SECONDS = 3600.0


class Health:
    """What one node has failed since it last rendered a task, and what became of that."""

    def __init__(self, store: Store, node: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._failed: set[str] = set()
        self._wrong = 0
        self._rest = _FIRST_SECONDS
        self._test_at: float | None = None

    @property
    def is_set_aside(self) -> bool:
        return self._test_at is not None

    @property
    def is_test_due(self) -> bool:
        return self._test_at is not None and self._clock() >= self._test_at

    @property
    def why(self) -> str:
        return f"{self._wrong} tasks that failed here were rendered by other nodes; it tests itself and comes back"

    def failed(self, task_id: str) -> None:
        """A task failed here."""
        self._failed.add(task_id)

    def succeeded(self) -> None:
        """A task was rendered here: whatever was wrong is not wrong with everything."""
        self._failed.clear()
        self._wrong, self._rest = 0, _FIRST_SECONDS

    def look(self) -> bool:
        """See what became of what failed here; whether the node has to be set aside for that, just now."""
        for task_id in tuple(self._failed):
            try:
                state = self._store.find(task_id)
                if state is TaskState.FINISHED:
                    self._wrong += self._store.rendered_by(task_id) != self._node
                if state in (TaskState.FINISHED, TaskState.FAILED, None):
                    self._failed.discard(task_id)
            except Unreachable:  # nobody waits for the link once more for each of them
                break
            except (OSError, RecordError):
                continue
        if self._wrong < MOST_WRONG or self.is_set_aside:
            return False
        self._test_at = self._clock() + self._rest
        return True

    def tested(self, *, well: bool) -> None:
        """A test has ended. After a good one the node works again; one more wrong failure sets it aside for longer."""
        self._rest = min(2 * self._rest, _MOST_SECONDS)
        self._test_at = None if well else self._clock() + self._rest
        self._wrong = MOST_WRONG - 1 if well else self._wrong
