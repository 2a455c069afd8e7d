"""How voice and music become one programme: gains, ducking, peaks. From what was measured when they were dropped.

The voice is brought to the loudness of the programme. The music lies under it, and further under it where somebody
speaks. It stays below the voice's relative gate (ITU-R BS.1770), so that pauses do not count and the loudness of the
whole is that of the voice. Peaks that would be too high then are held down, which costs loudness; how much a voice
loses was tried at ingest, and the gain makes up for it. What comes out is measured, and mixed again where it missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.domain.loudness import SILENCE_LUFS
from shared.domain.media import LoudnessFacts

TOLERANCE_LU = 0.5  # of the programme's loudness

_MOST_MIXES = 6
_CLOSE_LU = 0.35  # what is nearer than this is not mixed again
_CLEAR_DB = 0.1  # by which the limit goes further down than the peak was too high
_LEAST_YIELD = 0.2
_LOWER_DB = 3.0  # by which music goes down that is at the voice's gate
_BELOW_GATE_LU = 2.0  # by how much the music stays under the gate, since it has louder moments
_SPEECH_LU = -20.0  # from here on, under the voice's loudness, a sound is speech that the music gives way to
_ENCODER_DB = 1.0  # what AAC usually adds to peaks that were held
_MOST_HELD_DB = 24.0  # beyond it little but the limiter would be heard
_USUAL_VOICE = LoudnessFacts(integrated=-20.0, range=6.0, true_peak=-3.0)  # of voices that were never measured
_MOST_GAIN_DB = 60.0  # of a voice that was never measured: its peaks are not known, and what comes out tells
_USUAL_LOSS = 0.1  # LU for each dB by which peaks are held
_STEEPEST_LOSS = 0.8


@dataclass(frozen=True)
class Broadcast:
    """What a programme is to be.

    Attributes:
        loudness_lufs, true_peak_db: integrated loudness, and highest true peak in dBTP, of the finished sound.
        music_lu: loudness of the music where nobody speaks, under the voice's.
        duck_db: how much further it goes down where somebody speaks.
        attack_seconds, release_seconds: how fast it goes down, and comes back.
        fade_in_seconds, fade_out_seconds: of the music, at both ends of the programme.
    """

    loudness_lufs: float = -14.0
    true_peak_db: float = -1.0
    music_lu: float = -12.0
    duck_db: float = 8.0
    attack_seconds: float = 0.03
    release_seconds: float = 0.6
    fade_in_seconds: float = 1.0
    fade_out_seconds: float = 3.0


@dataclass(frozen=True)
class Master:
    """What is done to voice and music so that they are one programme.

    Attributes:
        wanted: what is to come out.
        music_db: added to the music, where it counted as programme all the same.
        gain_db: added to the voice, which makes up for what holding its peaks costs.
        limit_db: samples are held below this.
        most_gain_db: no more may be added, whatever is missing.
        speech_db: level of the voice, in dBFS before `gain_db`, from which on the music gives way.
        held_db: by how much the voice's peaks are held without `gain_db`.
        limiting: what that costs, as measured: see :class:`shared.domain.media.LoudnessFacts`.
    """

    wanted: Broadcast
    gain_db: float
    limit_db: float
    most_gain_db: float
    speech_db: float
    held_db: float = 0.0
    music_db: float = 0.0
    limiting: tuple[tuple[float, float], ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the programme may stay under the wanted loudness, since its peaks forbid more."""
        return self.gain_db >= self.most_gain_db


def levels(voice: LoudnessFacts | None, music: LoudnessFacts | None, wanted: Broadcast) -> tuple[float, float, Master]:
    """Gain of the voice and of the music, in dB, and what is done to both.

    Args:
        voice, music: as measured; None where that was never done, and what comes out has to tell.
    """
    is_known = voice is not None and voice.integrated > SILENCE_LUFS
    spoken = voice if voice and is_known else _USUAL_VOICE
    voice_db = wanted.loudness_lufs - spoken.integrated
    gate = min(-10.0, spoken.threshold - spoken.integrated) if spoken.threshold is not None else -10.0
    under = min(wanted.music_lu, gate - _BELOW_GATE_LU)
    music_db = wanted.loudness_lufs + under - (music.integrated if music else wanted.loudness_lufs)
    limit = wanted.true_peak_db - _ENCODER_DB
    held = held_of(spoken, wanted)
    most = max(0.0, _MOST_HELD_DB - held) if is_known else _MOST_GAIN_DB
    gain = min(most, _made_up(spoken.limiting, held))
    master = Master(
        wanted,
        round(gain, 2),
        limit,
        round(most, 2),
        wanted.loudness_lufs + _SPEECH_LU,
        held_db=held,
        limiting=spoken.limiting,
    )
    return round(voice_db, 2), round(music_db, 2), master


