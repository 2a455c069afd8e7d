"""What stands behind a command's filters: clocks and groups of pictures that every rate can be told in."""

from __future__ import annotations

from fractions import Fraction

import pytest

from render_worker.commands.outputs import container, gop_frames, timescale, video_options
from shared.domain.plan import Canvas, Profile, exact_rate

CANVAS = Canvas(1920, 1080, exact_rate(59.94))
PROFILE = Profile("libx264", quality=18, preset="slow", audio_kbps=128)


@pytest.mark.parametrize("rate", [23.976, 24, 25, 29.97, 30, 50, 59.94, 60])
def test_one_frame_is_a_whole_number_of_ticks(rate: float) -> None:
    """At every usual rate the track's clock can name the time of every frame exactly."""
    exact = exact_rate(rate)
    ticks = timescale(exact) / exact
    assert isinstance(ticks, Fraction)
    assert ticks.denominator == 1
    assert timescale(exact) >= 10_000


@pytest.mark.parametrize(("rate", "frames"), [(23.976, 48), (25, 50), (29.97, 60), (50, 100), (59.94, 120)])
def test_a_group_of_pictures_lasts_two_seconds(rate: float, frames: int) -> None:
    """Keyframes come every two seconds, in whole frames."""
    assert gop_frames(exact_rate(rate)) == frames


def test_the_picture_is_encoded_as_the_profile_says() -> None:
    """Quality and preset come from the profile, keyframes and rate from the canvas."""
    assert video_options(CANVAS, PROFILE) == {
        "c:v": "libx264",
        "preset": "slow",
        "crf": 18,
        "g": 120,
        "keyint_min": 120,
        "sc_threshold": 0,
        "flags": "+cgop",
        "profile:v": "high",
        "pix_fmt": "yuv420p",
        "r": "60000/1001",
    }


def test_every_file_of_a_canvas_has_one_clock_and_no_foreign_tags() -> None:
    """What clips carry along in tags stays behind."""
    assert container(CANVAS) == {"video_track_timescale": 60_000, "map_metadata": -1}
