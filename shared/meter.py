"""The loudness meter of EBU R128 as ffmpeg has it: the filter that measures, and what it says."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.domain.errors import MachineTrouble
from shared.domain.loudness import BLOCK_SECONDS, BLOCK_STEP_SECONDS, SILENCE_LUFS, Block, integrated
from shared.domain.media import LoudnessFacts

RATE = 48_000
_UNFILLED = -120.0  # what the meter says of a block that lies before the beginning
# A mono sound is spread over both sides with the power it has, 3 dB less on each. Whoever plays it at its full level on
# both, plays it 3 LU louder than what is measured.
STEREO = f"aresample={RATE},aformat=channel_layouts=stereo"
METER = "ebur128=peak=true:framelog=quiet"
"""Passes a sound on and measures it; reports on standard error when all is over, at ffmpeg's log level ``info``."""

LOUDNESS = "ebur128=framelog=quiet"
"""The same without the true peak, which takes longest."""

METER_AND_BLOCKS = "ebur128=metadata=1:peak=true:framelog=quiet,ametadata=mode=print:key=lavfi.r128.M:file=-:direct=1"
"""The same as :data:`METER`, and it writes the momentary loudness to standard output every 100 ms."""

MOMENTARY = "ebur128=metadata=1:peak=true:framelog=quiet,ametadata=mode=print:file=-:direct=1"
"""Passes a sound on and writes all that it measures to standard output every 100 ms."""

_FIGURES = {
    "integrated": r"\bI:\s+(\S+) LUFS",
    "range": r"\bLRA:\s+(\S+) LU",
    "true_peak": r"\bPeak:\s+(\S+) dBFS",
    "threshold": r"\bI:\s+\S+ LUFS\s+Threshold:\s+(\S+) LUFS",
}


def summary_of(report: str) -> LoudnessFacts:
    """The figures in what :data:`METER` left at the end of standard error; silence has a peak of minus infinity.

    Raises:
        MachineTrouble: there are none.
    """
    integrated, spread, peak, gate = (
        _figure(report, name) for name in ("integrated", "range", "true_peak", "threshold")
    )
    return LoudnessFacts(integrated, spread, peak, threshold=gate)


def integrated_of(report: str) -> float:
    """The integrated loudness, in LUFS, in what :data:`LOUDNESS` left.

    Raises:
        MachineTrouble: there is none.
    """
    return _figure(report, "integrated")


def _figure(report: str, name: str) -> float:
    _, _, summary = report.rpartition("Summary:")
    found = re.search(_FIGURES[name], summary)
    if not found:
        raise MachineTrouble(f"ffmpeg's ebur128 said nothing that can be read: {report[-200:]!r}")
    return float(found[1])


@dataclass(frozen=True)
class Heard:
    """All of a sound, or a part of it, as :data:`MOMENTARY` measures it; the true peak is in dBTP."""

    blocks: tuple[Block, ...] = ()
    true_peak: float = -math.inf

    @property
    def loudness(self) -> float:
        """Integrated loudness, in LUFS."""
        return integrated([block.level for block in self.blocks])


SILENT = Heard()


def put_together(parts: Sequence[Heard]) -> Heard:
    """One sound of its parts; the few blocks that lie across their borders are not in it."""
    blocks = tuple(block for part in parts for block in part.blocks)
    return Heard(blocks, max((part.true_peak for part in parts), default=-math.inf))


@dataclass
class Listening:
    """Reads what :data:`MOMENTARY` writes, line by line.

    Attributes:
        start: when in the whole sound the part begins that is listened to, in seconds.
    """

    start: float = 0.0
    _end: float = 0.0
    _peak: float = 0.0
    _blocks: list[Block] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take in a line; lines about other things are passed over."""
        if line.startswith("frame:"):
            self._end = self.start + float(line.rpartition(":")[2]) + BLOCK_STEP_SECONDS
        elif line.startswith("lavfi.r128.M="):
            level = float(line.rpartition("=")[2])
            if level > _UNFILLED or self._end - self.start >= BLOCK_SECONDS:
                self._blocks.append(Block(self._end, max(SILENCE_LUFS, level)))
        elif line.startswith("lavfi.r128.true_peak="):
            self._peak = max(self._peak, float(line.rpartition("=")[2]))

    def heard(self) -> Heard:
        """What was heard so far."""
        return Heard(tuple(self._blocks), round(20 * math.log10(self._peak), 2) if self._peak else -math.inf)
