"""A thread that does one thing after another for as long as its worker lives."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager


class Lane(ABC):
    """Turn after turn until `stop` is set; a fault in a turn ends the worker, not this thread alone."""

    def __init__(self, name: str, stop: threading.Event) -> None:
        self._stop = stop
        self._marked = time.monotonic()
        self._waits = False
        self._thread = threading.Thread(target=self._run, name=name)
        self.fault: Exception | None = None

    @abstractmethod
    def turn(self) -> float:
        """Do what is to be done now; returns the seconds to wait before the next turn."""

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def mark(self) -> None:
        """The work moves on; to be called within a turn that takes long."""
        self._marked = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What is done in here is a wait that is meant, which is no silence."""
        self._waits = True
        try:
            yield
        finally:
            self.mark()
            self._waits = False

    def moves(self, silence: float) -> bool:
        """Whether it has shown within so many seconds that its work moves on, or waits because it is meant to."""
        return self._waits or time.monotonic() - self._marked < silence

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.mark()
                seconds = self.turn()
                with self.waiting():
                    self._stop.wait(seconds)
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for this thread
            self.fault = error
            self._stop.set()
