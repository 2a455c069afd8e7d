"""The render plan: which frames of which clip, which sound at which gain, exactly how many frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from shared.domain.errors import ReelmillError


class PlanError(ReelmillError):
    """The material of a task cannot fill its video."""


@dataclass(frozen=True)
class Canvas:
    """The picture to make: width and height in pixels, frames per second."""

    width: int
    height: int
    rate: Fraction


@dataclass(frozen=True)
class Shot:
    """The first `frames` frames of one clip, counted at the canvas rate."""

    source: str
    frames: int


@dataclass(frozen=True)
class Track:
    """One sound: its file in the task, linear gain, channel count, and whether it repeats to the end."""

    source: str
    gain: float
    channels: int
    loops: bool = False


@dataclass(frozen=True)
class RenderPlan:
    """Everything a renderer needs to know; nothing about how it does it.

    Attributes:
        seconds: length of the voice, which is the length of the video.
        frames: exact number of frames of the output.
    """

    canvas: Canvas
    seconds: float
    frames: int
    shots: tuple[Shot, ...]
    tracks: tuple[Track, ...]
    logo: str | None

    def pieces(self, most_shots: int) -> tuple[RenderPlan, ...]:
        """The same picture as consecutive silent plans of at most `most_shots` shots each."""
        groups = [self.shots[i : i + most_shots] for i in range(0, len(self.shots), most_shots)]
        pieces = []
        for shots in groups:
            frames = sum(shot.frames for shot in shots)
            seconds = float(frames / self.canvas.rate)
            pieces.append(replace(self, shots=shots, frames=frames, seconds=seconds, tracks=()))
        return tuple(pieces)


def exact_rate(value: float) -> Fraction:
    """Frames per second as the exact fraction meant: 29.97 is 30000/1001, 25 is 25."""
    for base in (24, 30, 48, 60, 120):
        ntsc = Fraction(base * 1000, 1001)
        if abs(value - float(ntsc)) < 0.005:  # noqa: PLR2004 - 23.98, 23.976 and 29.97 are all in use
            return ntsc
    return Fraction(value).limit_denominator(1001)


def frames_in(seconds: float, rate: Fraction) -> int:
    """Whole frames that fit into a duration (a microsecond short of a frame counts as the frame)."""
    return math.floor(Fraction(seconds + 1e-6) * rate)


def frames_to_cover(seconds: float, rate: Fraction) -> int:
    """Frames needed so that the picture is not shorter than the sound."""
    return max(1, math.ceil(Fraction(seconds - 1e-6) * rate))


def make_plan(
    canvas: Canvas,
    *,
    seconds: float,
    clips: Sequence[str],
    clip_seconds: Mapping[str, float],
    tracks: Sequence[Track],
    logo: str | None,
) -> RenderPlan:
    """Lay the clips end to end until the voice is covered; the last shot is cut to the exact frame.

    Raises:
        PlanError: the clips together are shorter than the voice.
    """
    wanted = frames_to_cover(seconds, canvas.rate)
    shots: list[Shot] = []
    left = wanted
    for clip in clips:
        if left == 0:
            break
        frames = min(left, frames_in(clip_seconds[clip], canvas.rate))
        if frames:
            shots.append(Shot(clip, frames))
            left -= frames
    if left:
        raise PlanError(
            f"the {len(clips)} clips of this task cover {wanted - left} of {wanted} frames; "
            "a task needs clips that are together as long as its voice"
        )
    return RenderPlan(canvas, seconds, wanted, tuple(shots), tuple(tracks), logo)
