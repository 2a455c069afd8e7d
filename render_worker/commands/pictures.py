"""Clips brought to the canvas, as filters: cut, timed, deinterlaced, mapped, scaled, padded, laid over.

What every clip gets: it is turned upright (ffmpeg does that by itself), brought to the canvas's frame rate, scaled
by its display aspect ratio, since `scale` ignores pixels that are not square, and padded; all come out in BT.709,
limited range and 4:2:0, since segments that differ in these join without a word and show wrong colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg

from render_worker.commands import luma
from shared.domain.plan import Canvas, Layer, Treatment
from shared.ffmpeg import file_url

# A clip may end up to half a second before its declared length (variable frame rates, edit lists):
# its last picture is held for that long at most; anything shorter than that is caught by the gate.
HOLD_SECONDS = 0.5
# A stretch that begins inside a clip is read from the last keyframe that lies at least this much before, and nothing
# is dropped on the way, so that the picture that is shown at its beginning is seen, however long ago it came.
_RUN_UP_SECONDS = 10
_PAINT = {
    "range": "tv",
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "chroma_location": "left",  # a clip may not say it, and x265 writes down whether it does
}
# Hable's curve keeps lights from clipping; 100 cd/m² is the white of an ordinary screen.
_TRANSFERS = {"PQ": "smpte2084", "HLG": "arib-std-b67"}
_WHITE = 100
_SOFT = 3  # pixels of a blur, where it is as small as it is made

# Clips were checked at ingest; the same cage holds here, so that no file can make ffmpeg read another.
_CLIP = {"f": "mov", "protocol_whitelist": "file", "format_whitelist": "mov"}
_PICTURE = {"protocol_whitelist": "file", "format_whitelist": "image2,png_pipe,jpeg_pipe,webp_pipe"}


@dataclass(frozen=True)
class Stretch:
    """Some frames of a clip, counted at the canvas rate from its first."""

    path: Path
    start: int
    frames: int
    treatment: Treatment


class Pictures(NamedTuple):
    """The frames of a film, and the same ones as they were decoded from its clips, small (:mod:`luma`)."""

    film: Any
    small: Any


@dataclass(frozen=True)
class Decoding:
    """How clips are decoded; the pictures are the same either way.

    Attributes:
        hardware: what decodes them, as ffmpeg names it; what that cannot decode is decoded by software all the same.
        threads: of each decoder; else as many as it likes.
    """

    hardware: str | None = None
    threads: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options in front of a clip."""
        threads = {"threads": self.threads} if self.threads else {}
        return {"hwaccel": self.hardware, **threads} if self.hardware else threads


def picture(
    stretches: Sequence[Stretch], canvas: Canvas, layers: Sequence[Layer], folder: Path, decoding: Decoding = Decoding()
) -> Pictures:
    """The stretches one after the other, with the layers (files in `folder`) over them."""
    shots = [_stretch(stretch, canvas, decoding) for stretch in stretches]
    film, small = (_one_after_the_other(several) for several in zip(*shots, strict=True))
    for layer in layers:
        over = ffmpeg.input(file_url(folder / layer.source), **_PICTURE)["v:0"]
        if layer.opacity < 1:
            over = over.filter("format", "rgba").filter("colorchannelmixer", aa=f"{layer.opacity:g}")
        over = over.filter_multi_output("split")
        film = ffmpeg.filter(
            [film, _sized(over.stream(0), layer)], "overlay", *luma.place(layer, layer.margin, layer.margin)
        )
        small = luma.laid_over(small, over.stream(1), layer, canvas)
    return Pictures(film.filter("format", "yuv420p") if layers else film, small)


def _sized(over: Any, layer: Layer) -> Any:
    if layer.width is None:
        return over
    return over.filter("scale", w=layer.width, h=f"max(1,round({layer.width}*ih/iw))", flags="bicubic")


def _one_after_the_other(shots: Sequence[Any]) -> Any:
    return ffmpeg.filter(list(shots), "concat", n=len(shots), v=1, a=0) if len(shots) > 1 else shots[0]


