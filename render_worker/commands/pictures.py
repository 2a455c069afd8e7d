"""Clips brought to the canvas, as filters: cut, timed, deinterlaced, mapped, scaled, padded, laid over.

What every clip gets: it is turned upright (ffmpeg does that by itself), brought to the canvas's frame rate, scaled
by its display aspect ratio, since `scale` ignores pixels that are not square, and padded; all come out in BT.709,
limited range and 4:2:0, since segments that differ in these join without a word and show wrong colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg

from render_worker.commands import luma
from render_worker.commands.decorations import decorated
from render_worker.commands.shapes import pixels
from render_worker.commands.stretches import Decoding, Stretch, assumed, frames_of, mapped, painted
from render_worker.commands.transitions import Take, joined
from shared.domain.plan import HARD_CUT, Canvas, Decoration, Layer, Transition, Treatment
from shared.ffmpeg import file_url

_SOFT = 3  # pixels of a blur, where it is as small as it is made

_PICTURE = {"protocol_whitelist": "file", "format_whitelist": "image2,png_pipe,jpeg_pipe,webp_pipe"}


class Pictures(NamedTuple):
    """The frames of a film, and the same ones as they were decoded from its clips, small (:mod:`luma`)."""

    film: Any
    small: Any


@dataclass(frozen=True)
class Over:
    """What lies over clips, in `folder`: the decoration over each of them, and the layers over all."""

    folder: Path
    layers: Sequence[Layer] = ()
    decoration: Decoration | None = None


def picture(
    stretches: Sequence[Stretch],
    canvas: Canvas,
    over: Over,
    decoding: Decoding,
    enters: Sequence[int] = (),
    transition: Transition = HARD_CUT,
) -> Pictures:
    """The stretches one after the other, with what lies over them.

    Args:
        enters: how many frames of each stretch are in the transition from the one before.
    """
    shots = [_stretch(stretch, canvas, over, decoding, number) for number, stretch in enumerate(stretches)]
    layers = [_opened(layer, over.folder) for layer in over.layers]
    fades = transition.kind == "fade"  # what lies over clips that were conformed goes into black with them
    if fades:
        shots = [_laid_over(shot, canvas, over, layers, number) for number, shot in enumerate(shots)]
    frames, enters = [stretch.frames for stretch in stretches], enters or [0] * len(shots)
    film, small = (
        joined([Take(*one) for one in zip(streams, frames, enters, strict=True)], transition, canvas.rate)
        for streams in zip(*shots, strict=True)
    )
    if transition.shared:
        film = painted(film.filter("format", "yuv420p"))  # `xfade` works at full chroma
    return Pictures(film, small) if fades else _laid_over(Pictures(film, small), canvas, over, layers, 0)


def _opened(layer: Layer, folder: Path) -> Any:
    """The picture of a layer, as often as it is wanted."""
    laid = ffmpeg.input(file_url(folder / layer.source), **_PICTURE)["v:0"]
    if layer.opacity < 1:
        laid = laid.filter("format", "rgba").filter("colorchannelmixer", aa=f"{layer.opacity:g}")
    return laid.filter_multi_output("split")


def _laid_over(pictures: Pictures, canvas: Canvas, over: Over, opened: Sequence[Any], number: int) -> Pictures:
    """Pictures with the layers over them; it is the `number`-th time that these are laid over any."""
    film, small = pictures
    for layer, laid in zip(over.layers, opened, strict=True):
        place = luma.place(layer, layer.margin, layer.margin)
        film = ffmpeg.filter([film, _sized(laid.stream(2 * number), layer)], "overlay", *place)
        small = luma.laid_over(small, laid.stream(2 * number + 1), layer, canvas)
    return Pictures(film.filter("format", "yuv420p") if over.layers else film, small)


def _sized(over: Any, layer: Layer) -> Any:
    if layer.width is None:
        return over
    size = {"w": layer.width, "h": f"max(1,round({layer.width}*ih/iw))", "flags": "bicubic"}
    # The colour of what is clear, mostly black, must not come into the edges of what is seen.
    clear = over.filter("format", "gbrap16le").filter("premultiply", inplace=1)
    return clear.filter("scale", **size).filter("unpremultiply", inplace=1)


def _stretch(stretch: Stretch, canvas: Canvas, over: Over, decoding: Decoding, number: int) -> Pictures:
    stream = frames_of(stretch, canvas.rate, decoding).filter_multi_output("split")
    film, small = _brought(stream.stream(0), canvas, stretch.treatment), luma.placed(stream.stream(1), canvas)
    if over.decoration and stretch.decorated:
        path, frames = over.folder / over.decoration.source, (stretch.start, stretch.frames)
        film, small = decorated(film, small, over.decoration, path, frames, canvas, replace(decoding, number=number))
    return Pictures(film, small)


def _brought(stream: Any, canvas: Canvas, treatment: Treatment) -> Any:
    """Frames of a clip with the size, shape and colours of the canvas."""
    if treatment.tone_map:
        stream = mapped(_scaled(stream, canvas), treatment, "bt2020nc")
    else:
        stream = _scaled(stream, canvas, **assumed(treatment), out_range="tv", out_color_matrix="bt709")
    return (
        _fitted(painted(stream), canvas)
        .filter("setsar", 1)
        .filter("sidedata", mode="delete")  # captions of another film, and how bright its screen was
        .filter("format", "yuv420p")
    )


def _scaled(stream: Any, canvas: Canvas, **options: str) -> Any:
    size = pixels("outside" if canvas.fit == "crop" else "inside", canvas)
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
