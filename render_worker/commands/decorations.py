"""Decorative frames, as filters: films that are laid over clips, and through which the clips are seen.

A decoration belongs to the clip: it begins with the clip's first frame, and anew where it ends, so that a clip looks
the same in every video. Where one sees through it, it has an alpha channel, or shows a colour that is taken out. What
is as far from that colour as grey is stays whole, whatever the colour: no dark coat goes with a pale green wall.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg

from render_worker.commands.luma import SIDE
from render_worker.commands.shapes import Shape, cells, pixels
from render_worker.commands.stretches import Decoding, Stretch, assumed, frames_of, mapped, painted
from shared.domain.plan import Canvas, Decoration

_SHAPES: Mapping[str, Shape] = {"stretch": "stretched", "pad": "inside", "crop": "outside"}
_MIDDLE = ("(W-w)/2", "(H-h)/2")
_BT709 = {"out_range": "tv", "out_color_matrix": "bt709"}
_WITH_ALPHA, _WITH_ALPHA_DEEP = "yuva444p", "yuva444p10le"
# Parts of the way from the colour that is taken out to grey: what is nearer is gone; what is that much further, whole.
_GONE, _FADING = 0.4, 0.35
_COLOURLESS = 0.03  # of chromakey's measure: black, white and greys have no hue by which they could be told
_NEAR, _NEARLY = 0.1, 0.1  # of colorkey's measure, for these


def decorated(
    film: Any,
    small: Any,
    decoration: Decoration,
    path: Path,
    frames: tuple[int, int],
    canvas: Canvas,
    decoding: Decoding,
) -> tuple[Any, Any]:
    """A clip's frames, as large as the canvas and as small as they are compared, with a decoration over both.

    Args:
        path: the decoration's file.
        frames: the first of the clip's frames, and how many there are.
    """
    shape = _SHAPES[decoration.fit]
    seen = _seen(decoration, path, frames, canvas, decoding).filter_multi_output("split")
    large = _brought(seen.stream(0), decoration, {**pixels(shape, canvas), "flags": "bicubic"}, smoothly=True)
    few = _brought(seen.stream(1), decoration, {**cells(shape, canvas, SIDE), "flags": "neighbor"}, smoothly=False)
    few = few.filter("scale", out_range="pc")  # as all that is compared
    over = ffmpeg.filter([film, _unspilt(large, decoration)], "overlay", *_MIDDLE).filter("format", "yuv420p")
    return over, ffmpeg.filter([small, few], "overlay", *_MIDDLE, format="yuv444").filter("format", "gray")


def _seen(decoration: Decoration, path: Path, frames: tuple[int, int], canvas: Canvas, decoding: Decoding) -> Any:
    """The frames of a decoration that lie over frames of a clip: the rest of one turn of it, and further turns."""
    phase, count = frames[0] % decoration.frames, frames[1]
    rest = min(count, decoration.frames - phase) if phase else 0
    stretch = Stretch(path, phase, rest, decoration.treatment, pace=decoration.pace)
    turns = replace(stretch, start=0, frames=count - rest, loops=count - rest > decoration.frames)
    if not rest or not turns.frames:
        return frames_of(stretch if rest else turns, canvas.rate, decoding)
    # Each at its own pace, else all that the second shows would be held in memory until the first is over.
    parts = [
        frames_of(one, canvas.rate, replace(decoding, number=decoding.number + number))
        for number, one in enumerate((stretch, turns))
    ]
    return ffmpeg.filter(parts, "concat", n=2, v=1, a=0)


def _brought(stream: Any, decoration: Decoration, size: Mapping[str, str], *, smoothly: bool) -> Any:
    """Frames of a size in the colours of the canvas, with an alpha channel.

    Args:
        smoothly: whether they are scaled so that pixels become one; of those that are clear the colour counts nothing.
    """
    treatment = decoration.treatment
    told = {**assumed(treatment), **_BT709}
    depth = _WITH_ALPHA_DEEP if treatment.tone_map else _WITH_ALPHA
    if decoration.key or not smoothly:
        stream = painted(stream.filter("scale", **size, **told).filter("format", depth))
    else:
        stream = painted(stream.filter("scale", **told).filter("format", depth))
        stream = stream.filter("premultiply", inplace=1).filter("scale", **size).filter("unpremultiply", inplace=1)
    if decoration.key:
        stream = _keyed(stream, decoration.key)  # a colour of the file, as it was measured: before it is mapped
    if treatment.tone_map:
        stream = painted(mapped(stream, treatment, "bt709", alpha=True))
    return stream.filter("setsar", 1)


def _keyed(stream: Any, colour: str) -> Any:
    """Frames from which a colour is taken out."""
    red, green, blue = _rgb(colour)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # ITU-R BT.709
    chroma = [(blue - luminance) / 1.8556, (red - luminance) / 1.5748]
    across, along = (round(128 + 224 / 255 * part) for part in chroma)
    grey = math.hypot(across - 128, along - 128) / math.hypot(255, 255)
    if grey < _COLOURLESS:
        return stream.filter("colorkey", color=colour.replace("#", "0x"), similarity=_NEAR, blend=_NEARLY)
    gone, fading = (f"{part * grey:.4f}" for part in (_GONE, _FADING))
    return stream.filter("chromakey", color=f"0x80{across:02x}{along:02x}", similarity=gone, blend=fading, yuv=1)


def _unspilt(stream: Any, decoration: Decoration) -> Any:
    """Without the light that a green or blue wall has thrown on what stands before it."""
    if not decoration.key:
        return stream
    red, green, blue = _rgb(decoration.key)
    if red >= max(green, blue) or green == blue:
        return stream
    stream = stream.filter("format", "rgba").filter("despill", type="green" if green > blue else "blue")
    return painted(stream.filter("scale", **_BT709).filter("format", _WITH_ALPHA))


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