def _stretch(stretch: Stretch, canvas: Canvas, decoding: Decoding) -> Pictures:
    run_up = min(stretch.start, round(_RUN_UP_SECONDS * canvas.rate))
    skipped = stretch.start - run_up
    treatment = stretch.treatment
    # What is played from its beginning begins with its first picture, and so does what is counted from there.
    since = float(skipped / canvas.rate) + treatment.late_seconds if stretch.start else 0.0
    # Seen from the keyframe before: an accurate seek would drop a picture that began before the run-up and still shows.
    seek = {"ss": f"{since:.6f}", "noaccurate_seek": None} if since else {}
    # Where the size of its pictures changes midway a clip keeps its filters, which count frames; `scale` adapts.
    stream = ffmpeg.input(file_url(stretch.path), **seek, **decoding.options, reinit_filter=0, **_CLIP)["V:0"]
    if treatment.fields:
        mode = "send_field" if treatment.doubled else "send_frame"
        deint = "interlaced" if treatment.fields == "auto" else "all"
        stream = stream.filter("bwdif", mode=mode, parity=treatment.fields, deint=deint)
    stream = (
        stream.filter("fps", str(canvas.rate), **({"start_time": 0} if stretch.start else {}))
        .filter("tpad", stop_mode="clone", stop=int(HOLD_SECONDS * canvas.rate))
        .filter("trim", **({"start_frame": run_up} if run_up else {}), end_frame=run_up + stretch.frames)
        .filter("setpts", "PTS-STARTPTS")
        .filter_multi_output("split")
    )
    return Pictures(_brought(stream.stream(0), canvas, treatment), luma.placed(stream.stream(1), canvas))


def _brought(stream: Any, canvas: Canvas, treatment: Treatment) -> Any:
    """Frames of a clip with the size, shape and colours of the canvas."""
    if treatment.tone_map:
        stream = _mapped(_scaled(stream, canvas), treatment)
    else:
        assumed = {"in_color_matrix": treatment.matrix} if treatment.matrix else {}
        stream = _scaled(stream, canvas, **assumed, out_range="tv", out_color_matrix="bt709")
    return (
        _fitted(stream.filter("setparams", **_PAINT), canvas)
        .filter("setsar", 1)
        .filter("sidedata", mode="delete")  # captions of another film, and how bright its screen was
        .filter("format", "yuv420p")
    )


def _scaled(stream: Any, canvas: Canvas, **options: str) -> Any:
    width, height = canvas.width, canvas.height
    size = {"w": f"max(2,min({width},trunc({height}*dar/2)*2))", "h": f"max(2,min({height},trunc({width}/dar/2)*2))"}
    if canvas.fit == "crop":  # a shape that is longer by far is squeezed, since it would fill the memory
        size = {
            "w": f"min({luma.LONGEST * width},max({width},ceil({height}*dar/2-0.01)*2))",
            "h": f"min({luma.LONGEST * height},max({height},ceil({width}/dar/2-0.01)*2))",
        }
    return stream.filter("scale", **size, flags="bicubic", **options)


def _fitted(stream: Any, canvas: Canvas) -> Any:
    """What was scaled, with exactly the size of the canvas.

    What lies behind it is made of the same frames. `crop` would do, but for clips whose size changes midway: it goes on
    cutting where it began to, also beyond the edges.
    """
    width, height = canvas.width, canvas.height
    if canvas.fit == "pad":
        return stream.filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2", color="black")
    parts = stream.filter("format", "yuv420p").filter_multi_output("split")
    behind = parts.stream(0)
    if canvas.fit == "blur":
        few = {"w": max(2, width // luma.BLUR), "h": max(2, height // luma.BLUR), "flags": "area"}
        behind = behind.filter("scale", **few).filter("format", "yuv444p").filter("gblur", sigma=_SOFT)
    behind = behind.filter("scale", width, height, flags="bilinear").filter("format", "yuv420p")
    return ffmpeg.filter([behind, parts.stream(1)], "overlay", "(W-w)/2", "(H-h)/2")


def _mapped(stream: Any, treatment: Treatment) -> Any:
    """From a high dynamic range and BT.2020 to BT.709, in linear light (ITU-R BT.2390 describes the problem)."""
    source = {"tin": _TRANSFERS[treatment.tone_map or ""], "pin": "bt2020", "min": "bt2020nc"}
    return (
        stream.filter("zscale", **source, t="linear", npl=_WHITE)
        .filter("format", "gbrpf32le")
        .filter("zscale", p="bt709")
        .filter("tonemap", "hable", desat=0)
        .filter("zscale", t="bt709", m="bt709", r="limited")
        .filter("format", "yuv420p")
    )
