"""Clips from the world, conformed as a segment and rendered in one command: upright, in shape, in their colours.

What they are compared with is a plain decode of the clip, scaled without a thought for canvases or segments.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.realmedia import REALMEDIA
from render_worker.commands.conform import Look, Recipe, decode_exactly
from render_worker.commands.direct import direct
from render_worker.likeness import likeness
from shared.domain.drop import Kind
from shared.domain.media import VideoFacts
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track, exact_rate, frames_in, treatment_of
from shared.mediainfo import read_declared
from tests.shown import Box, Shown, apart, psnr, shown

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media

if not REALMEDIA.is_dir():
    pytest.skip("no real media: set REELMILL_REALMEDIA to a folder of them", allow_module_level=True)

# A clip that takes minutes is left out, unless all are asked for: REELMILL_EVERY_CLIP=1
COSTLY = set() if "REELMILL_EVERY_CLIP" in os.environ else {"media__long_4k_av1.mp4"}
BOUNDED = {"ingest": {"check_timeout_seconds": 60, "decode_budget_seconds": 20}} if COSTLY else {}
# What ingest refuses, as tests/corpus/test_media.py shows.
NO_CLIPS = {"rails__video_without_video_stream.mp4", "media-services-v3-dotnet__surround-audio.mp4", *COSTLY}
CLIPS = [
    pytest.param(path, id=path.name)
    for path in sorted((REALMEDIA / "video").iterdir())
    if path.suffix.lower() in (".mp4", ".mov", ".m4v") and path.name not in NO_CLIPS
]
# Damaged from its first pictures on: what a decoder makes up for them differs from run to run.
UNSTEADY = {"fuzzing-corpus__xtrem-sport.mp4"}
CANVAS = Canvas(320, 180, exact_rate(30))
PROFILE = Profile("libx264", quality=10, preset="ultrafast", audio_kbps=64)
MOST_FRAMES = 40

# Of 255: two ways to scale, two roundings and an encoder.
TOLERANCE = 10.0
LEAST_PSNR = 42.0
CLEAR = 60  # brighter than this in a mean, and no bar
MOST_APART = 24.0  # of 255, half of what the gate allows
BLACK = (0.0, 0.0, 0.0)
HD_COLUMNS, HD_LINES = 1280, 720


def run(desk: Desk, arguments: list[str]) -> None:
    subprocess.run([desk.ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments], check=True, timeout=120)


def both_ways(desk: Desk, media: Media, clip: Path, facts: VideoFacts, folder: Path) -> tuple[Path, Path]:
    """The beginning of a clip as a segment, and as a film of one command."""
    whole = frames_in(facts.seconds, CANVAS.rate)
    frames, treatment = min(MOST_FRAMES, whole), treatment_of(facts, CANVAS.rate)
    segment, film = folder / "segment.mp4", folder / "film.mp4"
    recipe = Recipe("", 0, frames, treatment, Look(CANVAS, PROFILE))
    run(desk, recipe.command(clip, folder, segment, segment.with_suffix(".luma"), threads=1))
    (folder / "clip").symlink_to(clip)
    (folder / "voice.mp3").symlink_to(media.sound())
    shots, tracks = (Shot("clip", frames, whole, treatment),), (Track("voice.mp3", 1.0, 1),)
    plan = RenderPlan(CANVAS, PROFILE, frames / 30, frames, shots, (), tracks)
    run(desk, direct(plan, folder, film, film.with_suffix(".luma")))
    return segment, film


def check_likeness(desk: Desk, folder: Path, frames: int, facts: VideoFacts) -> None:
    """The gate takes neither way for a fault, however the clip was filmed; brightness is well within its limit."""
    for name in ("segment", "film"):
        run(desk, decode_exactly(folder / f"{name}.mp4", folder / "shown.luma", threads=1))
        grids = (folder / f"{name}.luma").read_bytes(), (folder / "shown.luma").read_bytes()
        checks = likeness(*grids, frames, is_changed=facts.hdr is not None)
        assert all(check.passed for check in checks), checks
        assert checks[-1].measured <= MOST_APART, checks


def place(facts: VideoFacts) -> Box:
    """Where on the canvas a clip belongs that keeps the shape it is displayed in."""
    aspect = facts.display_width / facts.display_height
    sides = min(CANVAS.width, CANVAS.height * aspect), min(CANVAS.height, CANVAS.width / aspect)
    width, height = (max(2, int(side + 0.01) // 2 * 2) for side in sides)
    return (CANVAS.width - width) // 2, (CANVAS.height - height) // 2, width, height


def plain(desk: Desk, clip: Path, facts: VideoFacts) -> Shown:
    """The same stretch decoded with nothing but ffmpeg's own turning, at the size it has on the canvas."""
    _, _, width, height = place(facts)
    large = facts.width >= HD_COLUMNS or facts.height >= HD_LINES
    matrix = ":in_color_matrix=bt709" if facts.matrix is None and large else ""
    chain = f"trim=duration=1.5,setpts=PTS-STARTPTS,fps=30,scale={width}:{height}{matrix}:flags=area"
    return shown(desk.ffmpeg, clip, width, height, chain)


