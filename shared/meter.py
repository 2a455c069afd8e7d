"""The loudness meter of EBU R128 as ffmpeg has it: the filter that measures, and what it says at the end."""

from __future__ import annotations

import re

from shared.domain.errors import MachineTrouble
from shared.domain.media import LoudnessFacts

RATE = 48_000
# A mono sound is spread over both sides with the power it has, 3 dB less on each. Whoever plays it at its full level on
# both, plays it 3 LU louder than what is measured.
STEREO = f"aresample={RATE},aformat=channel_layouts=stereo"
METER = "ebur128=peak=true:framelog=quiet"
"""Passes a sound on and measures it; reports on standard error when all is over, at ffmpeg's log level ``info``."""

_FIGURES = {"integrated": r"\bI:\s+(\S+) LUFS", "range": r"\bLRA:\s+(\S+) LU", "true_peak": r"\bPeak:\s+(\S+) dBFS"}


def summary_of(report: str) -> LoudnessFacts:
    """The figures in what :data:`METER` left at the end of standard error; silence has a peak of minus infinity.

    Raises:
        MachineTrouble: there are none.
    """
    _, _, summary = report.rpartition("Summary:")
    found = {name: re.search(pattern, summary) for name, pattern in _FIGURES.items()}
    figures = {name: float(match[1]) for name, match in found.items() if match}
    if len(figures) < len(_FIGURES):
        raise MachineTrouble(f"ffmpeg's ebur128 said nothing that can be read: {report[-200:]!r}")
    return LoudnessFacts(figures["integrated"], figures["range"], figures["true_peak"])
