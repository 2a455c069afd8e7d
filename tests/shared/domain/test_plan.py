"""The render plan: exact to the frame, and never more of a clip than it has."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.media import VideoFacts
from shared.domain.plan import (
    HARD_CUT,
    LEAST,
    Canvas,
    Clip,
    Cut,
    Layer,
    PlanError,
    Profile,
    RenderPlan,
    Track,
    Transition,
    Treatment,
    exact_rate,
    frames_in,
    frames_to_cover,
    make_plan,
    taken_by_cards,
    transition_of,
    treatment_of,
)

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
LOGO = Layer("logo.png")
PROFILE = Profile("libx264", 21, "medium", 192)
MICROSECOND = Fraction(1, 1_000_000)


def plan_of(rate: float, seconds: float, clip_seconds: list[float], transition: Transition = HARD_CUT) -> RenderPlan:
    return make_plan(
        Canvas(640, 360, exact_rate(rate)),
        PROFILE,
        seconds=seconds,
        clips=[Clip(f"part{number}", length) for number, length in enumerate(clip_seconds)],
        layers=[LOGO],
        tracks=[VOICE],
        transition=transition,
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
        assert shot.frames <= shot.clip_frames
        assert shot.clip_frames / exact <= Fraction(seconds) + 2 * MICROSECOND


@given(st.sampled_from(sorted(RATES)), st.integers(1, 200_000))
def test_a_clip_of_whole_frames_has_all_of_them(rate: float, frames: int) -> None:
    """A length that was rounded when it was written does not cost the last frame."""
    exact = exact_rate(rate)
    assert frames_in(float(frames / exact), exact) == frames
    assert frames_in(round(float(frames / exact), 6), exact) == frames
    assert frames_to_cover(float(frames / exact), exact) == frames


@pytest.mark.parametrize("rate", RATES)
def test_nothing_drifts_over_a_thousand_shots(rate: float) -> None:
    """A thousand clips of lengths that are no whole frames are covered to the frame, each shot by its own frames."""
    exact = RATES[rate]
    clip_seconds = [1 + number * 0.0137 % 3 for number in range(1_000)]
    seconds = float(sum(frames_in(length, exact) for length in clip_seconds) / exact) - 0.004
    plan = plan_of(rate, seconds, clip_seconds)
    assert len(plan.shots) == 1_000
    assert sum(shot.frames for shot in plan.shots) == plan.frames == frames_to_cover(seconds, exact)
    assert 0 <= plan.frames / exact - Fraction(seconds) < 1 / exact
    for shot, length in zip(plan.shots[:-1], clip_seconds, strict=False):
        assert shot.frames == shot.clip_frames == frames_in(length, exact)


def test_the_last_shot_is_cut_and_later_clips_are_not_used() -> None:
    """Clips are laid end to end until the voice is covered."""
    plan = plan_of(25, 3.0, [2.0, 2.0, 2.0])
    assert [(shot.source, shot.frames) for shot in plan.shots] == [("part0", 50), ("part1", 25)]
    assert [shot.clip_frames for shot in plan.shots] == [50, 50]
    assert (plan.tracks, plan.layers, plan.profile) == ((VOICE,), (LOGO,), PROFILE)


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


FACTS = VideoFacts(1920, 1080, 1920, 1080, 0, 1.0, 25.0, 10.0, 250, "AVC", matrix="BT.709", scan="progressive")


@pytest.mark.parametrize(
    ("facts", "treatment"),
    [
        (None, Treatment()),
        (FACTS, Treatment()),
        (replace(FACTS, scan=None), Treatment(fields="auto", doubled=True)),
        (replace(FACTS, scan=None, codec="VP9"), Treatment()),
        (replace(FACTS, scan="top field first"), Treatment(fields="tff", doubled=True)),
        (replace(FACTS, scan="bottom field first", frame_rate=50.0), Treatment(fields="bff")),
        (replace(FACTS, scan="interlaced"), Treatment(fields="auto", doubled=True)),
        (replace(FACTS, hdr="HLG", matrix="BT.2020"), Treatment(tone_map="HLG")),
        (replace(FACTS, matrix=None), Treatment(matrix="bt709")),
        (replace(FACTS, matrix=None, width=1280, height=536), Treatment(matrix="bt709")),
        (replace(FACTS, matrix=None, width=608, height=1080), Treatment(matrix="bt709")),
        (replace(FACTS, matrix=None, width=720, height=576), Treatment()),
        (replace(FACTS, matrix=None, codec="JPEG"), Treatment()),
    ],
)
def test_what_is_known_of_a_clip_decides_its_treatment(facts: VideoFacts | None, treatment: Treatment) -> None:
    """Fields, dynamic range and unsaid colours are treated; an ordinary clip, or one nothing is known of, is not."""
    assert treatment_of(facts, Fraction(50)) == treatment


def test_a_shot_carries_the_treatment_of_its_clip() -> None:
    """The plan knows of each shot what its clip needs."""
    clip = Clip("part0", 10.0, replace(FACTS, scan="top field first"))
    plan = make_plan(Canvas(640, 360, Fraction(25)), PROFILE, seconds=1.0, clips=[clip], layers=[], tracks=[VOICE])
    assert plan.shots[0].treatment == Treatment(fields="tff")


@pytest.mark.parametrize(
    ("kind", "seconds", "rate", "frames", "shared"),
    [
        ("cut", 0.5, 30, 0, 0),
        ("crossfade", 0.5, 30, 15, 15),
        ("crossfade", 0.5, 29.97, 15, 15),
        ("crossfade", 0.1, 25, 8, 8),
        ("fade", 0.5, 30, 8, 0),
        ("fade", 1.5, 60, 45, 0),
        ("fade", 0.1, 24, 4, 0),
    ],
)
def test_a_transition_lasts_as_long_as_it_should(
    kind: Cut, seconds: float, rate: float, frames: int, shared: int
) -> None:
    """In whole frames of each shot, and never in fewer than can be encoded by themselves."""
    transition = transition_of(kind, seconds, exact_rate(rate))
    assert (transition.frames, transition.shared) == (frames, shared)


@given(
    st.sampled_from(sorted(RATES)),
    st.lists(st.floats(0.0, 60.0), min_size=1, max_size=30),
    st.floats(0.001, 1.0),
    st.sampled_from(("cut", "fade", "crossfade")),
    st.floats(0.1, 1.5),
)
def test_shots_with_transitions_add_up_to_the_exact_frame_count(
    rate: float, clip_seconds: list[float], share: float, kind: Cut, lasts: float
) -> None:
    """What two shots share counts once; a shot that is too short for its transitions has hard cuts."""
    exact = exact_rate(rate)
    transition = transition_of(kind, lasts, exact)
    frames = [frames_in(seconds, exact) for seconds in clip_seconds]
    seconds = float(max(1, sum(frames) - len(frames) * transition.shared) / exact) * share
    assume(sum(frames) - len(frames) * transition.shared >= frames_to_cover(seconds, exact))
    plan = plan_of(rate, seconds, clip_seconds, transition)
    entered = [shot for shot in plan.shots if shot.enters]
    assert sum(shot.frames for shot in plan.shots) - len(entered) * transition.shared == plan.frames
    assert {shot.enters for shot in entered} <= {transition.frames}
    for before, shot in zip(plan.shots, plan.shots[1:], strict=False):
        has_room = min(before.frames, shot.frames) >= transition.room
        assert bool(shot.enters) == (kind != "cut" and has_room)
    assert all(shot.frames <= shot.clip_frames for shot in plan.shots)


# -- cards -------------------------------------------------------------------------------------------


@given(
    rate=st.sampled_from(sorted(RATES)),
    seconds=st.floats(0.1, 60),
    title=st.none() | st.floats(0.1, 20),
    end=st.none() | st.floats(0.1, 20),
    kind=st.sampled_from(("cut", "fade", "crossfade")),
    lasts=st.floats(0.1, 1.5),
    still=st.booleans(),
)
def test_cards_lie_within_the_video(
    rate: float, seconds: float, title: float | None, end: float | None, kind: Cut, lasts: float, still: bool
) -> None:
    """Which is as long as without them; neither takes more than a quarter, and a film no more than it has."""
    exact = exact_rate(rate)
    transition = transition_of(kind, lasts, exact)
    name = "png" if still else "mp4"
    plan = make_plan(
        Canvas(640, 360, exact),
        PROFILE,
        seconds=seconds,
        clips=[Clip(f"part{number}", 3.0) for number in range(60)],
        layers=[],
        tracks=[VOICE],
        transition=transition,
        title=None if title is None else Clip(f"title.{name}", title),
        end=None if end is None else Clip(f"end.{name}", end),
    )
    shared = sum(transition.shared for shot in plan.shots if shot.enters)
    assert sum(shot.frames for shot in plan.shots) - shared == plan.frames == frames_to_cover(seconds, exact)
    cards = [(place, shot) for place, shot in enumerate(plan.shots) if shot.card]
    assert {place for place, _ in cards} <= {0, len(plan.shots) - 1}
    assert all(shot.frames > 0 for shot in plan.shots)
    assert len(cards) < len(plan.shots)
    for _, shot in cards:
        own = title if shot.source.startswith("title") else end
        assert own is not None
        assert (
            LEAST <= shot.frames == shot.clip_frames <= min(frames_in(own, exact), plan.frames // 4 + transition.shared)
        )
        assert (shot.treatment.still == "png_pipe") == still
    assert plan.begins[-1] + plan.shots[-1].frames == plan.frames


def test_where_there_is_no_time_there_is_no_card() -> None:
    """A card of fewer frames than can be encoded by themselves would only flash."""
    assert taken_by_cards(5.0, 5.0, 1.0, Fraction(30)) == (0, 0)
    assert taken_by_cards(5.0, None, 100.0, Fraction(30)) == (150, 0)
    assert taken_by_cards(5.0, 5.0, 100.0, Fraction(30), Transition("crossfade", 15)) == (150, 135)


def test_a_card_without_room_for_a_crossfade_is_shown_all_the_same() -> None:
    """As long as it is, or for its quarter; more of it than that would leave nothing of the video."""
    slow = Transition("crossfade", 45)
    assert taken_by_cards(2.0, 2.0, 100.0, Fraction(30), slow) == (60, 60)
    assert taken_by_cards(5.0, 5.0, 2.0, Fraction(30), slow) == (15, 15)
    assert taken_by_cards(5.0, 5.0, 100.0, Fraction(30), slow) == (150, 105)
