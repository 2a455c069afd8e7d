"""What is known about a media file: frozen facts, measured once when it is dropped."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Scan = Literal["progressive", "top field first", "bottom field first", "interlaced"]
_RIGHT_ANGLE_DEGREES = 90


@dataclass(frozen=True)
class VideoFacts:
    """The picture of a clip. What a file does not say is None; old records lack what was added later.

    Attributes:
        width, height: coded size in pixels.
        display_width, display_height: size as shown, after rotation and pixel aspect, in pixels.
        rotation: degrees clockwise the picture is turned for display (0, 90, 180, 270; rarely others).
        pixel_aspect: width of a pixel over its height (SAR).
        frame_rate: average frames per second.
        seconds: playable length of the picture.
        frames: frames that decoded.
        codec: name of the codec as MediaInfo gives it, such as ``AVC``.
        mirrored: whether top and bottom are exchanged before the picture is turned.
        variable_frame_rate: whether frames last differently long.
        min_frame_rate, max_frame_rate: frames per second of the longest and of the shortest frame, if they vary.
        scan: ``progressive``, or interlaced with ``top field first`` or ``bottom field first``, or
            ``interlaced`` where only the pictures themselves tell the order.
        bit_depth: bits per sample: 8, 10, 12.
        chroma: how the colour is sampled: ``4:2:0``, ``4:2:2``, ``4:4:4``.
        primaries, transfer, matrix: colours, in MediaInfo's words: ``BT.709``, ``BT.2020``, ``PQ``, ``HLG`` …
        hdr: the transfer of a high dynamic range that must be mapped for an ordinary screen.
        dolby_vision: whether Dolby Vision's metadata come along, which decoders may leave aside.
        full_range: whether samples use all values (0 to 255) instead of those of television (16 to 235).
        track: number of the track used, counted from 0 over all tracks of the file.
        video_tracks, audio_tracks, data_tracks: how many of each the file has; subtitles count as data.
        attached_pictures: covers, which are no films.
        has_sound: whether there is any sound in the file.
        late_seconds: how long after the beginning of the file its first picture comes, as where sound was on first.
        alpha: of decorative frames, whether one sees through some of it by its alpha channel.
        key: of decorative frames, the colour of what is to be seen through, as ``#rrggbb``, if that shows.
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
    mirrored: bool = False
    variable_frame_rate: bool | None = None
    min_frame_rate: float | None = None
    max_frame_rate: float | None = None
    scan: Scan | None = None
    bit_depth: int | None = None
    chroma: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    hdr: Literal["PQ", "HLG"] | None = None
    dolby_vision: bool = False
    full_range: bool | None = None
    track: int | None = None
    video_tracks: int | None = None
    audio_tracks: int | None = None
    data_tracks: int | None = None
    attached_pictures: int | None = None
    has_sound: bool | None = None
    late_seconds: float = 0.0
    alpha: bool = False
    key: str | None = None


@dataclass(frozen=True)
class PictureFacts:
    """A single picture: width and height in pixels as it is shown, and its format in MediaInfo's words."""

    width: int
    height: int
    format: str


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
        pauses: where nobody speaks, as ``start-end`` in seconds, with blanks between; also those within sentences,
            from a fifth of a second. None where that was not looked for.
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
    pauses: str | None = None


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
        threshold: the relative gate in LUFS; what is quieter does not count. Of a voice, as it is once its silence is
            filled with music. None where that was not looked for.
        lead: by how many dB a voice is louder than its own pauses; None where that cannot be told.
        limiting: what holding its peaks down costs: pairs of dB by which they are held, and LU that are lost.
    """

    integrated: float
    range: float
    true_peak: float
    gain: float = 0.0
    limited: bool = False
    held_below: float = 0.0
    threshold: float | None = None
    lead: float | None = None
    limiting: tuple[tuple[float, float], ...] = ()


def orientation(a: float, b: float, c: float, d: float) -> tuple[int, bool]:
    """How a display matrix turns a picture, in degrees clockwise, and whether it mirrors it before.

    A pixel at (x, y), y downwards, is shown at (a·x + c·y, b·x + d·y). A matrix that would leave no picture
    means nothing.
    """
    area = a * d - b * c
    if area == 0:
        return 0, False
    return round(math.degrees(math.atan2(b, a))) % 360, area < 0


def displayed_size(width: int, height: int, rotation: int, pixel_aspect: float) -> tuple[int, int]:
    """The size a viewer sees, in whole pixels: pixel aspect widens the coded picture, then it is turned.

    A picture that is turned by something else than right angles is shown in its own frame, as ffmpeg does it.
    """
    wide = max(1, round(width * pixel_aspect))
    return (height, wide) if rotation % 180 == _RIGHT_ANGLE_DEGREES else (wide, height)


def check_language(value: str) -> str:
    """Raise ValueError for what is no code of a language."""
    if not re.fullmatch(r"[a-z]{3}", value):
        raise ValueError('must be a code of three letters (ISO 639-2), such as "eng", or "und" for none')
    return value


def check_resolution(value: str) -> str:
    """Raise ValueError for what is no size of a video."""
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", value)
    if not found or any(int(side) % 2 or not 64 <= int(side) <= 8192 for side in found.groups()):  # noqa: PLR2004
        raise ValueError("must be WIDTHxHEIGHT with even sides from 64 to 8192, such as 1920x1080")
    return value
