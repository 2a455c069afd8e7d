"""Is a sound a whole MP3, and is a voice a voice? Its facts, and how much of it is silence."""

from __future__ import annotations

from pathlib import Path

from main_worker.cage import Cage, check_whole, refused, unreadable
from shared.domain.media import AudioFacts
from shared.domain.names import readable
from shared.mediainfo import number

_PRINT = "ametadata=mode=print:file=-:direct=1"  # direct: else its blocks and the progress cut each other's lines
_SILENCE_SECONDS = 0.5  # shorter pauses belong to speech


def examine_voice(cage: Cage, path: Path) -> AudioFacts:
    """The facts of a narration.

    Raises:
        DropRefused: not an MP3, cut off, too short, or mostly silence.
    """
    facts = examine_sound(cage, path)
    limits = cage.config.voice
    if facts.seconds < limits.min_seconds:
        raise refused(
            "too_short",
            f"The voice lasts {facts.seconds:.1f} s; at least {limits.min_seconds:g} s are needed.",
            "Record it again, or lower voice.min_seconds.",
            seconds=facts.seconds,
        )
    share = max(0.0, 1 - facts.silent_seconds / facts.seconds)
    if share < limits.min_sound_share:
        raise refused(
            "silent",
            f"Only {share:.0%} of the voice is louder than {limits.silence_db:g} dBFS; "
            f"at least {limits.min_sound_share:.0%} must be.",
            "Check the level of the recording, or lower voice.min_sound_share.",
            sound_share=round(share, 3),
        )
    return facts


def examine_sound(cage: Cage, path: Path) -> AudioFacts:
    """Decode all of an MP3 file; its length is exact to the sample.

    Raises:
        DropRefused: not an MP3, or cut off.
    """
    declared = cage.declared(path)
    if not declared.audio and declared.container is not None:
        container = readable(declared.container)
        raise refused(
            "wrong_content", f"The file is named .mp3 but is {container}.", "Export the sound as an MP3 file."
        )
    track = declared.audio[0] if declared.audio else {}
    silence = Silence()
    level = f"silencedetect=n={cage.config.voice.silence_db:g}dB:d={_SILENCE_SECONDS},{_PRINT}"
    ended, progress = cage.run("mp3", path, ["-map", "0:a:0", "-af", level, "-f", "null", "-"], on_line=silence.read)
    if ended.code != 0 or progress.seconds == 0:
        raise unreadable("an MP3 sound", ended)
    check_whole(number(track, "duration") / 1000, progress.seconds)
    return AudioFacts(
        seconds=progress.seconds,
        channels=int(number(track, "channel_s", 2)),
        sample_rate=int(number(track, "sampling_rate")),
        codec=str(track.get("format", "MPEG Audio")),
        silent_seconds=silence.total(progress.seconds),
    )


class Silence:
    """Adds up what ffmpeg's silencedetect writes as metadata (``lavfi.silence_start=…``, ``lavfi.silence_end=…``)."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._start: float | None = None

    def read(self, line: str) -> None:
        """Take in one line of output; lines about other things are passed over."""
        key, _, value = line.strip().partition("=")
        if key == "lavfi.silence_start":
            self._start = max(0.0, float(value))
        elif key == "lavfi.silence_end" and self._start is not None:
            self._sum += float(value) - self._start
            self._start = None

    def total(self, seconds: float) -> float:
        """Seconds of silence in a sound of this length; a silence that lasts to the end has no end mark."""
        rest = max(0.0, seconds - self._start) if self._start is not None else 0.0
        return round(self._sum + rest, 3)
