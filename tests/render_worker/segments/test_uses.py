"""Which segments of a clip are taken or made for so many of its frames."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_worker.commands.conform import Look
from render_worker.commands.outputs import gop_frames
from render_worker.segments.conforming import Wanted
from render_worker.segments.uses import Source, segments_of
from shared.domain.plan import Canvas, Profile, Treatment

LOOK = Look(Canvas(1920, 1080, Fraction(30)), Profile("libx264", 20, "medium", 192))
GOP = gop_frames(LOOK.canvas.rate)
STEP = GOP // 4


def parts(clip_frames: int, frames: int, has: Callable[[str], bool] = lambda _: False) -> list[Wanted]:
    clip = Source(Path("/clip.mp4"), "scanned/clip.mp4", "cafe", 1_000_000, clip_frames, Treatment())
    return segments_of(clip, frames, LOOK, Path("/task"), "9", has)


def spans(found: list[Wanted]) -> list[tuple[int, int]]:
    return [(one.recipe.start, one.recipe.end) for one in found]


@given(st.integers(1, 5_000), st.data())
def test_parts_hold_what_is_wanted_and_hardly_more(clip_frames: int, data: st.DataObject) -> None:
    """They lie end to end from the first frame on; hardly anything is made that is not wanted, and no part is short."""
    frames = data.draw(st.integers(1, clip_frames))
    first = parts(clip_frames, frames)
    assert spans(first)[0][0] == 0
    assert all(one.recipe.end == other.recipe.start for one, other in pairwise(first))
    assert frames <= first[-1].recipe.end < frames + 2 * GOP
    assert first[-1].recipe.end < max(frames, first[-1].recipe.start + GOP) + GOP + STEP
    assert all(one.recipe.frames >= min(GOP, clip_frames) for one in first)
    assert clip_frames - first[-1].recipe.end not in range(1, GOP)

    there = {one.key for one in first}
    later = parts(clip_frames, data.draw(st.integers(frames, clip_frames)), there.__contains__)
    assert spans(later)[: len(first) - 1] == spans(first)[:-1]
    assert there <= {one.key for one in later}, "what has been made is not made again"


def test_a_video_that_ends_in_a_clip_does_not_wait_for_the_rest() -> None:
    """Only a quarter of a group of pictures at most; whoever wants all of the clip adds what is missing."""
    [head] = parts(300, 80)
    assert spans([head]) == [(0, 90)]
    assert spans(parts(300, 300, {head.key}.__contains__)) == [(0, 90), (90, 300)]
    assert spans(parts(300, 60, {head.key}.__contains__)) == [(0, 90)]


def test_a_segment_of_all_frames_is_taken_for_few_of_them() -> None:
    """Where there are several ways, the longest segment is taken."""
    [whole], [head] = parts(300, 300), parts(300, 75)
    assert parts(300, 75, {whole.key, head.key}.__contains__) == [whole]


@pytest.mark.parametrize(("wanted", "made"), [(240, 240), (241, 310), (245, 310), (310, 310)])
def test_a_short_rest_is_made_with_what_comes_before_it(wanted: int, made: int) -> None:
    """No segment is shorter than a group of pictures, if its clip is not."""
    assert spans(parts(310, wanted)) == [(0, made)]


def test_effort_grows_with_frames_and_with_how_hard_they_are_to_encode() -> None:
    """The same number of frames of a clip with four times the bits takes twice the work."""
    clips = [
        Source(Path("/a.mp4"), "a.mp4", "cafe", size, frames, Treatment())
        for size, frames in ((3_000_000, 300), (12_000_000, 300), (30_000_000, 3_000))
    ]
    efforts = [segments_of(clip, 300, LOOK, Path("/task"), "9", lambda _: False)[0].effort for clip in clips]
    assert efforts == [efforts[0], 2 * efforts[0], efforts[0]]
