"""A success that is implausibly fast is an error: what was not done cannot have taken any time. Pure.

The limits are far beyond what any machine does, so that no honest render ever meets them; they find tools that do
nothing and say that all is well, and files that were there before.
"""

from __future__ import annotations

from render_worker.limits import at_most
from shared.records.render import Check

# To read each pixel once (4:2:0, 8 bits: 1.5 bytes) takes 150 GB/s of memory; x264, which is held to 16 threads, has
# 0.3 thousand million on a core at its fastest, of black pictures.
MOST_PIXELS = 100e9
# A core has some 150 seconds of AAC in a second.
MOST_SOUND = 100e3
MOST_BYTES = 100e9
_CLOCK = 1e-3  # seconds that a stopwatch may lose


def pixels_encoded(frames: int, width: int, height: int, seconds: float) -> Check:
    """Pixels that one run of an encoder made in so many seconds of the clock."""
    return _per_second("pixels encoded in a second", frames * width * height, seconds, MOST_PIXELS)


def sound_encoded(length: float, seconds: float) -> Check:
    """Seconds of sound that were mixed and encoded in so many of the clock."""
    return _per_second("seconds of sound encoded in a second", length, seconds, MOST_SOUND)


def bytes_written(size: int, seconds: float) -> Check:
    """Bytes of a film that were written in so many seconds of the clock."""
    return _per_second("bytes written in a second", size, seconds, MOST_BYTES)


def _per_second(name: str, amount: float, seconds: float, most: float) -> Check:
    return at_most(name, round(amount / (max(0.0, seconds) + _CLOCK)), most)
