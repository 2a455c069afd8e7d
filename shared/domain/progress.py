"""ffmpeg's ``-progress`` output, line by line (documented in ffmpeg's manual under *Advanced options*)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """How far ffmpeg is: frames written, seconds of output, frames per second, and speed (1.0 is real time)."""

    frame: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    speed: float = 0.0
    ended: bool = False

    def with_line(self, line: str) -> Progress:
        """The progress after one more ``key=value`` line; lines that say nothing (``N/A``) change nothing."""
        key, _, value = line.strip().partition("=")
        try:
            return self._with(key, value.strip())
        except ValueError:
            return self

    def _with(self, key: str, value: str) -> Progress:
        match key:
            case "frame":
                return replace(self, frame=int(value))
            case "out_time_us":
                return replace(self, seconds=max(0, int(value)) / 1_000_000)
            case "fps":
                return replace(self, fps=float(value))
            case "speed":
                return replace(self, speed=float(value.removesuffix("x")))
            case "progress":
                return replace(self, ended=value == "end")
            case _:
                return self