def brightness(quarters: list[tuple[float, float, float]]) -> list[float]:
    return [sum(quarter) / 3 for quarter in quarters]


def check_bars(pictures: Shown, area: Box, frame: int) -> None:
    left, top, width, height = area
    right, below = CANVAS.width - left - width, CANVAS.height - top - height
    bars = [
        (0, 0, left - 1, 180),
        (left + width + 1, 0, right - 1, 180),
        (0, 0, 320, top - 1),
        (0, top + height + 1, 320, below - 1),
    ]
    assert all(apart(pictures.mean(bar, frame), BLACK) < 4 for bar in bars if bar[2] > 0 and bar[3] > 0)


def check_shape(pictures: Shown, wanted: Shown, area: Box, frame: int) -> None:
    """Where the plain picture is bright up to an edge, the picture on the canvas ends where its shape says."""
    left, top, width, height = area
    found = pictures.bright(frame=frame) if max(wanted.mean(frame=frame)) > CLEAR else area
    edges = [(0, 0, 1, height), (0, 0, width, 1), (width - 1, 0, 1, height), (0, height - 1, width, 1)]
    ends = [(found[0], left), (found[1], top), (found[0] + found[2], left + width), (found[1] + found[3], top + height)]
    for edge, (one, other) in zip(edges, ends, strict=True):
        if max(wanted.mean(edge, frame)) > CLEAR:
            assert abs(one - other) <= 2, (found, area)


def check_colours(pictures: Shown, wanted: Shown, area: Box, frame: int) -> None:
    """The mean of each quarter is that of the plain picture: a turned, mirrored or shifted picture differs there."""
    for found, expected in zip(pictures.quarters(area, frame), wanted.quarters(frame=frame), strict=True):
        assert apart(found, expected) <= TOLERANCE, (found, expected)


def check_mapped(pictures: Shown, wanted: Shown, area: Box, frame: int) -> None:
    """A high dynamic range read as if it were an ordinary one is flat, but as bright in the same places."""
    found = brightness(pictures.quarters(area, frame))
    expected = brightness(wanted.quarters(frame=frame))
    if max(expected) > 30:
        assert 10 < sum(found) / 4 < 200
    for one in range(4):
        for other in range(4):
            if expected[one] > expected[other] + 15:
                assert found[one] > found[other], (found, expected)


@pytest.mark.parametrize("clip", CLIPS)
def test_a_real_clip_is_shown_upright_in_its_shape_and_colours(
    desk: Desk, media: Media, clip: Path, tmp_path: Path
) -> None:
    """Its beginning, as a segment and as a film: all frames, black bars, the picture of a plain decode, BT.709."""
    facts = desk.examine(clip, Kind.VIDEO, BOUNDED).video
    assert facts is not None
    area, wanted = place(facts), plain(desk, clip, facts)
    frames = min(MOST_FRAMES, frames_in(facts.seconds, CANVAS.rate))
    segment, film = (shown(desk.ffmpeg, video, 320, 180) for video in both_ways(desk, media, clip, facts, tmp_path))
    assert (len(segment.frames), len(film.frames)) == (frames, frames)
    check_likeness(desk, tmp_path, frames, facts)
    for frame in sorted({0, frames // 2, min(frames, len(wanted.frames)) - 1}):
        check_bars(segment, area, frame)
        if clip.name in UNSTEADY:
            continue
        assert psnr(segment.frames[frame], film.frames[frame]) >= LEAST_PSNR
        if facts.hdr:
            check_mapped(segment, wanted, area, frame)
        else:
            check_shape(segment, wanted, area, frame)
            check_colours(segment, wanted, area, frame)
    declared = read_declared(tmp_path / "segment.mp4", lambda: False)
    assert declared is not None
    keys = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "color_range", "chroma_subsampling")
    assert [declared.video[0].get(key) for key in keys] == ["BT.709", "BT.709", "BT.709", "Limited", "4:2:0"]
