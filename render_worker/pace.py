"""How fast a node has been lately, and which clips it has at hand, for those who hand out work."""

from __future__ import annotations

from collections import deque

from shared.records.metadata import CLIP_DIGITS, Metadata

_TASKS = 10
_CLIPS = 64


class Pace:
    """The last tasks of one node."""

    def __init__(self) -> None:
        self._tasks: deque[tuple[float, float]] = deque(maxlen=_TASKS)
        self._clips: dict[str, None] = {}

    def note(self, metadata: Metadata, seconds: float, took: float) -> None:
        """A task has become a video of so many `seconds`, which took so many seconds of the clock."""
        self._tasks.append((seconds, took))
        for name in metadata.video_files:
            clip = metadata.inputs[name].sha256[:CLIP_DIGITS]
            self._clips.pop(clip, None)
            self._clips[clip] = None
        for old in list(self._clips)[:-_CLIPS]:
            del self._clips[old]

    @property
    def speed(self) -> float | None:
        """Seconds of video made in a second; None before the first."""
        took = sum(took for _, took in self._tasks)
        return round(sum(seconds for seconds, _ in self._tasks) / took, 2) if took > 0 else None

    @property
    def clips(self) -> tuple[str, ...]:
        """The clips used last, in the form of the node's record."""
        return tuple(self._clips)
