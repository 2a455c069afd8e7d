"""Loudness of music (EBU R128): measured, brought to the target by one gain, and measured again as written.

The gain is the same for the whole track, so its dynamics stay. Only where that gain would lift peaks over the true
peak that is allowed, a limiter holds those peaks down. What counts is the written MP3, because encoding moves both
figures: a file that misses is written again, corrected by what it missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from main_worker.checks.cage import Cage, check_whole, refused, unreadable
from main_worker.checks.sounds import Silence, declared_sound, facts_of, short_of, silence_filter
from shared.domain.errors import MachineTrouble
from shared.domain.loudness import SILENCE_LUFS
from shared.domain.media import AudioFacts, LoudnessFacts
from shared.ffmpeg import file_url, last_line
from shared.limiter import spelled
from shared.mediainfo import number
from shared.meter import METER, RATE, STEREO, summary_of
from shared.settings import Music

_ENCODE = ("-c:a", "libmp3lame", "-b:a", "192k", "-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp3", "-y")
_SHORTEST_SECONDS = 0.4  # one measuring block of EBU R128
_TOLERANCE_LU = 0.3
_TOLERANCE_DB = 0.05  # the meter prints tenths
_HEADROOM_DB = 0.3  # what encoding usually adds to the peaks
_ENCODER_DB = 0.2  # what LAME usually takes from the level
_MOST_LIMITING_DB = 18.0  # beyond it little but the limiter would be heard
_LOWEST_LIMIT_DB = -24.0  # the least that alimiter takes
_WRITES = 5


@dataclass(frozen=True)
class Adjustment:
    """What is done to a track, in dB: one gain, and where needed the level its peaks are held at."""

    gain: float
    limit: float | None = None

    @property
    def audio_filter(self) -> str:
        """The filter graph; peaks between the samples are only seen at four times the rate."""
        gain = f"{STEREO},volume={self.gain:.3f}dB:precision=double"
        if self.limit is None:
            return gain
        return f"{gain},aresample={4 * RATE},{spelled(self.limit)},aresample={RATE}"


def normalise(cage: Cage, path: Path, target: Path) -> tuple[AudioFacts, LoudnessFacts]:
    """Write a track at the configured loudness to `target`; returns the facts of what was written.

    Tags, chapters and cover pictures are dropped.

    Raises:
        DropRefused: the track is silent, too short to be measured, too long, cut off, or does not decode.
        MachineTrouble: it cannot be written, for one because the disk is full.
    """
    music = cage.config.music
    declared = number(declared_sound(cage, path), "duration") / 1000
    dropped, loudness = measure(cage, path)
    check_whole(declared, dropped.seconds)
    _check_music(dropped.seconds, loudness, music)
    try:
        return _written(cage, path, target, loudness)
    except BaseException:
        target.unlink(missing_ok=True)  # a full disk must not be filled further by every new try
        raise


def measure(cage: Cage, path: Path) -> tuple[AudioFacts, LoudnessFacts]:
    """Decode all of an MP3 file and measure it as it will be heard.

    Raises:
        DropRefused: it does not decode.
    """
    silence = Silence()
    meters = f"{silence_filter(cage.config.voice.silence_db)},{STEREO},{METER}"
    arguments = ["-map", "0:a:0", "-af", meters, "-f", "null", "-"]
    ended, progress = cage.run("mp3", path, arguments, talkative=True, on_line=silence.read)
    if ended.code != 0 or progress.seconds == 0:
        raise unreadable("an MP3 sound", ended)
    track = declared_sound(cage, path)
    return facts_of(track, progress.seconds, silence.found(progress.seconds)), summary_of(ended.errors)


def first_adjustment(music: Music, found: LoudnessFacts) -> Adjustment:
    """How to bring a track of this loudness to the target."""
    gain = music.target_lufs - found.integrated + _ENCODER_DB
    ceiling = music.true_peak_db - _HEADROOM_DB
    return _bounded(Adjustment(gain, ceiling if found.true_peak + gain > ceiling else None), music, found)


def next_adjustment(music: Music, done: Adjustment, found: LoudnessFacts, written: LoudnessFacts) -> Adjustment | None:
    """How to write the track again after an adjustment gave this result; None when it is as it should be.

    Args:
        found: what was dropped.
        written: what the last adjustment made of it.
    """
    too_high = written.true_peak - music.true_peak_db
    missing = music.target_lufs - written.integrated
    if too_high <= _TOLERANCE_DB and abs(missing) <= _TOLERANCE_LU:
        return None
    limit = done.limit
    if too_high > _TOLERANCE_DB:
        limit = (music.true_peak_db - _HEADROOM_DB if limit is None else limit) - max(0.1, too_high)
        limit = max(limit, _LOWEST_LIMIT_DB)
    again = _bounded(Adjustment(done.gain + missing, limit), music, found)
    return None if again == done else again


def _bounded(wanted: Adjustment, music: Music, found: LoudnessFacts) -> Adjustment:
    """Not more gain than a limiter can decently hold down."""
    if wanted.limit is None:
        return wanted
    return replace(wanted, gain=min(wanted.gain, music.true_peak_db - found.true_peak + _MOST_LIMITING_DB))


def _written(cage: Cage, path: Path, target: Path, found: LoudnessFacts) -> tuple[AudioFacts, LoudnessFacts]:
    music = cage.config.music
    adjustment: Adjustment | None = first_adjustment(music, found)
    results: list[tuple[AudioFacts, LoudnessFacts]] = []
    while adjustment is not None and len(results) < _WRITES:
        done = adjustment
        _write(cage, path, target, done)
        audio, loudness = measure(cage, target)
        adjustment = next_adjustment(music, done, found, loudness)
        results.append((audio, _explained(loudness, music, done)))
    return results[-1]


def _explained(written: LoudnessFacts, music: Music, done: Adjustment) -> LoudnessFacts:
    below = music.target_lufs - written.integrated
    return replace(
        written,
        gain=round(done.gain, 2),
        limited=done.limit is not None,
        held_below=round(below, 2) if below > _TOLERANCE_LU and done.limit is not None else 0.0,
    )


def _write(cage: Cage, path: Path, target: Path, adjustment: Adjustment) -> None:
    arguments = ["-map", "0:a:0", "-af", adjustment.audio_filter, *_ENCODE, file_url(target)]
    ended, _ = cage.run("mp3", path, arguments)
    if ended.code != 0:  # it has just been decoded from beginning to end, so this is about what is written
        raise MachineTrouble(f"ffmpeg cannot write the normalised music: {last_line(ended.errors)}")


def _check_music(seconds: float, found: LoudnessFacts, music: Music) -> None:
    if seconds < _SHORTEST_SECONDS:
        raise refused(
            "too_short",
            f"The music lasts {short_of(seconds)} s; its loudness cannot be measured below {_SHORTEST_SECONDS} s.",
            "Export a longer piece.",
            seconds=seconds,
        )
    if seconds > music.max_seconds:
        raise refused(
            "too_long",
            f"The music lasts {seconds:.0f} s; at most {music.max_seconds:g} s are accepted (music.max_seconds).",
            "Cut it into shorter pieces, or raise the limit.",
            seconds=seconds,
        )
    if found.integrated <= SILENCE_LUFS or math.isinf(found.true_peak):
        raise refused("silent", "The music is silent.", "Check the file: it contains no sound.")
