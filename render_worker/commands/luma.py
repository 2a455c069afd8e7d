"""How bright a picture is, place by place: what a clip's frames and a film's are compared by.

A frame becomes a grid of :data:`CELLS` by :data:`CELLS` mean values of the whole canvas, bars and layers included, 0
for black and 255 for white. The clip's are taken from its frames as they were decoded, by a way of its own through the
filters, so that a fault of scaling, mapping, padding or encoding is in the film's alone.

Of each frame, whatever its size, some 37,000 pixels are looked at: the mean of all of them takes three times as long
at 1080p and ten times at 2160p (docs/gate.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ffmpeg

from render_worker.commands.shapes import cells
from shared.domain.plan import Canvas, Layer
from shared.ffmpeg import file_url

CELLS = 12
SIDE = 193  # of each row and column; a prime, so that no pattern of a picture's pixels falls into step with it
BLUR = 8  # a picture that lies behind another is blurred where it has this part of its width and height
_FEW = {"flags": "neighbor", "out_range": "pc"}
_MEANS = {"w": CELLS, "h": CELLS, "flags": "area", "out_range": "pc"}
_RAW = {"fps_mode": "passthrough", "f": "rawvideo"}


def placed(frames: Any, canvas: Canvas) -> Any:
    """Decoded frames as few pixels, at their place on a canvas that is as small."""
    size = (SIDE, SIDE)
    placing = cells("outside" if canvas.fit == "crop" else "inside", canvas, SIDE)
    few = frames.filter("scale", **placing, **_FEW).filter("format", "gray")
    if canvas.fit == "pad":
        return few.filter("pad", *size, "(ow-iw)/2", "(oh-ih)/2", color="black").filter("setsar", 1)
    parts = few.filter_multi_output("split")
    behind = parts.stream(0).filter("scale", SIDE // BLUR, SIDE // BLUR, flags="area")
    behind = behind.filter("scale", *size, flags="bilinear")
    few = ffmpeg.filter([behind, parts.stream(1)], "overlay", "(W-w)/2", "(H-h)/2", format="yuv444")
    return few.filter("format", "gray").filter("setsar", 1)


def laid_over(few: Any, over: Any, layer: Layer, canvas: Canvas) -> Any:
    """A layer over the small canvas, where it lies on the large one."""
    across, down = SIDE / canvas.width, SIDE / canvas.height
    wide, high = ("iw", "ih") if layer.width is None else (f"{layer.width}", f"{layer.width}*ih/iw")
    size = {"w": f"max(1,round({wide}*{across:.6g}))", "h": f"max(1,round({high}*{down:.6g}))"}
    over = over.filter("scale", **size, flags="area")
    where = place(layer, round(layer.margin * across), round(layer.margin * down))
    return ffmpeg.filter([few, over], "overlay", *where, format="yuv444")


def place(layer: Layer, across: int, down: int) -> tuple[str, str]:
    """Where a layer lies, as `overlay` takes it: so many pixels from the edges it lies at."""
    if layer.position == "center":
        return "(W-w)/2", "(H-h)/2"
    left = f"{across}" if layer.position.endswith("left") else f"W-w-{across}"
    return left, f"{down}" if layer.position.startswith("top") else f"H-h-{down}"


def clip_luma(few: Any, target: Path) -> Any:
    """The output for what was placed on a small canvas."""
    return ffmpeg.output(few.filter("scale", **_MEANS).filter("format", "gray"), file_url(target), **_RAW)


def film_luma(target: Path) -> list[str]:
    """The output for the first film that is decoded in a command."""
    steps = {"w": SIDE, "h": SIDE, **_FEW}, _MEANS
    scaled = ["scale=" + ":".join(f"{key}={value}" for key, value in step.items()) for step in steps]
    graph = f"{scaled[0]},format=gray,{scaled[1]},format=gray"
    options = [word for key, value in _RAW.items() for word in (f"-{key}", value)]
    return ["-map", "0:v:0", "-vf", graph, *options, "-y", file_url(target)]
