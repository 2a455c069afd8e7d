"""Where nobody speaks, from the levels of a voice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

LEAST_SECONDS = 0.2  # shorter ones are within words: a "t" is silent for a tenth of a second
_QUIET, _LOUD = 0.05, 0.95  # the shares of windows that are quieter than the room's noise, and than loud speech
_BETWEEN = 0.5  # of the way from one to the other lies the border


Pause = tuple[float, float]


def written(pauses: Sequence[Pause]) -> str:
    """Pauses as a record holds them."""
    return " ".join(f"{start:.2f}-{end:.2f}" for start, end in pauses)


def read(text: str) -> tuple[Pause, ...]:
    """Pauses as a record holds them.

    Raises:
        ValueError: somebody has edited them.
    """
    pairs = (word.partition("-")[::2] for word in text.split())
    return tuple((float(start), float(end)) for start, end in pairs)


def pauses_of(levels: Sequence[float], window: float) -> tuple[Pause, ...]:
    """The pauses of a voice as (start, end) in seconds.

    Args:
        levels: of windows that follow each other, in dB.
        window: seconds of one.
    """
    if not levels:
        return ()
    ranked = sorted(levels)
    low, high = (ranked[int(share * (len(ranked) - 1))] for share in (_QUIET, _LOUD))
    border = low + _BETWEEN * (high - low)
    loud = [level >= border for level in levels]
    # A click within a pause does not end it.
    around = [False, *loud, False]
    steady = [is_loud and (around[at] or around[at + 2]) for at, is_loud in enumerate(loud)]
    found, at = [], 0
    for is_loud, run in groupby(steady):
        length = sum(1 for _ in run)
        if not is_loud and length * window >= LEAST_SECONDS - window / 2:
            found.append((round(at * window, 3), round((at + length) * window, 3)))
        at += length
    return tuple(found)
