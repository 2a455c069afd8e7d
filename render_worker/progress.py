"""How far a render is, counted over all its runs of ffmpeg: phase, percent, frames per second, speed, seconds to go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress

# About what joining one frame, with its share of the sound, costs of what conforming one does; only the percentage that
# is shown depends on it.
_JOIN_SHARE = 0.01


@dataclass(frozen=True)
class Report:
    """Progress of one render: what is being done, percent of it all, frames per second, speed, seconds to go."""

    phase: str
    percent: float
    fps: float
    speed: float
    eta_seconds: float | None


class Work:
    """The frames of one render that are done; told by several threads."""

    def __init__(self, plan: RenderPlan, on_report: Callable[[Report], None]) -> None:
        self._plan = plan
        self._on_report = on_report
        self._mutex = threading.Lock()
        self._conform, self._conformed, self._joined = 0, 0, 0
        self._phase, self._percent = "", 0.0
        self._began = time.monotonic()

    def begin(self, phase: str, frames: int = 0) -> None:
        """A phase begins; `frames` more are to be conformed in it."""
        with self._mutex:
            self._phase, self._began = phase, time.monotonic()
            self._conform += frames

    def add(self, frames: int) -> None:
        """So many frames more have been conformed."""
        with self._mutex:
            self._conformed = min(self._conform, self._conformed + frames)
            took = time.monotonic() - self._began
            fps = self._conformed / took if took else 0.0
            left = (self._conform - self._conformed) / fps if fps else None
            self._tell(fps, fps / float(self._plan.canvas.rate), left)

    def at(self, progress: Progress) -> None:
        """The one ffmpeg that makes the video, or joins it, has come so far."""
        with self._mutex:
            reached = max(progress.frame, round(progress.seconds * float(self._plan.canvas.rate)))
            self._joined = min(self._plan.frames, reached)
            left = (self._plan.frames - self._joined) / progress.fps if progress.fps else None
            self._tell(progress.fps, progress.speed, left)

    def _tell(self, fps: float, speed: float, left: float | None) -> None:
        """Report, in the order in which things happened; what has to be made again does not turn percent back."""
        whole = self._conform + self._plan.frames * _JOIN_SHARE
        reached = 100 * (self._conformed + self._joined * _JOIN_SHARE) / whole
        self._percent = max(self._percent, reached)
        self._on_report(Report(self._phase, self._percent, fps, speed, left))
