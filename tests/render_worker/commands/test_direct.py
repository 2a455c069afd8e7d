"""The direct command, word for word: whoever changes one argument sees here which others move with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from render_worker.commands.direct import direct
from render_worker.commands.lettering import Lettering
from shared.domain.plan import Canvas, Captions, Layer, Profile, RenderPlan, Shot, Track, exact_rate
from tests.graphs import numbered

TASK = Path("/farm/processing/id")
TARGET = Path("/farm/processing/id/attempt-1-ab/final.mp4")
LUMA = TARGET.with_name("clips.luma")

VOICE = Track("voice.mp3", 1.0, channels=1)
MUSIC = Track("music.mp3", 0.25, channels=2, loops=True)
PLAN = RenderPlan(
    Canvas(1920, 1080, exact_rate(29.97)),
    Profile("libx264", quality=21, preset="medium", audio_kbps=192),
    seconds=12.34,
    frames=370,
    shots=(Shot("video_part1.mp4", 300, 300), Shot("video_part2.mp4", 70, 240)),
    layers=(Layer("logo.png"),),
    tracks=(VOICE, MUSIC),
)

CLIP_CAGE = ["-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file", "-reinit_filter", "0"]
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
AAC = {"-aac_coder": "fast", "-ac": "2", "-ar": "48000", "-b:a": "192k", "-c:a": "aac"}
CONTAINER = {"-map_metadata": "-1", "-movflags": "+faststart", "-video_track_timescale": "30000"}


def shot(number: int, frames: int, film: str, small: str) -> tuple[str, str]:
    """The filters that bring one clip to the canvas, and those that make its frames small, to be compared."""
    width = "max(2\\,min(1920\\,trunc(1080*dar/2)*2))"
    height = "max(2\\,min(1080\\,trunc(1920/dar/2)*2))"
    share, few = "(dar*1080/1920)", "max(1\\,round(193*min(1\\,{})))"
    brought = (
        f"[{number}:V:0]fps=30000/1001",
        "tpad=stop=14:stop_mode=clone",
        f"trim=end_frame={frames}",
        "setpts=PTS-STARTPTS",
        f"split=2[whole{number}][small{number}]",
    )
    scaled = (
        f"[whole{number}]scale=flags=bicubic:h={height}:out_color_matrix=bt709:out_range=tv:w={width}",
        "setparams=chroma_location=left:color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv",
        "pad=1920:1080:(ow-iw)/2:(oh-ih)/2:color=black",
        "setsar=1",
        "sidedata=mode=delete",
        f"format=yuv420p[{film}]",
    )
    placed = (
        f"[small{number}]scale=flags=neighbor:h={few.format(f'1/{share}')}:out_range=pc:w={few.format(share)}",
        "format=gray",
        "pad=193:193:(ow-iw)/2:(oh-ih)/2:color=black",
        f"setsar=1[{small}]",
    )
    return " | ".join(brought) + ";" + " | ".join(scaled), " | ".join(placed)


def sound(source: str, gain: str, link: str) -> str:
    """The filters that bring one sound into the mix."""
    return f"[{source}]aresample=48000 | aformat=channel_layouts=stereo | volume={gain}[{link}]"


JOINED = "[film0][film1]concat=a=0:n=2:v=1[joined]"
SPLIT_LOGO, WITH_LOGO = "[2:v:0]split=2[logo][mark]", "[joined][logo]overlay=20:20 | format=yuv420p[film]"
SMALL_JOINED = "[few0][few1]concat=a=0:n=2:v=1[few]"
SMALL_LOGO = "[mark]scale=flags=area:h=max(1\\,round(ih*0.178704)):w=max(1\\,round(iw*0.100521))[small]"
SMALL_WITH_LOGO = "[few][small]overlay=2:4:format=yuv444[marked]"
CELLS = "[{}]scale=flags=area:h=12:out_range=pc:w=12 | format=gray[cells]"


def ending(*options: dict[str, str]) -> list[str]:
    """What stands behind the maps: the output's options in alphabetical order, and its name."""
    together = {name: value for table in options for name, value in table.items()}
    words = [word for name in sorted(together) for word in (name, together[name])]
    return ["-f", "mp4", *words, f"file:{TARGET}"]


def command(chains: Sequence[str], *outputs: str) -> list[str]:
    """From the filter graph on: what is made of it, named by the links, picture, sound and cells."""
    graph = numbered(*(part for chain in chains for part in chain.split(";")), *(f"[{link}]" for link in outputs))
    *filters, picture, mixed, cells = graph.split(";")
    film = ["-map", picture, "-map", mixed, *ending(X264, AAC, CONTAINER)]
    luma = ["-map", cells, "-f", "rawvideo", "-fps_mode", "passthrough", f"file:{LUMA}"]
    return ["-filter_complex", ";".join(filters), *film, *luma, "-y"]


