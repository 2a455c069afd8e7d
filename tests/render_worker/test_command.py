"""ffmpeg's arguments, word for word: whoever changes one sees here which others move with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.command import Encoding, direct, join, piece, piece_list, timescale
from render_worker.encoders import LIBX264
from shared.domain.plan import Canvas, RenderPlan, Shot, Track, exact_rate

TASK = Path("/farm/processing/id")
TARGET = Path("/farm/processing/id/attempt-1-ab/final.mp4")
ENCODING = Encoding(LIBX264, quality=21, preset="medium", audio_kbps=192)

VOICE = Track("voice.mp3", 1.0, channels=1)
MUSIC = Track("music.mp3", 0.25, channels=2, loops=True)
PLAN = RenderPlan(
    Canvas(1920, 1080, exact_rate(29.97)),
    seconds=12.34,
    frames=370,
    shots=(Shot("video_part1.mp4", 300), Shot("video_part2.mp4", 70)),
    tracks=(VOICE, MUSIC),
    logo="logo.png",
)

CLIP_CAGE = ["-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file"]
SOUND_CAGE = ["-f", "mp3", "-format_whitelist", "mp3", "-protocol_whitelist", "file"]
PART_1 = [*CLIP_CAGE, "-i", "file:/farm/processing/id/video_part1.mp4"]
PART_2 = [*CLIP_CAGE, "-i", "file:/farm/processing/id/video_part2.mp4"]
LOGO_CAGE = ["-format_whitelist", "image2,png_pipe,jpeg_pipe,webp_pipe", "-protocol_whitelist", "file"]
LOGO = [*LOGO_CAGE, "-i", "file:/farm/processing/id/logo.png"]
VOICE_IN = [*SOUND_CAGE, "-i", "file:/farm/processing/id/voice.mp3"]
MUSIC_IN = [*SOUND_CAGE, "-stream_loop", "-1", "-i", "file:/farm/processing/id/music.mp3"]

X264 = {
    "-c:v": "libx264",
    "-crf": "21",
    "-flags": "+cgop",
    "-g": "60",
    "-keyint_min": "60",
    "-pix_fmt": "yuv420p",
    "-preset": "medium",
    "-profile:v": "high",
    "-r": "30000/1001",
    "-sc_threshold": "0",
}
AAC = {"-ac": "2", "-ar": "48000", "-b:a": "192k", "-c:a": "aac"}
CONTAINER = {"-map_metadata": "-1", "-movflags": "+faststart", "-video_track_timescale": "30000"}


def shot(source: str, first: int, frames: int) -> str:
    """The filters that bring one clip to the canvas, with their links numbered from `first`."""
    width = "max(2\\,min(1920\\,trunc(1080*dar/2)*2))"
    height = "max(2\\,min(1080\\,trunc(1920/dar/2)*2))"
    chain = (
        "fps=30000/1001",
        "tpad=stop=14:stop_mode=clone",
        f"trim=end_frame={frames}",
        "setpts=PTS-STARTPTS",
        f"scale=flags=fast_bilinear:h={height}:out_color_matrix=bt709:out_range=tv:w={width}",
        "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv",
        "pad=1920:1080:(ow-iw)/2:(oh-ih)/2:color=black",
        "setsar=1",
        "format=yuv420p",
    )
    links = [source, *(f"s{first + number}" for number in range(len(chain)))]
    return ";".join(f"[{links[i]}]{step}[{links[i + 1]}]" for i, step in enumerate(chain))


def sound(source: str, first: int, gain: str) -> str:
    """The filters that bring one sound into the mix."""
    return (
        f"[{source}]aresample=48000[s{first}];[s{first}]aformat=channel_layouts=stereo[s{first + 1}];"
        f"[s{first + 1}]volume={gain}[s{first + 2}]"
    )


def ending(*options: dict[str, str], target: Path = TARGET) -> list[str]:
    """What stands behind the maps: the output's options in alphabetical order, and its name."""
    together = {name: value for table in options for name, value in table.items()}
    words = [word for name in sorted(together) for word in (name, together[name])]
    return ["-f", "mp4", *words, f"file:{target}", "-y"]


def test_two_clips_with_logo_and_music_are_one_command() -> None:
    """The direct command of a whole plan is exactly the one that was measured and reviewed."""
    graph = ";".join(
        [
            shot("0:V:0", 0, 300),
            shot("1:V:0", 9, 70),
            "[s8][s17]concat=a=0:n=2:v=1[s18]",
            "[s18][2:v:0]overlay=20:20[s19]",
            "[s19]format=yuv420p[s20]",
            sound("3:a:0", 21, "1.41421"),
            sound("4:a:0", 24, "0.25"),
            "[s23][s26]amix=duration=first:inputs=2:normalize=0[s27]",
            "[s27]atrim=end=12.340000[s28]",
        ]
    )
    assert direct(PLAN, TASK, TARGET, ENCODING) == [
        *(*PART_1, *PART_2, *LOGO, *VOICE_IN, *MUSIC_IN),
        *("-filter_complex", graph, "-map", "[s20]", "-map", "[s28]"),
        *ending(X264, AAC, CONTAINER),
    ]


