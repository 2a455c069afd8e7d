"""How fast a node may carry: one limit for all its threads and both directions."""

from __future__ import annotations

import threading
import time

from shared.domain.bucket import Bucket, spend

_BURST_SECONDS = 0.25  # what may go at once; more would be felt by others on the line, less costs a wait per block


class Bandwidth:
    """A limit in bytes per second, or none. Safe for several threads, who share it."""

    def __init__(self, bytes_per_second: int | None = None) -> None:
        self._rate = bytes_per_second
        self._burst = (bytes_per_second or 0) * _BURST_SECONDS
        self._bucket = Bucket(self._burst, time.monotonic())
        self._mutex = threading.Lock()

    def take(self, amount: int) -> None:
        """Wait until so many bytes may go."""
        if self._rate is None:
            return
        with self._mutex:
            self._bucket, wait = spend(self._bucket, time.monotonic(), amount, self._rate, self._burst)
        if wait:
            time.sleep(wait)