def test_two_clips_with_logo_and_music_are_one_command() -> None:
    """The direct command of a whole plan is exactly the one that was measured and reviewed."""
    (first, few), (second, few_more) = shot(0, 300, "film0", "few0"), shot(1, 70, "film1", "few1")
    chains = [
        *(first, second, JOINED, SPLIT_LOGO, WITH_LOGO),
        sound("3:a:0", "1.41421", "voice"),
        sound("4:a:0", "0.25", "music"),
        "[voice][music]amix=duration=first:inputs=2:normalize=0 | apad=whole_len=592320 | atrim=end_sample=592320[mix]",
        *(few, few_more, SMALL_JOINED, SMALL_LOGO, SMALL_WITH_LOGO, CELLS.format("marked")),
    ]
    assert direct(PLAN, TASK, TARGET, LUMA) == [
        *(*PART_1, *PART_2, *LOGO, *VOICE_IN, *MUSIC_IN),
        *command(chains, "film", "mix", "cells"),
    ]


def test_without_music_there_is_no_mix() -> None:
    """A plan with one track has no amix and opens no second sound."""
    (first, few), (second, few_more) = shot(0, 300, "film0", "few0"), shot(1, 70, "film1", "few1")
    chains = [
        *(first, second, JOINED, SPLIT_LOGO, WITH_LOGO),
        sound("3:a:0", "1.41421", "voice"),
        "[voice]apad=whole_len=592320 | atrim=end_sample=592320[mix]",
        *(few, few_more, SMALL_JOINED, SMALL_LOGO, SMALL_WITH_LOGO, CELLS.format("marked")),
    ]
    assert direct(replace(PLAN, tracks=(VOICE,)), TASK, TARGET, LUMA) == [
        *(*PART_1, *PART_2, *LOGO, *VOICE_IN),
        *command(chains, "film", "mix", "cells"),
    ]


def test_burned_captions_are_drawn_over_all_else() -> None:
    """After the logo, by libass; there is no track of text beside them."""
    lettering = Lettering(Path("/farm/words.vtt"), 70, PLAN.canvas)
    style = (
        "PlayResX=1920,PlayResY=1080,ScaledBorderAndShadow=yes,FontName=sans-serif,Fontsize=70,"
        "PrimaryColour=&H00FFFFFF,OutlineColour=&H00000000,BackColour=&H60000000,BorderStyle=1,Outline=4.9,Shadow=2.1,"
        "MarginL=96,MarginR=96,MarginV=54,Encoding=-1"
    )
    spelled = style.replace("=", r"\\=").replace(",", r"\,")
    (first, few), (second, few_more) = shot(0, 300, "film0", "few0"), shot(1, 70, "film1", "few1")
    drawn = rf"[film]subtitles=filename=file\\:/farm/words.vtt:force_style={spelled}[words]"
    chains = [
        *(first, second, JOINED, SPLIT_LOGO, WITH_LOGO, drawn),
        sound("3:a:0", "1.41421", "voice"),
        "[voice]apad=whole_len=592320 | atrim=end_sample=592320[mix]",
        *(few, few_more, SMALL_JOINED, SMALL_LOGO, SMALL_WITH_LOGO, CELLS.format("marked")),
    ]
    plan = replace(PLAN, tracks=(VOICE,), captions=Captions("captions.vtt", "deu", 3, "burned"))
    assert direct(plan, TASK, TARGET, LUMA, lettering) == [
        *(*PART_1, *PART_2, *LOGO, *VOICE_IN),
        *command(chains, "words", "mix", "cells"),
    ]


def test_one_clip_without_logo_is_neither_joined_nor_laid_over() -> None:
    """A plan of one clip without a logo has no concat and no overlay."""
    film, few = shot(0, 370, "film", "few")
    chains = [
        film,
        sound("1:a:0", "1.41421", "voice"),
        sound("2:a:0", "0.25", "music"),
        "[voice][music]amix=duration=first:inputs=2:normalize=0 | apad=whole_len=592320 | atrim=end_sample=592320[mix]",
        *(few, CELLS.format("few")),
    ]
    plan = replace(PLAN, shots=(Shot("video_part1.mp4", 370, 400),), layers=())
    assert direct(plan, TASK, TARGET, LUMA) == [
        *(*PART_1, *VOICE_IN, *MUSIC_IN),
        *command(chains, "film", "mix", "cells"),
    ]


_PRINT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fractions import Fraction
from render_worker.commands.direct import direct
from shared.domain.plan import Canvas, Layer, Profile, RenderPlan, Shot, Track
shots = tuple(Shot(f"video_part{n}.mp4", 30, 60) for n in range(1, 13))
tracks = (Track("voice.mp3", 1.0, 1), Track("music.mp3", 0.25, 2, True))
canvas, profile = Canvas(1920, 1080, Fraction(30)), Profile("libx264", 21, "medium", 192)
plan = RenderPlan(canvas, profile, 12.0, 360, shots, (Layer("logo.png"),), tracks)
print(json.dumps(direct(plan, Path("/t"), Path("/o"), Path("/l"))))
"""


def test_arguments_do_not_depend_on_the_process() -> None:
    """Two processes that hash differently spell the same plan in the same words."""
    root = str(Path(__file__).parents[3])
    spelled = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _PRINT, root]
        run = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
        spelled.append(json.loads(run.stdout))
    assert spelled[0] == spelled[1]
    assert sum(word == "-i" for word in spelled[0]) == 15
