"""Where one lane leaves a thing for the next, which takes it when it is ready."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Room for one thing between two threads, which may also take it back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._thing: T | None = None
        self._wanted = False

    @property
    def thing(self) -> T | None:
        """What lies there."""
        return self._thing

    @property
    def is_wanted(self) -> bool:
        """Whether whoever takes things here has nothing else to do."""
        return self._wanted

    def put(self, thing: T, seconds: float) -> bool:
        """Leave a thing, as soon as there is room; False where there was none for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._thing is None, seconds):
                return False
            self._thing = thing
            self._changed.notify_all()
            return True

    def take(self, seconds: float) -> T | None:
        """Take what is there or comes within so many seconds; until there is something, it is wanted."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._thing is not None, seconds):
                return None
            self._wanted = False
            return self._out()

    def take_back(self) -> T | None:
        """What nobody has taken, if there is such a thing."""
        with self._changed:
            return self._out()

    def wait_until_wanted(self, seconds: float) -> bool:
        """Whether something is wanted and nothing is there, at the latest after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._wanted and self._thing is None, seconds)

    def wait_for_room(self, seconds: float) -> bool:
        """Whether nothing is there, at the latest after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thing is None, seconds)

    def _out(self) -> T | None:
        thing, self._thing = self._thing, None
        self._changed.notify_all()
        return thing
