"""What stands behind a command's filters: codecs, clocks, container, and how it is spelled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from render_worker.commands.encoders import ENCODERS, Codec
from shared.domain.plan import Canvas, Profile
from shared.ffmpeg import file_url

GOP_SECONDS = 2
_MIN_TIMESCALE = 10_000


def gop_frames(rate: Fraction) -> int:
    """Frames from one keyframe to the next."""
    return round(GOP_SECONDS * rate)


def timescale(rate: Fraction) -> int:
    """A track time scale in which one frame is a whole number of ticks."""
    scale = rate.numerator
    while scale < _MIN_TIMESCALE:
        scale *= 10
    return scale


def video_options(canvas: Canvas, profile: Profile) -> dict[str, Any]:
    """How the picture is encoded."""
    encoder = ENCODERS[profile.encoder]
    return {**encoder.options(profile.quality, profile.preset, gop_frames(canvas.rate)), "r": str(canvas.rate)}


def entry(profile: Profile, frame: int) -> dict[str, Any]:
    """Options by which a film can also be entered at a frame: with a keyframe no later frame refers across."""
    return {"force_key_frames": f"expr:eq(n,{frame})", **ENCODERS[profile.encoder].forcing}


def for_encoder(stream: Any, profile: Profile) -> Any:
    """Frames as the encoder takes them, on its device where it has one."""
    for name, *arguments in ENCODERS[profile.encoder].upload:
        stream = stream.filter(name, *arguments)
    return stream


def device(profile: Profile) -> tuple[str, ...]:
    """What has to stand in front of all inputs."""
    return ENCODERS[profile.encoder].device


def codec_of(profile: Profile) -> Codec:
    """How the picture is coded."""
    return ENCODERS[profile.encoder].codec


def container(canvas: Canvas) -> dict[str, Any]:
    """One clock for every file of a canvas: files of mixed clocks join to a wrong length, without a complaint."""
    return {"video_track_timescale": timescale(canvas.rate), "map_metadata": -1}


def arguments(streams: Sequence[Any], target: Path, options: Mapping[str, Any], *beside: Any) -> list[str]:
    """The argument list, without the executable; other outputs of the same graph may stand `beside` the film."""
    film = ffmpeg.output(*streams, file_url(target), f="mp4", **options)
    command: list[str] = ffmpeg.merge_outputs(film, *beside).compile(overwrite_output=True)
    return command[1:]  # the executable is chosen by the one who runs it
