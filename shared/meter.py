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

LOUDNESS = "ebur128=framelog=quiet"
"""The same without the true peak, which takes longest."""

MOMENTARY = "ebur128=metadata=1:peak=true:framelog=quiet,ametadata=mode=print:file=-:direct=1"
"""Passes a sound on and measures it; writes its momentary loudness to standard output every 100 ms."""

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
