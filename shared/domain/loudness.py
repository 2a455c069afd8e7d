"""Loudness as ITU-R BS.1770 counts it: of blocks of 400 ms, one every 100 ms (*momentary* loudness), in LUFS."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.pauses import Pause

BLOCK_SECONDS, BLOCK_STEP_SECONDS = 0.4, 0.1
SILENCE_LUFS = -70.0  # the absolute gate: what lies below is no sound
_RELATIVE_GATE_LU = -10.0
_ENOUGH_BLOCKS = 3  # to be compared


@dataclass(frozen=True)
class Block:
    """400 ms of sound: when it ends, in seconds, and its loudness in LUFS."""

    end: float
    level: float

    def is_within(self, start: float, end: float) -> bool:
        return start <= self.end - BLOCK_SECONDS and self.end <= end


def integrated(momentary: Sequence[float]) -> float:
    """The loudness of a programme: the mean of the blocks that are not much quieter than the others.

    Silence, and what is shorter than a block, has :data:`SILENCE_LUFS`.
    """
    heard = [level for level in momentary if level > SILENCE_LUFS]
    gate = mean(heard) + _RELATIVE_GATE_LU
    return mean(level for level in heard if level > gate)


def gate_of(momentary: Sequence[float]) -> float:
    """The relative gate of a programme in which nothing is silent: where silence is filled, all of it counts."""
    return mean(momentary) + _RELATIVE_GATE_LU


def mean(levels: Iterable[float]) -> float:
    """The level of the mean power; :data:`SILENCE_LUFS` where there is nothing."""
    powers = [10 ** (level / 10) for level in levels]
    return 10 * math.log10(math.fsum(powers) / len(powers)) if powers and any(powers) else SILENCE_LUFS


def apart(blocks: Sequence[Block], pauses: Sequence[Pause], seconds: float) -> tuple[list[float], list[float]]:
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


def lead(blocks: Sequence[Block], pauses: Sequence[Pause], seconds: float) -> float | None:
    """By how many dB speech is louder than pauses, as a rule (medians); None where there is too little of either.

    A knock in a pause, or a shout, changes nothing.
    """
    spoken, paused = apart(blocks, pauses, seconds)
    if min(len(spoken), len(paused)) < _ENOUGH_BLOCKS:
        return None
    return round(statistics.median(spoken) - statistics.median(paused), 2)
