"""Many small pictures of a video on one, to see at a glance what is in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import Canvas
from shared.ffmpeg import file_url

_MOST = 12  # pictures on a sheet
_CELL_PIXELS = 320  # the longer side of one
_MOST_HALVINGS = 3  # of both sides, that a decoder of JPEG can do


def spread(count: int) -> list[int]:
    """Which of so many pictures come onto a sheet: all, or as many as it has room for, evenly spread."""
    shown = min(count, _MOST)
    return [(2 * number + 1) * count // (2 * shown) for number in range(shown)]


def sheet(pictures: Sequence[tuple[Path, float | None]], canvas: Canvas, target: Path) -> list[str]:
    """Put pictures side by side, row by row.

    Args:
        pictures: JPEG files, or films with the second at which each is looked at; all of the canvas's shape.
    """
    columns, longer = math.ceil(math.sqrt(len(pictures))), max(canvas.width, canvas.height)
    width, height = (max(2, round(side * _CELL_PIXELS / longer / 2) * 2) for side in (canvas.width, canvas.height))
    halvings = min(_MOST_HALVINGS, max(0, int(math.log2(longer / _CELL_PIXELS))))
    small = {picture: _cell(*picture, halvings).filter("scale", width, height) for picture in pictures}
    left = {picture: _copies(small[picture], uses) for picture, uses in Counter(pictures).items()}
    cells = [next(left[picture]) for picture in pictures]
    places = "|".join(f"{number % columns * width}_{number // columns * height}" for number in range(len(cells)))
    several = {"inputs": len(cells), "layout": places, "fill": "black"}
    stacked = ffmpeg.filter(cells, "xstack", **several) if len(cells) > 1 else cells[0]
    options = {"frames:v": 1, "q:v": 4, "update": 1, "f": "image2"}
    command: list[str] = ffmpeg.output(stacked, file_url(target), **options).compile(overwrite_output=True)
    return command[1:]


def _copies(stream: Any, count: int) -> Iterator[Any]:
    """A stream for each of its uses."""
    if count == 1:
        return iter([stream])
    split = stream.filter_multi_output("split", count)
    return (split.stream(number) for number in range(count))


def _cell(path: Path, second: float | None, halvings: int) -> Any:
    """One picture; JPEG files are decoded at no more than the size that is needed."""
    if second is None:
        return ffmpeg.input(file_url(path), f="image2", pattern_type="none", lowres=halvings)["v:0"]
    return ffmpeg.input(file_url(path), f="mov", ss=f"{second:.3f}", protocol_whitelist="file")["v:0"]
