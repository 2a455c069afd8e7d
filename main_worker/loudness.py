"""Loudness normalisation of music: EBU R128 in two passes of ffmpeg's loudnorm."""

from __future__ import annotations

import json
from pathlib import Path

from main_worker.cage import Cage, refused, unreadable
from shared.domain.errors import MachineTrouble
from shared.domain.media import LoudnessFacts
from shared.ffmpeg import file_url

_ENCODE = ("-ar", "48000", "-c:a", "libmp3lame", "-b:a", "192k", "-map_metadata", "-1", "-f", "mp3", "-y")
_MIN_RANGE, _MAX_RANGE = 7.0, 50.0  # what loudnorm accepts as a target range in LU, from its usual default up


def normalise(cage: Cage, path: Path, target: Path) -> LoudnessFacts:
    """Write a track at the configured loudness to `target`; returns the loudness it has there.

    The first pass measures; the second applies one gain to everything where the true peak allows it,
    and only else works dynamically. Tags and cover pictures are dropped.

    Raises:
        DropRefused: the track is silent or does not decode.
        MachineTrouble: the disk is full.
    """
    music = cage.config.music
    aim = f"loudnorm=I={music.target_lufs:g}:TP={music.true_peak_db:g}"
    first = _loudnorm(cage, path, f"{aim}:print_format=json", ["-f", "null", "-"])
    if first["input_i"] == float("-inf"):
        raise refused("silent", "The music is silent.", "Check the file: it contains no sound.")
    # A target range below the measured one would make loudnorm compress the track.
    spread = min(_MAX_RANGE, max(_MIN_RANGE, first["input_lra"]))
    lowered = max(0.0, first["input_i"])  # loudnorm takes no measurement above 0 LUFS
    measured = (
        f"measured_I={first['input_i'] - lowered:g}:measured_TP={first['input_tp'] - lowered:g}:"
        f"measured_LRA={first['input_lra']:g}:measured_thresh={first['input_thresh'] - lowered:g}"
    )
    aim = f"volume={-lowered:g}dB,{aim}:LRA={spread:g}"
    second = f"{aim}:{measured}:offset={first['target_offset']}:linear=true:print_format=json"
    try:
        result = _loudnorm(cage, path, second, [*_ENCODE, file_url(target)])
    except BaseException:
        target.unlink(missing_ok=True)  # a full disk must not be filled further by every new try
        raise
    return LoudnessFacts(result["output_i"], result["output_lra"], result["output_tp"])


def _loudnorm(cage: Cage, path: Path, audio_filter: str, output: list[str]) -> dict[str, float]:
    """Run one pass and read the JSON report that loudnorm leaves at the end of standard error."""
    ended, _ = cage.run("mp3", path, ["-map", "0:a:0", "-af", audio_filter, *output], talkative=True)
    if "No space left on device" in ended.errors:
        raise MachineTrouble("cannot normalise music: the disk is full", everywhere=True)
    start, end = ended.errors.rfind("{"), ended.errors.rfind("}")
    if ended.code != 0 or start < 0:
        raise unreadable("an MP3 sound", ended)
    report: dict[str, str] = json.loads(ended.errors[start : end + 1])
    return {key: float(value) for key, value in report.items() if key != "normalization_type"}
