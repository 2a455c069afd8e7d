"""What it costs to hold a voice's peaks down is tried where they will have to be held, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from main_worker.checks.limiting import with_limiting
from main_worker.checks.sounds import measure_voice
from shared.domain.drop import Kind
from shared.domain.mix import Broadcast, held_of

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media

SYLLABLES = "0.05*sin(2*PI*300*t)*pow(0.52-0.48*cos(8*PI*t),2)"
EVEN = f"aevalsrc='{SYLLABLES}':s=44100:d=6"
CLICKS = f"aevalsrc='{SYLLABLES}+0.6*lt(mod(t,0.7),0.002)':s=44100:d=6"


def test_a_voice_with_room_above_it_costs_nothing(desk: Desk, media: Media) -> None:
    """Its record says nothing of limiting."""
    found = desk.examine(media.made("even.mp3", "-f", "lavfi", "-i", EVEN), Kind.VOICE).loudness
    assert found
    assert held_of(found, Broadcast()) < 1.0
    assert found.limiting == ()


def test_a_voice_with_peaks_is_tried(desk: Desk, media: Media) -> None:
    """Where its peaks will be held, and a little further; the more is held the more is lost."""
    found = desk.examine(media.made("clicks.mp3", "-f", "lavfi", "-i", CLICKS), Kind.VOICE).loudness
    assert found
    held = held_of(found, Broadcast())
    assert held > 1.0
    (first, less), (second, more) = found.limiting
    assert first == held
    assert second == pytest.approx(held + 3.0)
    assert 0.0 < less <= more < held


def test_what_is_wanted_is_what_is_tried(desk: Desk, media: Media) -> None:
    """A quieter programme needs no limiter."""
    path = media.made("clicks.mp3", "-f", "lavfi", "-i", CLICKS)
    found = desk.examine(path, Kind.VOICE, {"mix": {"loudness_lufs": -31.0}}).loudness
    assert found
    assert found.limiting == ()


def test_silence_is_not_tried(desk: Desk, media: Media) -> None:
    """It has no loudness that a gain could be found for."""
    path = media.made("clicks.mp3", "-f", "lavfi", "-i", CLICKS)
    _, loudness = measure_voice(desk.cage(), path)
    silent = replace(loudness, integrated=-70.0)
    assert with_limiting(desk.cage(), path, silent) == silent
