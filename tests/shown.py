"""What a video shows: its decoded pictures, and what can be read off them."""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shared.ffmpeg import Ffmpeg

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""
Colour = tuple[float, float, float]

_DEADLINE = 60.0
_DARK = 40  # bars are black; the pictures of the tests are brighter than this at all their edges


@dataclass(frozen=True)
class Shown:
    """Pictures of one size, in RGB, eight bits each."""

    width: int
    height: int
    frames: tuple[bytes, ...]

    def mean(self, box: Box | None = None, frame: int = 0) -> Colour:
        """The mean colour of a box in one picture, or of all of it."""
        left, top, width, height = box or (0, 0, self.width, self.height)
        picture = self.frames[frame]
        starts = range((top * self.width + left) * 3, ((top + height) * self.width + left) * 3, self.width * 3)
        rows = [picture[start : start + width * 3] for start in starts]
        red, green, blue = (sum(sum(row[part::3]) for row in rows) / (width * height) for part in range(3))
        return red, green, blue

    def quarters(self, box: Box | None = None, frame: int = 0, margin: int = 0) -> list[Colour]:
        """The mean colours of the four quarters of a box: above left and right, below left and right.

        Args:
            margin: pixels that are left out at the edges of each quarter.
        """
        left, top, width, height = box or (0, 0, self.width, self.height)
        wide, high = width // 2, height // 2
        corners = [(left + x, top + y) for y in (0, height - high) for x in (0, width - wide)]
        return [self.mean((x + margin, y + margin, wide - 2 * margin, high - 2 * margin), frame) for x, y in corners]

    def bright(self, threshold: int = _DARK, frame: int = 0) -> Box:
        """The smallest box that has everything brighter than a threshold in any of the three colours."""
        rows = self._rows(frame)
        lit = [number for number, row in enumerate(rows) if max(row) > threshold]
        columns = bytes(map(max, zip(*(rows[number] for number in lit), strict=True)))
        across = [number for number in range(self.width) if max(columns[number * 3 : number * 3 + 3]) > threshold]
        return across[0], lit[0], across[-1] - across[0] + 1, lit[-1] - lit[0] + 1

    def combing(self, frame: int = 0) -> float:
        """How much each line differs from the mean of its neighbours, on average: high where fields are mixed."""
        rows = self._rows(frame)
        found = 0.0
        for above, line, below in zip(rows, rows[1:], rows[2:], strict=False):
            triples = zip(above, line, below, strict=True)
            found += sum(abs(2 * middle - over - under) for over, middle, under in triples)
        return found / (2 * self.width * 3 * (self.height - 2))

    def centre(self, frame: int = 0) -> float:
        """Where, from the left, the mean of all brightness lies."""
        columns = [0] * self.width
        for row in self._rows(frame):
            for number, value in enumerate(row[1::3]):
                columns[number] += value
        return sum(number * value for number, value in enumerate(columns)) / sum(columns)

    def _rows(self, frame: int) -> list[bytes]:
        picture, step = self.frames[frame], self.width * 3
        return [picture[start : start + step] for start in range(0, len(picture), step)]


def shown(ffmpeg: Ffmpeg, video: Path, width: int, height: int, filters: str = "null") -> Shown:
    """The pictures of a video after some filters, which have to leave it at `width` by `height`."""
    graph = f"{filters},format=gbrp,format=rgb24"
    command = [ffmpeg.path, "-nostdin", "-loglevel", "error", "-i", f"file:{video}", "-map", "0:V:0", "-vf", graph]
    raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    data = subprocess.run([*command, *raw], check=True, stdout=subprocess.PIPE, timeout=_DEADLINE).stdout
    step = width * height * 3
    assert len(data) % step == 0
    return Shown(width, height, tuple(data[start : start + step] for start in range(0, len(data), step)))


def psnr(one: bytes, other: bytes) -> float:
    """How alike two pictures are, in dB; from some 40 on nobody sees a difference."""
    assert len(one) == len(other)
    error = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / len(one)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def apart(one: Colour, other: Colour) -> float:
    """The largest difference of two colours in any of the three."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
