"""A render plan as ffmpeg arguments. Pure: it reads no file and starts nothing.

The command is the specification's, with four differences that real clips make necessary. Clips are
joined by the concat *filter*, after each has been brought to the canvas: the concat *demuxer* keeps the
first clip's codec and silently drops every clip of another one (exit status 0). The picture is scaled
by its display aspect ratio, since `scale` ignores pixels that are not square. The mix keeps levels
(``normalize=0``), a mono voice included (the default mono-to-stereo conversion takes 3 dB). And the length
is cut inside the graph, picture by frames and sound by time: the option ``-t`` rounds to whole frames when
a single clip leaves the graph in frame units, and then takes the last one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from render_worker.encoders import Encoder
from shared.domain.plan import Canvas, RenderPlan, Shot, Track
from shared.ffmpeg import file_url

SAMPLE_RATE = 48_000
GOP_SECONDS = 2
LOGO_CORNER = 20  # pixels from the left and the top, as in the specification
# A clip may end up to half a second before its declared length (variable frame rates, edit lists):
# its last picture is held for that long at most; anything shorter than that is caught by the gate.
HOLD_SECONDS = 0.5
MONO_TO_STEREO = math.sqrt(2)  # makes up for the 3 dB that ffmpeg takes when it spreads one channel over two
_MIN_TIMESCALE = 10_000

# Every shot gets one range and one matrix: pieces that differ in them join without a word and show wrong colours.
_COLOURS = {"range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}

# Clips were checked at ingest; the same cage holds here, so that no file can make ffmpeg read another.
_CLIP = {"f": "mov", "protocol_whitelist": "file", "format_whitelist": "mov"}
_PICTURE = {"protocol_whitelist": "file", "format_whitelist": "image2,png_pipe,jpeg_pipe,webp_pipe"}
_SOUND = {"f": "mp3", "protocol_whitelist": "file", "format_whitelist": "mp3"}


@dataclass(frozen=True)
class Encoding:
    """How picture and sound are encoded."""

    encoder: Encoder
    quality: int
    preset: str
    audio_kbps: int


def direct(plan: RenderPlan, task: Path, target: Path, encoding: Encoding) -> list[str]:
    """The whole plan in one command: picture and sound are encoded into `target`."""
    outputs = [_picture(plan, task), _mix(plan.tracks, task, plan.seconds)]
    options = {**_video_options(plan.canvas, encoding), **_audio_options(encoding), **_container(plan)}
    return _arguments(outputs, target, options)


def piece(plan: RenderPlan, task: Path, target: Path, encoding: Encoding) -> list[str]:
    """The picture of a part of a plan, without sound; pieces of one encoding can be joined by copy."""
    options = {**_video_options(plan.canvas, encoding), "video_track_timescale": timescale(plan.canvas.rate)}
    return _arguments([_picture(plan, task)], target, options)


def join(plan: RenderPlan, task: Path, pieces: Path, target: Path, encoding: Encoding) -> list[str]:
    """Join the pieces listed in an ffconcat file by stream copy and encode the sound once over all of them."""
    picture = ffmpeg.input(file_url(pieces), f="concat", safe=0, protocol_whitelist="file")
    outputs = [picture["v:0"], _mix(plan.tracks, task, plan.seconds)]
    return _arguments(outputs, target, {"c:v": "copy", **_audio_options(encoding), **_container(plan)})


def piece_list(pieces: Sequence[tuple[str, RenderPlan]]) -> str:
    """The ffconcat list of pieces; its `duration` lines keep the join exact where MP4 rounds to milliseconds."""
    lines = ["ffconcat version 1.0"]
    for name, plan in pieces:
        lines += [f"file {name}", f"duration {float(plan.frames / plan.canvas.rate):.6f}"]
    return "\n".join(lines) + "\n"


def timescale(rate: Fraction) -> int:
    """A track time scale in which one frame is a whole number of ticks."""
    scale = rate.numerator
    while scale < _MIN_TIMESCALE:
        scale *= 10
    return scale


def _picture(plan: RenderPlan, task: Path) -> Any:
    shots = [_shot(shot, plan.canvas, task) for shot in plan.shots]
    base = ffmpeg.filter(shots, "concat", n=len(shots), v=1, a=0) if len(shots) > 1 else shots[0]
    if plan.logo is None:
        return base
    logo = ffmpeg.input(file_url(task / plan.logo), **_PICTURE)["v:0"]
    return ffmpeg.filter([base, logo], "overlay", LOGO_CORNER, LOGO_CORNER).filter("format", "yuv420p")


def _shot(shot: Shot, canvas: Canvas, task: Path) -> Any:
    width, height = canvas.width, canvas.height
    return (
        ffmpeg.input(file_url(task / shot.source), **_CLIP)["V:0"]
        .filter("fps", str(canvas.rate))
        .filter("tpad", stop_mode="clone", stop=int(HOLD_SECONDS * canvas.rate))
        .filter("trim", end_frame=shot.frames)
        .filter("setpts", "PTS-STARTPTS")
        .filter(
            "scale",
            w=f"max(2,min({width},trunc({height}*dar/2)*2))",
            h=f"max(2,min({height},trunc({width}/dar/2)*2))",
            flags="fast_bilinear",
            out_range="tv",
            out_color_matrix="bt709",
        )
        .filter("setparams", **_COLOURS)
        .filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2", color="black")
        .filter("setsar", 1)
        .filter("format", "yuv420p")
    )


def _mix(tracks: Sequence[Track], task: Path, seconds: float) -> Any:
    """The tracks at their gains, ending with the first one, to the sample."""
    sounds = [_track(track, task) for track in tracks]
    if len(sounds) > 1:
        mixed = ffmpeg.filter(sounds, "amix", inputs=len(sounds), duration="first", normalize=0)
    else:
        mixed = sounds[0]
    return mixed.filter("atrim", end=f"{seconds:.6f}")


def _track(track: Track, task: Path) -> Any:
    loop = {"stream_loop": -1} if track.loops else {}
    sound = ffmpeg.input(file_url(task / track.source), **loop, **_SOUND)["a:0"].filter("aresample", SAMPLE_RATE)
    gain = track.gain * (MONO_TO_STEREO if track.channels == 1 else 1.0)
    return sound.filter("aformat", channel_layouts="stereo").filter("volume", f"{gain:.6g}")


def _video_options(canvas: Canvas, encoding: Encoding) -> dict[str, Any]:
    gop = round(GOP_SECONDS * canvas.rate)
    return {**encoding.encoder.options(encoding.quality, encoding.preset, gop), "r": str(canvas.rate)}


def _audio_options(encoding: Encoding) -> dict[str, Any]:
    return {"c:a": "aac", "b:a": f"{encoding.audio_kbps}k", "ar": SAMPLE_RATE, "ac": 2}


def _container(plan: RenderPlan) -> dict[str, Any]:
    return {"video_track_timescale": timescale(plan.canvas.rate), "map_metadata": -1, "movflags": "+faststart"}


def _arguments(streams: Sequence[Any], target: Path, options: Mapping[str, Any]) -> list[str]:
    command: list[str] = ffmpeg.output(*streams, file_url(target), f="mp4", **options).compile(overwrite_output=True)
    return command[1:]  # the executable is chosen by the one who runs it
