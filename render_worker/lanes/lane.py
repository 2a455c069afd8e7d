"""A thread that does one thing after another for as long as its worker lives."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod

_SILENT_SECONDS = 180.0  # a request over a broken link takes 70 s at most (shared/tree/link.py); a turn has several
_LONGEST_WAIT = 30.0  # after which it shows once more that it only waits


class Lane(ABC):
    """Turn after turn until `stop` is set; a fault in a turn ends the worker, not this thread alone."""

    def __init__(self, name: str, stop: threading.Event) -> None:
        self._stop = stop
        self._marked = time.monotonic()
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

    @property
    def moves(self) -> bool:
        """Whether it has shown lately that its work moves on."""
        return time.monotonic() - self._marked < _SILENT_SECONDS

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.mark()
                end = time.monotonic() + self.turn()
                while not self._stop.is_set() and (left := end - time.monotonic()) > 0:
                    self.mark()
                    self._stop.wait(min(left, _LONGEST_WAIT))
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for this thread
            self.fault = error
            self._stop.set()
