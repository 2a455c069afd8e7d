"""Gains follow from what was measured; what misses is mixed again until it is right, or cannot be better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.media import LoudnessFacts
from shared.domain.mix import Broadcast, Master, Mixing, held_of, levels

WANTED = Broadcast(loudness_lufs=-14.0, true_peak_db=-1.0, music_lu=-12.0)
VOICE = LoudnessFacts(-24.0, 5.0, -14.0, threshold=-34.5)
MUSIC = LoudnessFacts(-16.0, 4.0, -1.5)
LOUD = replace(VOICE, true_peak=-2.0)  # its peaks must be held by ten decibels


def test_a_voice_is_brought_to_the_loudness_of_the_programme() -> None:
    """And the music as far under it as wanted, when that is under the voice's gate."""
    voice_db, music_db, master = levels(VOICE, MUSIC, replace(WANTED, music_lu=-18.0))
    assert voice_db == 10.0
    assert music_db == -14.0 - 18.0 + 16.0
    assert (master.gain_db, master.limit_db, master.speech_db) == (0.0, -2.0, -34.0)


@pytest.mark.parametrize(("threshold", "music_db"), [(-34.5, -10.5), (-40.0, -16.0), (None, -10.0)])
def test_music_stays_under_the_gate(threshold: float | None, music_db: float) -> None:
    """The more a voice pauses the lower lies its gate, and pauses must not make the programme louder or quieter."""
    assert levels(replace(VOICE, threshold=threshold), MUSIC, WANTED)[1] == music_db


def test_what_holding_peaks_costs_is_made_up_for() -> None:
    """The gain is such that what it brings is what is lost in all."""
    held = held_of(LOUD, WANTED)
    assert held == 10.0
    _, _, master = levels(replace(LOUD, limiting=((10.0, 1.0), (13.0, 2.2))), MUSIC, WANTED)
    assert master.gain_db == pytest.approx(1.0 + 0.4 * master.gain_db, abs=0.01)
    assert levels(LOUD, MUSIC, WANTED)[2].gain_db == pytest.approx(0.1 * (10 + 1.11), abs=0.01)


def test_there_is_an_end_to_holding_peaks() -> None:
    """A voice of little but clicks stays quieter, and it is known that it may."""
    clicks = replace(VOICE, true_peak=13.0)
    master = levels(clicks, MUSIC, WANTED)[2]
    assert (master.gain_db, master.most_gain_db, master.is_held) == (0.0, 0.0, True)
    assert Mixing(master).next(-18.0, -2.0) is None


def test_a_voice_that_was_never_measured_is_taken_for_a_usual_one() -> None:
    """What comes out then tells."""
    voice_db, music_db, master = levels(None, None, WANTED)
    assert (voice_db, music_db) == (6.0, -12.0)
    again = Mixing(master).next(-20.0, -6.0)
    assert again
    assert again.gain_db > master.gain_db + 5
    assert not again.is_held


def test_what_is_right_is_not_mixed_again() -> None:
    """Nor what is as near as can be heard."""
    master = levels(VOICE, MUSIC, WANTED)[2]
    assert Mixing(master).next(-14.3, -1.0) is None


def test_a_peak_that_came_out_too_high_lowers_the_limit() -> None:
    """By what it was too high, and a little more."""
    master = levels(VOICE, MUSIC, WANTED)[2]
    again = Mixing(master).next(-14.0, 0.3)
    assert again == replace(master, limit_db=-3.4)


@given(st.floats(-6, 6), st.floats(0.2, 1.0), st.floats(-1.5, 1.5))
def test_mixing_again_comes_to_an_end_at_the_target(missed: float, gives: float, overshoot: float) -> None:
    """Whatever a limiter gives back of each decibel, and whatever the encoder adds to peaks."""
    master = Master(WANTED, gain_db=0.0, limit_db=-2.0, most_gain_db=60.0, speech_db=-34.0)
    mixing, mixes, result = Mixing(master), 0, (0.0, 0.0)
    now: Master | None = master
    while now:
        mixes += 1
        result = (-14.0 + missed + gives * now.gain_db, now.limit_db + 0.5 + overshoot)
        now = mixing.next(*result)
    assert mixes <= 6
    assert result[0] == pytest.approx(-14.0, abs=0.5)
    assert result[1] <= -1.0 + 1e-6


def test_music_that_counts_now_and_then_goes_down() -> None:
    """Steady music at the voice's gate counts as programme or does not, and no gain of the voice is right between."""
    master = levels(VOICE, MUSIC, WANTED)[2]
    mixing, mixes, loudness = Mixing(master), 0, 0.0
    now: Master | None = master
    while now:
        mixes += 1
        counts = now.music_db > -2.0 and now.gain_db < 1.0
        loudness = -14.0 + now.gain_db - (1.5 if counts else 0.0)
        now = mixing.next(loudness, -6.0)
    assert loudness == pytest.approx(-14.0, abs=0.35)
    assert mixes == 3
