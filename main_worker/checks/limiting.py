"""What holding a voice's peaks down will cost, tried once, so that its videos come out as loud as they should.

Loudness that a limiter takes follows from no simple rule: measured from nothing to four LU for the same decibels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from main_worker.checks.cage import Cage, unreadable
from shared.domain.loudness import SILENCE_LUFS
from shared.domain.media import LoudnessFacts
from shared.domain.mix import held_of
from shared.limiter import spelled
from shared.meter import LOUDNESS, STEREO, integrated_of

_WORTH_DB = 1.0  # fewer cost nothing that could be measured
_MORE_DB = 3.0  # what makes up for the loss has to be held as well
_LIMIT_DB = -2.0  # any will do: the gain before it decides how much is held


def with_limiting(cage: Cage, path: Path, loudness: LoudnessFacts) -> LoudnessFacts:
    """The loudness of a voice with what it costs to hold its peaks as far as the configured mix will.

    Raises:
        DropRefused: it does not decode.
    """
    held = held_of(loudness, cage.config.mix.broadcast)
    if loudness.integrated <= SILENCE_LUFS or held < _WORTH_DB:
        return loudness
    tried = tuple((round(depth, 2), _lost(cage, path, loudness, depth)) for depth in (held, held + _MORE_DB))
    return replace(loudness, limiting=tried)


def _lost(cage: Cage, path: Path, loudness: LoudnessFacts, depth: float) -> float:
    """LU that are lost where peaks are held down by so many dB."""
    gain = depth + _LIMIT_DB - loudness.true_peak
    tried = f"{STEREO},volume={gain:.3f}dB:precision=double,{spelled(_LIMIT_DB)},{LOUDNESS}"
    ended, _ = cage.run("mp3", path, ["-map", "0:a:0", "-af", tried, "-f", "null", "-"], talkative=True)
    if ended.code != 0:
        raise unreadable("an MP3 sound", ended)
    return round(max(0.0, loudness.integrated + gain - integrated_of(ended.errors)), 2)
