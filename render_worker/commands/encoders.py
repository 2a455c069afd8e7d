"""Video encoders: how each takes one quality number, one preset name and a GOP length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Options = Mapping[str, str | int]


@dataclass(frozen=True)
class Encoder:
    """An ffmpeg video encoder.

    Attributes:
        name: as ffmpeg knows it.
        options: output options from quality (CRF scale, lower is better), preset name and GOP length in frames.
    """

    name: str
    options: Callable[[int, str, int], Options]


def _libx264(quality: int, preset: str, gop: int) -> Options:
    # Closed GOPs and a fixed grid of keyframes, so that pieces of one setting join by stream copy.
    return {
        "c:v": "libx264",
        "preset": preset,
        "crf": quality,
        "g": gop,
        "keyint_min": gop,
        "sc_threshold": 0,
        "flags": "+cgop",
        "profile:v": "high",
        "pix_fmt": "yuv420p",
    }


LIBX264 = Encoder("libx264", _libx264)
ENCODERS: Mapping[str, Encoder] = {LIBX264.name: LIBX264}


def choose_encoder(configured: str) -> Encoder:
    """The encoder for a configured name; ``auto`` takes the best that works on this machine."""
    return LIBX264 if configured == "auto" else ENCODERS[configured]
