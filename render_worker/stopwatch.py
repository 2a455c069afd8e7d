"""How long each phase of a render takes."""

from __future__ import annotations

import time


class Stopwatch:
    """Laps, in seconds, by the name of their phase."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Add the time since the last lap to a phase."""
        now = time.monotonic()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._last, 3)
        self._last = now
