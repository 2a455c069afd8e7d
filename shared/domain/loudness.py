"""Loudness as ITU-R BS.1770 counts it, from its blocks of 400 ms (*momentary* loudness, EBU Tech 3341), in LUFS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

BLOCKS_PER_SECOND = 10  # each begins 100 ms after the one before
SILENCE_LUFS = -70.0  # the absolute gate: what lies below is no sound
_RELATIVE_GATE_LU = -10.0


def integrated(momentary: Sequence[float]) -> float:
    """The loudness of a programme: the mean of the blocks that are not much quieter than the others.

    Silence, and what is shorter than a block, has :data:`SILENCE_LUFS`.
    """
    heard = [level for level in momentary if level > SILENCE_LUFS]
    gate = mean(heard) + _RELATIVE_GATE_LU
    return mean(level for level in heard if level > gate)


def mean(levels: Iterable[float]) -> float:
    """The level of the mean power; :data:`SILENCE_LUFS` where there is nothing."""
    powers = [10 ** (level / 10) for level in levels]
    return 10 * math.log10(math.fsum(powers) / len(powers)) if powers and any(powers) else SILENCE_LUFS