def held_of(voice: LoudnessFacts, wanted: Broadcast) -> float:
    """By how many dB a voice's peaks have to be held when it is brought to the wanted loudness by its gain alone."""
    return round(voice.true_peak + wanted.loudness_lufs - voice.integrated - (wanted.true_peak_db - _ENCODER_DB), 2)


class Mixing:
    """Mixing with one master after the other until the programme is as it should be."""

    def __init__(self, master: Master) -> None:
        self._tried: list[tuple[Master, float]] = []
        self._master = master

    def next(self, loudness: float, true_peak: float) -> Master | None:
        """The master to mix with after what came out like this (LUFS, dBTP); None where nothing can be better."""
        last, wanted = self._master, self._master.wanted
        too_high, missing = true_peak - wanted.true_peak_db, wanted.loudness_lufs - loudness
        lower = too_high + _CLEAR_DB if too_high > 0 else 0.0
        held = last.held_db + last.gain_db
        missing += _loss(last.limiting, held + lower) - _loss(last.limiting, held)  # and what the lower limit will cost
        gain, music = last.gain_db, last.music_db
        if self._swings(loudness):  # now the music counts as programme, now it does not: there is nothing in between
            gain, music = self._tried[0][0].gain_db, music - _LOWER_DB
        elif abs(missing) > _CLOSE_LU and loudness > SILENCE_LUFS:
            gain = min(last.most_gain_db, gain + missing / self._yield(loudness))
        self._tried.append((last, loudness))
        self._master = replace(last, gain_db=round(gain, 2), music_db=music, limit_db=round(last.limit_db - lower, 2))
        return None if self._master == last or len(self._tried) == _MOST_MIXES else self._master

    def _swings(self, loudness: float) -> bool:
        """Whether the last two programmes missed on either side, although a decibel or so lay between them."""
        if not self._tried:
            return False
        (before, was), wanted = self._tried[-1], self._master.wanted.loudness_lufs
        misses = sorted((was - wanted, loudness - wanted))
        return before.music_db == self._master.music_db and misses[0] < -_CLOSE_LU and misses[1] > _CLOSE_LU

    def _yield(self, loudness: float) -> float:
        """LU that come of each dB of gain: all of it without a limiter, less the more that holds."""
        last = self._master
        for before, was in reversed(self._tried):
            if before.limit_db == last.limit_db and before.gain_db != last.gain_db:
                return min(1.0, max(_LEAST_YIELD, (loudness - was) / (last.gain_db - before.gain_db)))
        held = last.held_db + last.gain_db
        return max(_LEAST_YIELD, 1.0 - (_loss(last.limiting, held + 1.0) - _loss(last.limiting, held)))


def _made_up(limiting: Sequence[tuple[float, float]], held: float) -> float:
    """The gain, in dB, that makes up for what holding peaks costs once it has been added itself.

    Args:
        held: dB by which peaks are held without it.
    """
    gain = 0.0
    for _ in range(50):  # what it costs grows slower than the gain, so that this comes to rest
        gain = _loss(limiting, held + gain)
    return gain


def _loss(limiting: Sequence[tuple[float, float]], held: float) -> float:
    """LU that are lost where peaks are held down by so many dB, between what was tried and beyond."""
    if held <= 0:
        return 0.0
    if not limiting:
        return _USUAL_LOSS * held
    known = [(0.0, 0.0), *sorted(limiting)]
    for (less, cost), (more, dearer) in pairwise(known):
        slope = min(_STEEPEST_LOSS, (dearer - cost) / (more - less)) if more > less else 0.0
        if held <= more:
            return cost + slope * (held - less)
    return known[-1][1] + slope * (held - known[-1][0])
