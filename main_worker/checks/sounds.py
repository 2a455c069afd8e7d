"""Is a sound a whole MP3, and is a voice a voice? Its facts, where it is silent, and how much of it is like speech."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from main_worker.checks.cage import Cage, check_whole, refused, unreadable
from main_worker.checks.limiting import with_limiting
from shared.domain.loudness import gate_of, lead
from shared.domain.media import AudioFacts, LoudnessFacts
from shared.domain.names import readable
from shared.domain.pauses import pauses_of, written
from shared.mediainfo import number
from shared.meter import METER_AND_BLOCKS, STEREO, Listening, summary_of
from shared.settings import Voice

# direct: else its blocks and the progress cut each other's lines
_PRINT = "ametadata=mode=print:file=-:direct=1"
_SILENCE_SECONDS = 0.5  # shorter pauses belong to speech
_EDGE_SECONDS = 0.1  # encoders leave a trace of sound at the very beginning and end

_RMS = "lavfi.astats.Overall.RMS_level"
_WINDOW_SECONDS = 0.05  # a syllable lasts four of these
_REACH = 8  # windows to either side, so that 0.85 s are looked at: a few syllables
_LOWEST_DB = -100.0  # digital silence is minus infinity
_CREST_DB = 15.0  # how far the mean level of speech lies below the peaks that silence is measured by
# 300 to 3400 Hz is the band of the telephone: speech keeps its rhythm there, hum and rumble stay outside.
_BAND = "highpass=f=300,highpass=f=300,lowpass=f=3400,lowpass=f=3400"
_LEVELS = (
    f"aresample=16000,asetnsamples=n={int(16000 * _WINDOW_SECONDS)}:p=0,{_BAND},"
    "astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=RMS_level,"
    f"ametadata=mode=print:key={_RMS}:file=-:direct=1"
)


def silence_filter(silence_db: float) -> str:
    """The part of an ffmpeg filter graph whose lines :class:`Silence` reads."""
    return f"silencedetect=n={silence_db:g}dB:d={_SILENCE_SECONDS},{_PRINT}"


def examine_voice(cage: Cage, path: Path) -> tuple[AudioFacts, LoudnessFacts]:
    """The facts of a narration, and how loud it is.

    Raises:
        DropRefused: not an MP3, cut off, too short, mostly silence, or without anything like speech.
    """
    facts, loudness = measure_voice(cage, path)
    check_voice(facts, cage.config.voice)
    return facts, with_limiting(cage, path, loudness)


def measure_voice(cage: Cage, path: Path) -> tuple[AudioFacts, LoudnessFacts]:
    """What there is to know of a voice, from one decoding of all of it; its length is exact to the sample.

    Raises:
        DropRefused: not an MP3, or cut off.
    """
    limits = cage.config.voice
    track = declared_sound(cage, path)
    silence = Silence()
    listening = Listening()
    speech = Speech(limits.silence_db - _CREST_DB, limits.speech_depth_db)

    def read(line: str) -> None:
        silence.read(line)
        speech.read(line)
        listening.read(line)

    meters = f"[band]{_LEVELS},anullsink;[both]{STEREO},{METER_AND_BLOCKS},anullsink"
    graph = f"[0:a:0]asplit=3[whole][band][both];{meters};[whole]{silence_filter(limits.silence_db)}[out]"
    arguments = ["-filter_complex", graph, "-map", "[out]", "-f", "null", "-"]
    ended, progress = cage.run("mp3", path, arguments, talkative=True, on_line=read)
    if ended.code != 0 or progress.seconds == 0:
        raise unreadable("an MP3 sound", ended)
    check_whole(number(track, "duration") / 1000, progress.seconds)
    facts = facts_of(track, progress.seconds, silence.found(progress.seconds))
    pauses = pauses_of(speech.levels, _WINDOW_SECONDS)
    facts = replace(facts, speech_seconds=speech.seconds(), pauses=written(pauses))
    blocks = listening.heard().blocks
    gate, leads = gate_of([block.level for block in blocks]), lead(blocks, pauses, progress.seconds)
    return facts, replace(summary_of(ended.errors), threshold=round(gate, 2), lead=leads)


def declared_sound(cage: Cage, path: Path) -> dict[str, Any]:
    """What an MP3 file declares of its sound; empty where it declares none.

    Raises:
        DropRefused: it is something else, without sound.
    """
    declared = cage.declared(path)
    if not declared.audio and declared.container is not None:
        container = readable(declared.container)
        raise refused(
            "wrong_content", f"The file is named .mp3 but is {container}.", "Export the sound as an MP3 file."
        )
    return declared.audio[0] if declared.audio else {}


def facts_of(track: dict[str, Any], seconds: float, pauses: Pauses) -> AudioFacts:
    """What is known of a sound: what it declares, its decoded length, its silences."""
    return AudioFacts(
        seconds=seconds,
        channels=int(number(track, "channel_s", 2)),
        sample_rate=int(number(track, "sampling_rate")),
        codec=str(track.get("format", "MPEG Audio")),
        silent_seconds=pauses.total,
        leading_silence=pauses.leading,
        trailing_silence=pauses.trailing,
        longest_pause=pauses.longest,
    )


def check_voice(facts: AudioFacts, limits: Voice) -> None:
    """Raise DropRefused for a voice that is too short, too silent, or has nothing like speech in it."""
    if facts.seconds < limits.min_seconds:
        raise refused(
            "too_short",
            f"The voice lasts {short_of(facts.seconds)} s; at least {limits.min_seconds:g} s are needed.",
            "Record it again, or lower voice.min_seconds.",
            seconds=facts.seconds,
        )
    sounding = facts.seconds - facts.silent_seconds
    share = max(0.0, sounding / facts.seconds)
    if share < limits.min_sound_share or sounding <= 0:
        raise refused(
            "silent",
            f"Only {share:.0%} of the voice is louder than {limits.silence_db:g} dBFS; "
            f"at least {limits.min_sound_share:.0%} must be. {_silences(facts)}",
            "Check the level of the recording and cut away long silences, or lower voice.min_sound_share.",
            sound_share=round(share, 3),
            **_measured(facts),
        )
    speech_seconds = facts.speech_seconds or 0.0
    speech_share = min(1.0, speech_seconds / sounding)
    if speech_share < limits.min_speech_share:
        raise refused(
            "no_speech",
            f"There is sound for {sounding:.1f} s, but only {speech_seconds:.1f} s of it rise and fall "
            f"as speech does ({speech_share:.0%}; at least {limits.min_speech_share:.0%} must): "
            f"it sounds like a tone, a hum or noise. {_silences(facts)}",
            "Listen to the file and check which microphone or track was exported; "
            "if it is a narration, lower voice.min_speech_share.",
            speech_share=round(speech_share, 3),
            **_measured(facts),
        )


def short_of(seconds: float) -> str:
    """Seconds in words, cut to the millisecond, so that what misses a whole second is not called one."""
    return f"{math.floor(seconds * 1000) / 1000:g}"


def _silences(facts: AudioFacts) -> str:
    if facts.silent_seconds >= facts.seconds - _EDGE_SECONDS:
        return "All of it is silence."
    return (
        f"It begins with {facts.leading_silence:.1f} s and ends with {facts.trailing_silence:.1f} s of silence; "
        f"the longest pause between lasts {facts.longest_pause:.1f} s."
    )


def _measured(facts: AudioFacts) -> dict[str, object]:
    return {
        "seconds": facts.seconds,
        "silent_seconds": facts.silent_seconds,
        "leading_silence": facts.leading_silence,
        "trailing_silence": facts.trailing_silence,
        "longest_pause": facts.longest_pause,
    }


@dataclass(frozen=True)
class Pauses:
    """The silences of a sound, in seconds; those shorter than half a second are none.

    Attributes:
        total: all of them together.
        leading, trailing: at the beginning and at the end.
        longest: the longest one between.
    """

    total: float = 0.0
    leading: float = 0.0
    trailing: float = 0.0
    longest: float = 0.0


class Silence:
    """Collects what ffmpeg's silencedetect writes as metadata (``lavfi.silence_start=…``, ``lavfi.silence_end=…``)."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._start: float | None = None

    def read(self, line: str) -> None:
        """Take in one line of output; lines about other things are passed over."""
        key, _, value = line.strip().partition("=")
        if key == "lavfi.silence_start":
            self._start = max(0.0, float(value))
        elif key == "lavfi.silence_end" and self._start is not None:
            self._spans.append((self._start, float(value)))
            self._start = None

    def found(self, seconds: float) -> Pauses:
        """The silences of a sound of this length; one that lasts to the end has no end mark."""
        rest = [(self._start, max(self._start, seconds))] if self._start is not None else []
        leading = trailing = longest = total = 0.0
        for start, end in (*self._spans, *rest):
            total += end - start
            if start <= _EDGE_SECONDS:
                leading = end - start
            elif end >= seconds - _EDGE_SECONDS:
                trailing = end - start
            else:
                longest = max(longest, end - start)
        return Pauses(*(round(value, 3) for value in (total, leading, trailing, longest)))