def test_without_music_there_is_no_mix() -> None:
    """A plan with one track has no amix and opens no second sound."""
    graph = ";".join(
        [
            shot("0:V:0", 0, 300),
            shot("1:V:0", 9, 70),
            "[s8][s17]concat=a=0:n=2:v=1[s18]",
            "[s18][2:v:0]overlay=20:20[s19]",
            "[s19]format=yuv420p[s20]",
            sound("3:a:0", 21, "1.41421"),
            "[s23]atrim=end=12.340000[s24]",
        ]
    )
    assert direct(replace(PLAN, tracks=(VOICE,)), TASK, TARGET, ENCODING) == [
        *(*PART_1, *PART_2, *LOGO, *VOICE_IN),
        *("-filter_complex", graph, "-map", "[s20]", "-map", "[s24]"),
        *ending(X264, AAC, CONTAINER),
    ]


def test_one_clip_without_logo_is_neither_joined_nor_laid_over() -> None:
    """A plan of one clip without a logo has no concat and no overlay."""
    graph = ";".join(
        [
            shot("0:V:0", 0, 370),
            sound("1:a:0", 9, "1.41421"),
            sound("2:a:0", 12, "0.25"),
            "[s11][s14]amix=duration=first:inputs=2:normalize=0[s15]",
            "[s15]atrim=end=12.340000[s16]",
        ]
    )
    plan = replace(PLAN, shots=(Shot("video_part1.mp4", 370),), logo=None)
    assert direct(plan, TASK, TARGET, ENCODING) == [
        *(*PART_1, *VOICE_IN, *MUSIC_IN),
        *("-filter_complex", graph, "-map", "[s8]", "-map", "[s16]"),
        *ending(X264, AAC, CONTAINER),
    ]


def test_a_piece_has_the_same_picture_and_no_sound() -> None:
    """A piece differs from the direct command only by having no sound, no length and no index in front."""
    (first, second) = PLAN.pieces(1)
    target = Path("/farm/processing/id/attempt-1-ab/scratch/piece_0002.mp4")
    graph = f"{shot('0:V:0', 0, 70)};[s8][1:v:0]overlay=20:20[s9];[s9]format=yuv420p[s10]"
    assert first.shots == PLAN.shots[:1]
    assert piece(second, TASK, target, ENCODING) == [
        *(*PART_2, *LOGO),
        *("-filter_complex", graph, "-map", "[s10]"),
        *ending(X264, {"-video_track_timescale": "30000"}, target=target),
    ]


def test_a_join_copies_the_picture_and_encodes_the_sound() -> None:
    """The join opens the list of pieces and the sounds, and copies the picture."""
    listing = Path("/farm/processing/id/attempt-1-ab/scratch/pieces.ffconcat")
    graph = ";".join(
        [
            sound("1:a:0", 0, "1.41421"),
            sound("2:a:0", 3, "0.25"),
            "[s2][s5]amix=duration=first:inputs=2:normalize=0[s6]",
            "[s6]atrim=end=12.340000[s7]",
        ]
    )
    assert join(PLAN, TASK, listing, TARGET, ENCODING) == [
        *("-f", "concat", "-protocol_whitelist", "file", "-safe", "0", "-i", f"file:{listing}"),
        *(*VOICE_IN, *MUSIC_IN, "-filter_complex", graph, "-map", "0:v:0", "-map", "[s7]"),
        *ending({"-c:v": "copy"}, AAC, CONTAINER),
    ]


def test_the_list_of_pieces_gives_each_its_length() -> None:
    """Each piece is named with its length to the microsecond, because MP4 rounds to milliseconds."""
    pieces = [(f"piece_{number:04d}.mp4", part) for number, part in enumerate(PLAN.pieces(1), start=1)]
    assert piece_list(pieces) == (
        "ffconcat version 1.0\nfile piece_0001.mp4\nduration 10.010000\nfile piece_0002.mp4\nduration 2.335667\n"
    )


@pytest.mark.parametrize("rate", [23.976, 24, 25, 29.97, 30, 50, 59.94, 60])
def test_one_frame_is_a_whole_number_of_ticks(rate: float) -> None:
    """At every usual rate the track's clock can name the time of every frame exactly."""
    exact = exact_rate(rate)
    ticks = timescale(exact) / exact
    assert isinstance(ticks, Fraction)
    assert ticks.denominator == 1
    assert timescale(exact) >= 10_000


_PRINT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fractions import Fraction
from render_worker.command import Encoding, direct
from render_worker.encoders import LIBX264
from shared.domain.plan import Canvas, RenderPlan, Shot, Track
shots = tuple(Shot(f"video_part{n}.mp4", 30) for n in range(1, 13))
tracks = (Track("voice.mp3", 1.0, 1), Track("music.mp3", 0.25, 2, True))
plan = RenderPlan(Canvas(1920, 1080, Fraction(30)), 12.0, 360, shots, tracks, "logo.png")
print(json.dumps(direct(plan, Path("/t"), Path("/o"), Encoding(LIBX264, 21, "medium", 192))))
"""


def test_arguments_do_not_depend_on_the_process() -> None:
    """Two processes that hash differently spell the same plan in the same words."""
    root = str(Path(__file__).parents[2])
    spelled = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _PRINT, root]
        run = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
        spelled.append(json.loads(run.stdout))
    assert spelled[0] == spelled[1]
    assert sum(word == "-i" for word in spelled[0]) == 15
