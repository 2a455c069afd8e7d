"""What lies over and behind clips, on canvases of every shape, in both ways of rendering."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.job import Job
from shared.domain.layout import FINAL
from shared.ffmpeg import Ffmpeg
from shared.records.render import RenderRecord
from tests.shown import shown

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Colour = Callable[..., tuple[int, int, int]]
Box = tuple[int, int, int, int]

BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])
SHAPES = pytest.mark.parametrize("size", [(320, 180), (180, 320), (240, 240)], ids=["landscape", "portrait", "square"])
WHITE, RED, BLUE, GREEN = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0)


def near(found: tuple[int, int, int], wanted: tuple[int, int, int], by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def corner(position: str, size: tuple[int, int], side: int, margin: int) -> tuple[int, int]:
    """Where a square begins."""
    (width, height), far = size, side + margin
    if position == "center":
        return (width - side) // 2, (height - side) // 2
    return margin if "left" in position else width - far, margin if "top" in position else height - far


@BOTH
@SHAPES
@pytest.mark.parametrize("position", ["top-left", "top-right", "bottom-left", "bottom-right", "center"])
def test_the_logo_lies_where_and_as_it_was_asked_for(
    prepare: Prepare, render: Render, colour: Colour, mode: str, size: tuple[int, int], position: str
) -> None:
    """Scaled to a share of the width, so far from the edges, and half to be seen; nothing else is touched."""
    job = prepare(
        clips=("white.mp4",), voice="voice_short.mp3", logo="logo.png", resolution=f"{size[0]}x{size[1]}", music=None
    )
    settings = {"logo_position": position, "logo_margin": 10, "logo_width": 0.25, "logo_opacity": 0.5}
    record = render(job, mode=mode, quality=1, fit="crop", **settings)
    assert record.fallback is None
    final, side = job.folder / FINAL, size[0] // 4
    left, top = corner(position, size, side, 10)
    half = side // 2
    assert near(colour(final, (left + 4, top + 4, half - 8, side - 8)), (127, 255, 127))
    assert near(colour(final, (left + half + 4, top + 4, half - 8, side - 8)), (191, 255, 191))
    beside: list[Box] = [(0, 0, size[0], top - 2), (0, top + side + 2, size[0], size[1] - top - side - 2)]
    beside += [(0, 0, left - 2, size[1]), (left + side + 2, 0, size[0] - left - side - 2, size[1])]
    assert all(near(colour(final, box), WHITE, 4) for box in beside if box[2] > 0 and box[3] > 0)


@BOTH
@pytest.mark.parametrize("opacity", [1.0, 0.5])
@pytest.mark.parametrize(
    ("pixels", "full"), [("rgba64be", GREEN), ("ya16be", (90, 90, 90)), ("ya8", (90, 90, 90)), ("rgb48be", GREEN)]
)
def test_a_logo_of_any_depth_is_seen_through_as_it_should(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    run_ffmpeg: Callable[..., bytes],
    tmp_path: Path,
    mode: str,
    opacity: float,
    pixels: str,
    full: tuple[int, int, int],
) -> None:
    """Of 8 and 16 bits, in colours and in grey: its right half half clear, where it can be."""
    logo, (red, green, blue) = tmp_path / "deep.png", full
    graph = f"color=black:size=80x80,format=rgba,geq=r={red}:g={green}:b={blue}:a='if(lt(X,40),255,128)'"
    run_ffmpeg("-f", "lavfi", "-i", graph, "-frames:v", "1", "-pix_fmt", pixels, logo)
    job = prepare(clips=("white.mp4",), voice="voice_short.mp3", logo=logo, music=None)
    assert render(job, mode=mode, quality=1, logo_margin=10, logo_opacity=opacity).fallback is None
    final, halves = job.folder / FINAL, ((14, 14, 32, 72), (54, 14, 32, 72))
    for box, alpha in zip(halves, (1.0, 1.0 if pixels == "rgb48be" else 0.5), strict=True):
        wanted = [round(255 - (255 - value) * alpha * opacity) for value in full]
        assert near(colour(final, box), (wanted[0], wanted[1], wanted[2]))


@BOTH
def test_a_white_logo_on_white_is_not_to_be_seen(
    prepare: Prepare, render: Render, run_ffmpeg: Callable[..., bytes], ffmpeg: Ffmpeg, tmp_path: Path, mode: str
) -> None:
    """What is clear is black in its file, and must not darken its edges when it is scaled."""
    logo = tmp_path / "white.png"
    stripes = ":".join(f"{channel}='255*lt(mod(X,10),5)'" for channel in "rgba")
    run_ffmpeg("-f", "lavfi", "-i", f"color=black:size=200x200,format=rgba,geq={stripes}", "-frames:v", "1", logo)
    job = prepare(clips=("white.mp4",), voice="voice_short.mp3", logo=logo, music=None)
    assert render(job, mode=mode, quality=1, logo_width=0.27).fallback is None
    assert min(shown(ffmpeg, job.folder / FINAL, 320, 180).frames[5]) > 245


@BOTH
@SHAPES
@pytest.mark.parametrize("fit", ["pad", "crop", "blur"])
def test_a_clip_is_brought_into_the_shape_of_the_canvas(
    prepare: Prepare, render: Render, colour: Colour, mode: str, size: tuple[int, int], fit: str
) -> None:
    """A picture of 4:3, red on its left and blue on its right: with bars, without its edges, or over its own blur."""
    width, height = size
    job = prepare(clips=("four_thirds.mp4",), voice="voice_short.mp3", resolution=f"{width}x{height}", music=None)
    assert render(job, mode=mode, quality=1, fit=fit).fallback is None
    final = job.folder / FINAL
    across, down = min(width, height * 4 // 3), min(height, width * 3 // 4)
    left, top = (width - across) // 2, (height - down) // 2
    middle = height // 2 - 5
    assert near(colour(final, (width // 2 - 30, middle, 20, 10)), RED)
    assert near(colour(final, (width // 2 + 10, middle, 20, 10)), BLUE)
    # Two places beside the picture, where it has bars.
    places: tuple[Box, Box] = (
        ((2, middle, left - 8, 10), (width - left + 6, middle, left - 8, 10))
        if left
        else ((10, 4, width // 2 - 40, top - 12), (width // 2 + 30, 4, width // 2 - 40, top - 12))
    )
    wanted = {"pad": ((0, 0, 0), (0, 0, 0)), "crop": (RED, BLUE), "blur": (RED, BLUE)}[fit]
    assert all(near(colour(final, box), paint, 30) for box, paint in zip(places, wanted, strict=True))
