"""How far work is, counted over all its runs of ffmpeg: phase, percent, frames per second, speed, seconds to go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from shared.domain.progress import Progress


@dataclass(frozen=True)
class Report:
    """Progress of some work: the phase, percent of it all; of the phase frames per second, speed, and seconds to go."""

    phase: str
    percent: float
    fps: float
    speed: float
    eta_seconds: float | None


class Work:
    """Work on a video of `rate` frames per second, phase after phase; several threads may tell of it."""

    def __init__(self, rate: Fraction, on_report: Callable[[Report], None]) -> None:
        self._rate = float(rate)
        self._on_report = on_report
        self._mutex = threading.Lock()
        self._way: Mapping[str, float] = {}
        self._phase, self._percent = "", 0.0
        self._frames, self._reached = 0, 0
        self._began = time.monotonic()

    def set_out(self, way: Mapping[str, float]) -> None:
        """All phases that lie ahead, in their order, each with what it costs; what was done before counts no more."""
        with self._mutex:
            self._way, self._percent = way, 0.0

    def begin(self, phase: str, frames: int = 0) -> None:
        """A phase of so many frames begins."""
        with self._mutex:
            self._phase, self._frames, self._reached = phase, frames, 0
            self._began = time.monotonic()
            self._tell(0.0, 0.0, None)

    def add(self, frames: int) -> None:
        """So many frames more of this phase are done."""
        with self._mutex:
            self._reached = min(self._frames, self._reached + frames)
            fps = self._pace()
            self._tell(fps, fps / self._rate, self._left(fps))

    def at(self, progress: Progress) -> None:
        """The one ffmpeg that does this phase has come so far; where it counts no frames, its time says how far."""
        with self._mutex:
            self._reached = min(self._frames, max(progress.frame, round(progress.seconds * self._rate)))
            fps = progress.fps or self._pace()  # of work that is quickly done ffmpeg tells 0
            self._tell(fps, progress.speed or fps / self._rate, self._left(fps))

    def end(self) -> None:
        """All of it is done."""
        with self._mutex:
            self._percent = 100.0
            self._tell(0.0, 0.0, None)

    def _pace(self) -> float:
        took = time.monotonic() - self._began
        return self._reached / took if took else 0.0

    def _left(self, fps: float) -> float | None:
        return (self._frames - self._reached) / fps if fps else None

    def _tell(self, fps: float, speed: float, left: float | None) -> None:
        """Report, in the order in which things happened; what has to be done again does not turn percent back."""
        phases = list(self._way)
        before = sum(self._way[phase] for phase in phases[: phases.index(self._phase)]) if self._phase in phases else 0
        share = self._reached / self._frames if self._frames else 0.0
        whole = sum(self._way.values())
        if whole:
            reached = (before + share * self._way.get(self._phase, 0.0)) / whole
            self._percent = max(self._percent, min(100.0, 100 * reached))
        self._on_report(Report(self._phase, self._percent, fps, speed, left))
