"""The mix of a plan's tracks, as filters.

It keeps levels: ``normalize=0``, since `amix` halves them, and a mono voice keeps its own (the default
mono-to-stereo conversion takes 3 dB). It ends with the first track, to the sample: the option ``-t`` rounds to
whole frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import Track
from shared.ffmpeg import file_url

SAMPLE_RATE = 48_000
MONO_TO_STEREO = math.sqrt(2)  # makes up for the 3 dB that ffmpeg takes when it spreads one channel over two
_SOUND = {"f": "mp3", "protocol_whitelist": "file", "format_whitelist": "mp3"}


def mix(tracks: Sequence[Track], task: Path, seconds: float) -> Any:
    """The tracks at their gains, ending with the first one."""
    sounds = [_track(track, task) for track in tracks]
    if len(sounds) > 1:
        mixed = ffmpeg.filter(sounds, "amix", inputs=len(sounds), duration="first", normalize=0)
    else:
        mixed = sounds[0]
    return mixed.filter("atrim", end=f"{seconds:.6f}")


def _track(track: Track, task: Path) -> Any:
    loop = {"stream_loop": -1} if track.loops else {}
    sound = ffmpeg.input(file_url(task / track.source), **loop, **_SOUND)["a:0"].filter("aresample", SAMPLE_RATE)
    gain = track.gain * (MONO_TO_STEREO if track.channels == 1 else 1.0)
    return sound.filter("aformat", channel_layouts="stereo").filter("volume", f"{gain:.6g}")
