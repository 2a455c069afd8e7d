"""What is known about a media file: frozen facts, measured once when it is dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class VideoFacts:
    """The picture of a clip.

    Attributes:
        width, height: coded size in pixels.
        display_width, display_height: size as shown, after rotation and pixel aspect, in pixels.
        rotation: degrees clockwise the picture is turned for display (0, 90, 180, 270).
        pixel_aspect: width of a pixel over its height (SAR).
        frame_rate: average frames per second.
        seconds: playable length of the picture.
        frames: frames that decoded.
        codec: name of the codec as MediaInfo gives it, such as ``AVC``.
    """

    width: int
    height: int
    display_width: int
    display_height: int
    rotation: int
    pixel_aspect: float
    frame_rate: float
    seconds: float
    frames: int
    codec: str


@dataclass(frozen=True)
class AudioFacts:
    """The sound of a recording.

    Attributes:
        seconds: decoded length, exact to the sample.
        channels: number of channels.
        sample_rate: in Hz.
        codec: name of the codec as MediaInfo gives it.
        silent_seconds: how much of it is below the silence threshold.
        leading_silence, trailing_silence: seconds of silence at its beginning and end.
        longest_pause: seconds of the longest silence between; all silences count from half a second.
        speech_seconds: how much of it rises and falls as speech does; None where that was not looked for.
    """

    seconds: float
    channels: int
    sample_rate: int
    codec: str
    silent_seconds: float
    leading_silence: float = 0.0
    trailing_silence: float = 0.0
    longest_pause: float = 0.0
    speech_seconds: float | None = None


@dataclass(frozen=True)
class LoudnessFacts:
    """EBU R128 figures of a file as it is.

    Attributes:
        integrated: loudness in LUFS.
        range: loudness range in LU.
        true_peak: in dBTP.
        gain: what was added to the dropped track, in dB.
        limited: whether peaks had to be held down.
        held_below: LU under the target, where no more was possible under the highest true peak allowed.
    """

    integrated: float
    range: float
    true_peak: float
    gain: float = 0.0
    limited: bool = False
    held_below: float = 0.0


def displayed_size(width: int, height: int, rotation: int, pixel_aspect: float) -> tuple[int, int]:
    """The size a viewer sees, in whole pixels: pixel aspect widens the coded picture, then it is turned."""
    wide = max(1, round(width * pixel_aspect))
    return (height, wide) if rotation % 180 else (wide, height)


def check_resolution(value: str) -> str:
    """Raise ValueError for what is no size of a video."""
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", value)
    if not found or any(int(side) % 2 or not 64 <= int(side) <= 8192 for side in found.groups()):  # noqa: PLR2004
        raise ValueError("must be WIDTHxHEIGHT with even sides from 64 to 8192, such as 1920x1080")
    return value
