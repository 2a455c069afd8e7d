"""A sound as it is heard, decoded again after it was encoded: how loud from moment to moment, and its true peak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from render_worker.limits import at_least, at_most, equal, near, told
from shared.domain.loudness import SILENCE_LUFS, integrated, mean
from shared.domain.mix import TOLERANCE_LU
from shared.domain.pauses import Pause
from shared.domain.plan import RenderPlan
from shared.records.render import Check

_BLOCK_SECONDS = 0.4
_STEP_SECONDS = 0.1
_UNFILLED = -120.0  # what the meter says of a block that lies before the beginning
_PEAK_DB = 0.05  # of tolerance: the meter prints thousandths of full scale
_LEADS_DB = 3.0  # music and room lie 12 dB under a voice; music in its place is as loud in the voice's pauses
_MEASURABLE_SECONDS = 0.5  # what is shorter may have no whole block
_ENOUGH_BLOCKS = 3  # to compare


@dataclass(frozen=True)
class Block:
    """400 ms of sound: when it ends, in seconds, and its loudness in LUFS."""

    end: float
    level: float

    def is_within(self, start: float, end: float) -> bool:
        return start <= self.end - _BLOCK_SECONDS and self.end <= end


@dataclass(frozen=True)
class Heard:
    """All of a sound, or a part of it; the true peak is in dBTP."""

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
    """Reads what :data:`shared.meter.MOMENTARY` writes, line by line.

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
            self._end = self.start + float(line.rpartition(":")[2]) + _STEP_SECONDS
        elif line.startswith("lavfi.r128.M="):
            level = float(line.rpartition("=")[2])
            if level > _UNFILLED or self._end - self.start >= _BLOCK_SECONDS:
                self._blocks.append(Block(self._end, max(SILENCE_LUFS, level)))
        elif line.startswith("lavfi.r128.true_peak="):
            self._peak = max(self._peak, float(line.rpartition("=")[2]))

    def heard(self) -> Heard:
        """What was heard so far."""
        return Heard(tuple(self._blocks), round(20 * math.log10(self._peak), 2) if self._peak else -math.inf)


def check_heard(heard: Heard, plan: RenderPlan, pauses: Sequence[Pause] | None) -> list[Check]:
    """Judge a sound by how it is heard. Pure.

    Args:
        pauses: of the voice, as measured when it was dropped; None where they are not known.
    """
    loudness, master = round(heard.loudness, 2), plan.master
    if master is None or plan.seconds < _MEASURABLE_SECONDS:
        checks = [told("loudness, LUFS", loudness), told("true peak, dBTP", heard.true_peak)]
    else:
        wanted = master.wanted.loudness_lufs
        checks = [
            at_most("loudness, LUFS", loudness, wanted + TOLERANCE_LU)
            if master.is_held
            else near("loudness, LUFS", loudness, wanted, TOLERANCE_LU),
            at_most("true peak, dBTP", heard.true_peak, master.wanted.true_peak_db + _PEAK_DB),
        ]
    if pauses is None:
        return checks
    spoken, paused = _apart(heard.blocks, pauses, plan.seconds)
    silent = sum(level <= SILENCE_LUFS for level in spoken)
    checks.append(equal("seconds of silence where somebody speaks", round(silent * _STEP_SECONDS, 1), 0.0))
    if master and min(len(spoken), len(paused)) >= _ENOUGH_BLOCKS:
        leads = round(mean(spoken) - mean(paused), 2)
        checks.append(at_least("voice over its pauses, dB", leads, _LEADS_DB))
    return checks


def _apart(blocks: Sequence[Block], pauses: Sequence[Pause], seconds: float) -> tuple[list[float], list[float]]:
    """The levels of blocks that lie within speech, and of those within pauses; both are in order of time."""
    spans: list[tuple[float, float, bool]] = []
    at = 0.0
    for start, end in pauses:
        spans += [(at, start, False), (start, end, True)]
        at = end
    spans.append((at, seconds, False))
    spoken: list[float] = []
    paused: list[float] = []
    left = iter(spans)
    span = next(left)
    for block in blocks:
        while block.end > span[1] and (following := next(left, None)):
            span = following
        if block.is_within(span[0], span[1]):
            (paused if span[2] else spoken).append(block.level)
    return spoken, paused
