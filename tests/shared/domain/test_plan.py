"""The render plan: exact to the frame, and never more of a clip than it has."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.plan import Canvas, PlanError, RenderPlan, Track, exact_rate, frames_in, frames_to_cover, make_plan

RATES = {
    23.976: Fraction(24000, 1001),
    24: Fraction(24),
    25: Fraction(25),
    29.97: Fraction(30000, 1001),
    30: Fraction(30),
    50: Fraction(50),
    59.94: Fraction(60000, 1001),
    60: Fraction(60),
}
VOICE = Track("voice.mp3", 1.0, 1)
MICROSECOND = Fraction(1, 1_000_000)


def plan_of(rate: float, seconds: float, clip_seconds: list[float]) -> RenderPlan:
    clips = [f"part{number}" for number in range(len(clip_seconds))]
    return make_plan(
        Canvas(640, 360, exact_rate(rate)),
        seconds=seconds,
        clips=clips,
        clip_seconds=dict(zip(clips, clip_seconds, strict=True)),
        tracks=[VOICE],
        logo=None,
    )


@pytest.mark.parametrize(("value", "rate"), RATES.items())
def test_a_rate_is_the_exact_fraction_it_means(value: float, rate: Fraction) -> None:
    """29.97 means 30000/1001 and 25 means 25."""
    assert exact_rate(value) == rate


@pytest.mark.parametrize("value", [23.98, 23.976023976, 29.97003, 119.88])
def test_a_rate_may_be_written_in_any_usual_precision(value: float) -> None:
    """People write the NTSC rates with two decimals or with nine."""
    assert exact_rate(value).denominator == 1001


@given(st.sampled_from(sorted(RATES)), st.lists(st.floats(0.0, 600.0), min_size=1, max_size=40), st.floats(0.001, 1.0))
def test_shots_add_up_to_the_exact_frame_count(rate: float, clip_seconds: list[float], share: float) -> None:
    """Whatever lengths the clips have, the picture is exactly as long as the sound, to the frame."""
    exact = exact_rate(rate)
    has = sum(frames_in(seconds, exact) for seconds in clip_seconds)
    seconds = float(has / exact) * share
    assume(has >= frames_to_cover(seconds, exact))
    plan = plan_of(rate, seconds, clip_seconds)
    assert sum(shot.frames for shot in plan.shots) == plan.frames == frames_to_cover(seconds, exact)
    assert plan.frames / exact >= Fraction(seconds) - 2 * MICROSECOND
    assert (plan.frames - 1) / exact < Fraction(seconds) or plan.frames == 1


@given(st.sampled_from(sorted(RATES)), st.lists(st.floats(0.0, 60.0), min_size=1, max_size=20))
def test_a_shot_has_a_frame_and_no_more_than_its_clip(rate: float, clip_seconds: list[float]) -> None:
    """No shot is empty, and none asks for frames that are not there."""
    exact = exact_rate(rate)
    has = sum(frames_in(seconds, exact) for seconds in clip_seconds)
    assume(has > 0)
    plan = plan_of(rate, float(has / exact), clip_seconds)
    for shot in plan.shots:
        seconds = clip_seconds[int(shot.source.removeprefix("part"))]
        assert shot.frames >= 1
        assert shot.frames / exact <= Fraction(seconds) + 2 * MICROSECOND


@given(st.sampled_from(sorted(RATES)), st.integers(1, 200_000))
def test_a_clip_of_whole_frames_has_all_of_them(rate: float, frames: int) -> None:
    """A length that was rounded when it was written does not cost the last frame."""
    exact = exact_rate(rate)
    assert frames_in(float(frames / exact), exact) == frames
    assert frames_in(round(float(frames / exact), 6), exact) == frames
    assert frames_to_cover(float(frames / exact), exact) == frames


@given(st.sampled_from(sorted(RATES)), st.lists(st.floats(0.1, 30.0), min_size=1, max_size=50), st.integers(1, 60))
def test_pieces_add_up_to_the_whole(rate: float, clip_seconds: list[float], most: int) -> None:
    """Rendering in pieces renders the same shots in the same order, without sound."""
    plan = plan_of(rate, sum(clip_seconds) / 2, clip_seconds)
    pieces = plan.pieces(most)
    assert tuple(shot for piece in pieces for shot in piece.shots) == plan.shots
    assert sum(piece.frames for piece in pieces) == plan.frames
    for piece in pieces:
        assert 1 <= len(piece.shots) <= most
        assert piece.frames == sum(shot.frames for shot in piece.shots)
        assert frames_to_cover(piece.seconds, plan.canvas.rate) == piece.frames
        assert not piece.tracks


def test_the_last_shot_is_cut_and_later_clips_are_not_used() -> None:
    """Clips are laid end to end until the voice is covered."""
    plan = plan_of(25, 3.0, [2.0, 2.0, 2.0])
    assert [(shot.source, shot.frames) for shot in plan.shots] == [("part0", 50), ("part1", 25)]
    assert plan.tracks == (VOICE,)


def test_a_clip_too_short_for_a_frame_is_passed_over() -> None:
    """A clip of a hundredth of a second gives nothing."""
    assert [shot.source for shot in plan_of(25, 1.0, [0.01, 1.0]).shots] == ["part1"]


def test_clips_that_do_not_cover_the_voice_are_an_error_with_figures() -> None:
    """The operator learns how much is missing and what to do."""
    with pytest.raises(PlanError, match="cover 50 of 75 frames"):
        plan_of(25, 3.0, [2.0])


def test_a_voice_of_no_length_still_gives_a_frame() -> None:
    """There is no video without a picture."""
    assert plan_of(30, 0.0, [1.0]).frames == 1
