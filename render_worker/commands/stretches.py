"""Stretches of clips, as filters: opened in a cage, deinterlaced, timed, cut to whole frames of the canvas's rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import Treatment
from shared.ffmpeg import file_url

# A clip may end up to half a second before its declared length (variable frame rates, edit lists):
# its last picture is held for that long at most; anything shorter than that is caught by the gate.
HOLD_SECONDS = 0.5
# A stretch that begins inside a clip is read from the last keyframe that lies at least this much before, and nothing
# is dropped on the way, so that the picture that is shown at its beginning is seen, however long ago it came.
_RUN_UP_SECONDS = 10
# Clips were checked at ingest; the same cage holds here, so that no file can make ffmpeg read another.
_CLIP = {"f": "mov", "protocol_whitelist": "file", "format_whitelist": "mov"}
_STREAMS = 1000  # that a file may have, as ffmpeg has it by itself
# Hable's curve keeps lights from clipping; 100 cd/m² is the white of an ordinary screen.
_TRANSFERS = {"PQ": "smpte2084", "HLG": "arib-std-b67"}
_WHITE = 100
_PAINT = {
    "range": "tv",
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "chroma_location": "left",  # a clip may not say it, and x265 writes down whether it does
}


@dataclass(frozen=True)
class Stretch:
    """Some frames of a clip, counted at the canvas rate from its first.

    Attributes:
        loops: whether the clip begins anew where it ends.
        pace: what its times are multiplied by.
        decorated: whether a decoration is laid over it, where there is one.
    """

    path: Path
    start: int
    frames: int
    treatment: Treatment
    loops: bool = False
    decorated: bool = True
    pace: float = 1.0


@dataclass(frozen=True)
class Decoding:
    """How clips are decoded; the pictures are the same either way.

    Attributes:
        hardware: what decodes them, as ffmpeg names it; what that cannot decode is decoded by software all the same.
        threads: of each decoder; else as many as it likes.
        number: tells apart several that decode the same file in one command, each at its own pace.
    """

    hardware: str | None = None
    threads: int | None = None
    number: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """The options in front of a clip."""
        threads = {"threads": self.threads} if self.threads else {}
        hardware = {"hwaccel": self.hardware} if self.hardware else {}
        # Inputs with the same options would be one, which could not be read at two places.
        apart = {"max_streams": _STREAMS + self.number} if self.number else {}
        return {**hardware, **threads, **apart}


def frames_of(stretch: Stretch, rate: Fraction, decoding: Decoding) -> Any:
    """Exactly the frames of a stretch, beginning at time zero, as they were decoded."""
    if stretch.treatment.still:
        return _still(stretch, stretch.treatment.still, rate, decoding)
    run_up = min(stretch.start, round(_RUN_UP_SECONDS * rate))
    skipped = stretch.start - run_up
    treatment = stretch.treatment
    # What is played from its beginning begins with its first picture, and so does what is counted from there.
    since = float(skipped / rate) / stretch.pace + treatment.late_seconds if stretch.start else 0.0
    # Seen from the keyframe before: an accurate seek would drop a picture that began before the run-up and still shows.
    seek = {"ss": f"{since:.6f}", "noaccurate_seek": None} if since else {}
    again = {"stream_loop": -1} if stretch.loops else {}
    # Where the size of its pictures changes midway a clip keeps its filters, which count frames; `scale` adapts.
    decoding = replace(decoding, hardware=None) if treatment.in_software else decoding
    options = {**again, **seek, **decoding.options, "reinit_filter": 0, **_CLIP}
    stream = ffmpeg.input(file_url(stretch.path), **options)["V:0"]
    if treatment.fields:
        mode = "send_field" if treatment.doubled else "send_frame"
        deint = "interlaced" if treatment.fields == "auto" else "all"
        stream = stream.filter("bwdif", mode=mode, parity=treatment.fields, deint=deint)
    if stretch.pace != 1:
        stream = stream.filter("setpts", f"PTS*{stretch.pace:.9f}")
    return (
        stream.filter("fps", str(rate), **({"start_time": 0} if stretch.start else {}))
        .filter("tpad", stop_mode="clone", stop=int(HOLD_SECONDS * rate))
        .filter("trim", **({"start_frame": run_up} if run_up else {}), end_frame=run_up + stretch.frames)
        .filter("setpts", "PTS-STARTPTS")
    )


def _still(stretch: Stretch, demuxer: str, rate: Fraction, decoding: Decoding) -> Any:
    """A picture, decoded once; where one sees through it there is black."""
    cage = {"f": demuxer, "protocol_whitelist": "file", "format_whitelist": demuxer}
    stream = ffmpeg.input(file_url(stretch.path), **replace(decoding, hardware=None).options, **cage)["V:0"]
    return (
        stream.filter("format", "gbrap")
        .filter("premultiply", inplace=1)
        .filter("format", "gbrp")
        .filter("loop", loop=stretch.frames, size=1)
        .filter("settb", str(1 / rate))
        .filter("setpts", "N")
        .filter("fps", str(rate))
        .filter("trim", end_frame=stretch.frames)
    )


def mapped(stream: Any, treatment: Treatment, matrix: str, *, alpha: bool = False) -> Any:
    """From a high dynamic range and BT.2020 to BT.709, in linear light (ITU-R BT.2390 describes the problem).

    Args:
        matrix: what the colours of `stream` are coded with.
        alpha: whether it has an alpha channel, which stays.
    """
    source = {"tin": _TRANSFERS[treatment.tone_map or ""], "pin": "bt2020", "min": matrix}
    return (
        stream.filter("zscale", **source, t="linear", npl=_WHITE)
        .filter("format", "gbrapf32le" if alpha else "gbrpf32le")
        .filter("zscale", p="bt709")
        .filter("tonemap", "hable", desat=0)
        .filter("zscale", t="bt709", m="bt709", r="limited")
        .filter("format", "yuva444p" if alpha else "yuv420p")
    )


def painted(stream: Any) -> Any:
    """Frames that were converted to BT.709 in limited range, with the tags that say so."""
    return stream.filter("setparams", **_PAINT)


def assumed(treatment: Treatment) -> dict[str, str]:
    """Options of `scale` for what a clip does not say of its colours."""
    return {"in_color_matrix": treatment.matrix} if treatment.matrix else {}
