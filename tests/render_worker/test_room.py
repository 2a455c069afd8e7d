"""How much room a render asks for, and what is said where there is less."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.room import check_room, needed_bytes
from shared.domain.errors import MachineTrouble
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track, Treatment

SHOTS = (Shot("video_part1.mp4", 1800, 1800, Treatment()),)
PLAN = RenderPlan(
    Canvas(1920, 1080, Fraction(30)),
    Profile("libx264", 21, "medium", 192),
    60.0,
    1800,
    SHOTS,
    (),
    (Track("voice.mp3", 1.0, 1),),
)


def test_a_film_needs_what_its_pixels_take_and_its_segments_as_much_again() -> None:
    """A minute of 1080p is about 60 MB with its sound; what has to be conformed first is counted as well."""
    warm, cold = needed_bytes(PLAN, 0), needed_bytes(PLAN, 1800)
    assert 45e6 < warm < 75e6
    assert 40e6 < cold - warm < 60e6


def test_a_render_without_room_is_the_nodes_trouble(tmp_path: Path) -> None:
    """It says how much there is and how much is needed, in the specification's words."""
    check_room(tmp_path, PLAN, 0)
    with pytest.raises(MachineTrouble, match=re.escape("GB remaining, and this video needs about")) as trouble:
        check_room(tmp_path, PLAN, 10**12)
    assert str(trouble.value).startswith("Low disk space: ")