class Speech:
    """Adds up the windows of a sound that are like speech, from the levels ffmpeg's astats writes as metadata.

    A window is like speech when its level in the speech band is above `floor_db` and, within less than half a
    second to either side, that level both rises and falls by `depth_db`: syllables do that several times a second,
    while tones, hum and noise keep their level. It knows nothing of language, loudness or pitch.
    """

    def __init__(self, floor_db: float, depth_db: float) -> None:
        self._floor = floor_db
        self._depth = depth_db
        self.levels: list[float] = []
        """Of all windows in the speech band, in dB."""
        self._near: deque[float] = deque(maxlen=2 * _REACH + 1)
        self._taken = self._judged = self._like_speech = 0

    def read(self, line: str) -> None:
        """Take in one line of output; lines about other things are passed over."""
        key, _, value = line.strip().partition("=")
        if key == _RMS:
            level = float(value)
            self._near.append(max(_LOWEST_DB, level))  # not max(): it would pass on a NaN
            self.levels.append(self._near[-1])
            self._taken += 1
            if self._taken > _REACH:
                self._judge()

    def seconds(self) -> float:
        """Seconds like speech in all that was read; nothing can be read after it."""
        while self._judged < self._taken:
            self._judge()
        return round(self._like_speech * _WINDOW_SECONDS, 3)

    def _judge(self) -> None:
        """Judge the oldest window that is not judged yet, by those around it that have come."""
        oldest = self._taken - len(self._near)
        near = list(self._near)[max(0, self._judged - _REACH - oldest) :]
        if self._near[self._judged - oldest] >= self._floor and rises_and_falls(near, self._depth):
            self._like_speech += 1
        self._judged += 1


def rises_and_falls(levels: Iterable[float], depth: float) -> bool:
    """Whether a row of levels has a rise and a fall of at least `depth`, in whichever order."""
    lowest, highest = math.inf, -math.inf
    rise = fall = 0.0
    for level in levels:
        lowest, highest = min(lowest, level), max(highest, level)
        rise, fall = max(rise, level - lowest), max(fall, highest - level)
    return rise >= depth and fall >= depth
