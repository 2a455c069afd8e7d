"""Conforming commands, word for word, and the name a segment gets from what it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from render_worker.commands.conform import Look, Recipe, decode_exactly, encoded_end, encoded_transition, judge
from shared.domain.media import VideoFacts
from shared.domain.plan import Canvas, Decoration, Layer, Profile, Transition, Treatment, exact_rate, treatment_of
from tests.graphs import numbered

TASK = Path("/farm/processing/id")
CLIP = TASK / "video_part1.mp4"
BENCH = Path("/farm/.farm/cache/segments/.node-ab")
CANVAS = Canvas(1920, 1080, exact_rate(29.97))
PROFILE = Profile("libx264", quality=21, preset="medium", audio_kbps=192)
LOGO = (Layer("logo.png"), "beef")
PLAIN = Recipe("cafe", start=0, frames=70, treatment=Treatment(), look=Look(CANVAS, PROFILE))

SIZE = "h=max(2\\,min(1080\\,trunc(1920/dar/2)*2))", "w=max(2\\,min(1920\\,trunc(1080*dar/2)*2))"
PAINT = "setparams=chroma_location=left:color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
PLACE = "pad=1920:1080:(ow-iw)/2:(oh-ih)/2:color=black", "setsar=1", "sidedata=mode=delete", "format=yuv420p"
CAGE = ("-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file", "-reinit_filter", "0")
IN_FRONT = ("-filter_threads", "4", *CAGE, "-threads", "4")
X264 = (
    *("-f", "mp4", "-c:v", "libx264", "-crf", "21", "-flags", "+cgop", "-g", "60", "-keyint_min", "60"),
    *("-map_metadata", "-1", "-pix_fmt", "yuv420p", "-preset", "medium", "-profile:v", "high"),
    *("-r", "30000/1001", "-sc_threshold", "0"),
)
CLOCK = ("-video_track_timescale", "30000")


SPLIT = "split=2[whole][small]"
SHARE = "(dar*1080/1920)"
PLACED = (
    f"[small]scale=flags=neighbor:h=max(1\\,round(193*min(1\\,1/{SHARE}))):out_range=pc"
    f":w=max(1\\,round(193*min(1\\,{SHARE}))) | format=gray | pad=193:193:(ow-iw)/2:(oh-ih)/2:color=black | setsar=1"
)
CELLS = "scale=flags=area:h=12:out_range=pc:w=12 | format=gray"
RAW = ("-f", "rawvideo", "-fps_mode", "passthrough")
LUMA = BENCH / "clip.luma"


def outputs(film: str, luma: str) -> list[str]:
    """The segment and what it is compared with, made of two links."""
    segment = ["-map", film, *X264, "-threads", "4", *CLOCK, f"file:{BENCH}/segment.mp4"]
    return [*segment, "-map", luma, *RAW, f"file:{LUMA}", "-y"]


def command(recipe: Recipe) -> list[str]:
    return recipe.command(CLIP, TASK, BENCH / "segment.mp4", LUMA, threads=4)


def test_an_ordinary_clip_becomes_a_segment() -> None:
    """Timed, cut to its frames, scaled, painted in BT.709, padded; one clock, closed groups, no sound."""
    steps = "fps=30000/1001", "tpad=stop=14:stop_mode=clone", "trim=end_frame=70", "setpts=PTS-STARTPTS", SPLIT
    scaled = f"scale=flags=bicubic:{SIZE[0]}:out_color_matrix=bt709:out_range=tv:{SIZE[1]}"
    graph = numbered(
        "[0:V:0]" + " | ".join(steps),
        " | ".join((f"[whole]{scaled}", PAINT, *PLACE)) + "[film]",
        f"{PLACED} | {CELLS}[l]",
    )
    assert command(PLAIN) == [*(*IN_FRONT, "-i", f"file:{CLIP}", "-filter_complex", graph), *outputs("[s11]", "[s17]")]


def test_a_difficult_clip_gets_its_treatment() -> None:
    """Fields become frames, highlights are mapped, a logo lies over it; a late part is read from ten seconds before."""
    steps = (
        "[0:V:0]bwdif=deint=all:mode=send_field:parity=tff",
        "fps=30000/1001:start_time=0",
        "tpad=stop=14:stop_mode=clone",
        "trim=end_frame=370:start_frame=300",
        "setpts=PTS-STARTPTS",
        SPLIT,
    )
    mapped = (
        f"[whole]scale=flags=bicubic:{SIZE[0]}:{SIZE[1]}",
        "zscale=min=bt2020nc:npl=100:pin=bt2020:t=linear:tin=arib-std-b67",
        "format=gbrpf32le",
        "zscale=p=bt709",
        "tonemap=hable:desat=0",
        "zscale=m=bt709:r=limited:t=bt709",
        "format=yuv420p",
        PAINT,
        *PLACE,
    )
    graph = numbered(
        " | ".join(steps),
        " | ".join(mapped) + "[mapped]",
        "[1:v:0]split=2[logo][mark]",
        "[mapped][logo]overlay=20:20 | format=yuv420p[film]",
        f"{PLACED}[few]",
        "[mark]scale=flags=area:h=max(1\\,round(ih*0.178704)):w=max(1\\,round(iw*0.100521))[few_mark]",
        f"[few][few_mark]overlay=2:4:format=yuv444 | {CELLS}[cells]",
    )
    treatment = Treatment(fields="tff", doubled=True, tone_map="HLG")
    assert command(replace(PLAIN, start=1800, treatment=treatment, look=replace(PLAIN.look, layers=(LOGO,)))) == [
        *("-filter_threads", "4", "-f", "mov", "-format_whitelist", "mov", "-noaccurate_seek"),
        *("-protocol_whitelist", "file", "-reinit_filter", "0", "-ss", "50.050000"),
        *("-threads", "4", "-i", f"file:{CLIP}"),
        *("-format_whitelist", "image2,png_pipe,jpeg_pipe,webp_pipe", "-protocol_whitelist", "file"),
        *("-i", f"file:{TASK}/logo.png", "-filter_complex", graph),
        *outputs("[s22]", "[s30]"),
    ]


@pytest.mark.parametrize(
    ("treatment", "words"),
    [
        (Treatment(fields="auto"), "[0:V:0]bwdif=deint=interlaced:mode=send_frame:parity=auto[s0]"),
        (Treatment(fields="bff"), "[0:V:0]bwdif=deint=all:mode=send_frame:parity=bff[s0]"),
        (Treatment(matrix="bt709"), ":in_color_matrix=bt709:out_color_matrix=bt709:out_range=tv:"),
        (Treatment(tone_map="PQ"), "tin=smpte2084"),
    ],
)
def test_each_treatment_has_its_filter(treatment: Treatment, words: str) -> None:
    """What the clip's facts ask for stands in the command."""
    assert words in " ".join(command(replace(PLAIN, treatment=treatment)))


def test_a_part_that_begins_within_the_run_up_is_read_from_the_beginning() -> None:
    """Nothing is skipped in front of a part that begins five seconds into its clip."""
    words = command(replace(PLAIN, start=150))
    assert "-ss" not in words
    assert "trim=end_frame=220:start_frame=150" in " ".join(words)


def test_a_part_of_a_late_picture_is_counted_from_its_first() -> None:
    """Also one that begins within the run-up; the beginning of the clip is its first picture anyway."""
    late = replace(PLAIN, treatment=Treatment(late_seconds=0.4))
    seeks = {start: command(replace(late, start=start)) for start in (0, 150, 1800)}
    assert "-ss" not in seeks[0]
    assert [words[words.index("-ss") + 1] for start, words in seeks.items() if start] == ["0.400000", "50.450000"]


CHANGES: dict[str, Recipe] = {
    "content": replace(PLAIN, sha256="f00d"),
    "first frame": replace(PLAIN, start=60),
    "frames": replace(PLAIN, frames=71),
    "treatment": replace(PLAIN, treatment=Treatment(matrix="bt709")),
    "width": replace(PLAIN, look=replace(PLAIN.look, canvas=replace(CANVAS, width=1918))),
    "rate": replace(PLAIN, look=replace(PLAIN.look, canvas=replace(CANVAS, rate=exact_rate(30)))),
    "quality": replace(PLAIN, look=replace(PLAIN.look, profile=replace(PROFILE, quality=22))),
    "preset": replace(PLAIN, look=replace(PLAIN.look, profile=replace(PROFILE, preset="slow"))),
    "a layer": replace(PLAIN, look=replace(PLAIN.look, layers=(LOGO,))),
    "another layer": replace(PLAIN, look=replace(PLAIN.look, layers=((LOGO[0], "dead"),))),
    "its side": replace(PLAIN, look=replace(PLAIN.look, layers=((replace(LOGO[0], position="center"), "beef"),))),
    "its width": replace(PLAIN, look=replace(PLAIN.look, layers=((replace(LOGO[0], width=90), "beef"),))),
    "its opacity": replace(PLAIN, look=replace(PLAIN.look, layers=((replace(LOGO[0], opacity=0.5), "beef"),))),
    "cropped": replace(PLAIN, look=replace(PLAIN.look, canvas=replace(CANVAS, fit="crop"))),
    "blurred": replace(PLAIN, look=replace(PLAIN.look, canvas=replace(CANVAS, fit="blur"))),
    "encoder": replace(PLAIN, look=replace(PLAIN.look, profile=replace(PROFILE, encoder="h264_nvenc"))),
    "its place": replace(PLAIN, look=replace(PLAIN.look, layers=((Layer("logo.png", margin=21), "beef"),))),
}


def test_whatever_changes_the_picture_changes_the_name() -> None:
    """No two of these segments share a name; another ffmpeg makes another name, too."""
    keys = {recipe.key("ffmpeg 9") for recipe in (PLAIN, *CHANGES.values())} | {PLAIN.key("ffmpeg 8")}
    assert len(keys) == len(CHANGES) + 2
    assert all(len(key) == 64 for key in keys)


def test_what_does_not_change_the_picture_does_not_change_the_name() -> None:
    """A layer's file name and the bit rate of the sound leave a segment as it is."""
    named = replace(PLAIN, look=replace(PLAIN.look, layers=((Layer("other.png"), "beef"),)))
    assert named.key("9") == replace(PLAIN, look=replace(PLAIN.look, layers=(LOGO,))).key("9")
    assert replace(PLAIN, look=replace(PLAIN.look, profile=replace(PROFILE, audio_kbps=64))).key("9") == PLAIN.key("9")


FILM_LUMA = (
    *("-map", "0:v:0", "-vf"),
    "scale=w=193:h=193:flags=neighbor:out_range=pc,format=gray,scale=w=12:h=12:flags=area:out_range=pc,format=gray",
    *("-fps_mode", "passthrough", "-f", "rawvideo", "-y"),
)


def test_a_segment_is_decoded_listed_and_pictured_in_one_run() -> None:
    """Judging decodes every frame, makes it small, lists every packet and keeps a keyframe."""
    files = BENCH / "segment.mp4", BENCH / "packets.txt", BENCH / "film.luma", BENCH / "thumbnail.jpg"
    assert judge(*files, 3, threads=2) == [
        *("-threads", "2", "-skip_loop_filter", "all", "-f", "mov", "-i", f"file:{BENCH}/segment.mp4"),
        *("-threads", "1", "-skip_frame", "nokey", "-noaccurate_seek", "-ss", "3.000"),
        *("-f", "mov", "-i", f"file:{BENCH}/segment.mp4"),
        *(*FILM_LUMA, f"file:{BENCH}/film.luma"),
        *("-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", f"file:{BENCH}/packets.txt"),
        *("-map", "1:v:0", "-fps_mode", "passthrough", "-frames:v", "1", "-q:v", "3", "-f", "image2"),
        *("-update", "1", "-y", f"file:{BENCH}/thumbnail.jpg"),
    ]


def test_a_segment_in_doubt_is_decoded_exactly() -> None:
    """With the filter between blocks, as players do it."""
    assert decode_exactly(BENCH / "segment.mp4", BENCH / "film.luma", threads=2) == [
        *("-threads", "2", "-f", "mov", "-i", f"file:{BENCH}/segment.mp4", *FILM_LUMA, f"file:{BENCH}/film.luma")
    ]


def test_an_end_is_encoded_with_the_settings_of_its_segment() -> None:
    """Some frames of a segment, entered half a frame early, with the same encoder settings and the same clock."""
    target = TASK / "attempt-1-ab/scratch/end.mp4"
    graph = numbered(
        "[0:v:0]trim=end_frame=10 | setpts=PTS-STARTPTS | split=2[film][small]", f"{PLACED} | {CELLS}[cells]"
    )
    assert encoded_end(BENCH / "segment.mp4", CANVAS, PROFILE, (60, 70), target, LUMA) == [
        *("-f", "mov", "-ss", "1.985317", "-i", f"file:{BENCH}/segment.mp4", "-filter_complex", graph),
        *("-map", "[s2]", *X264, *CLOCK, f"file:{target}", "-map", "[s9]", *RAW, f"file:{LUMA}", "-y"),
    ]


@pytest.mark.parametrize(
    ("kind", "filters"),
    [
        ("crossfade", ["xfade=duration=0.500000:offset=0.100000:transition=fade", "fps=30"]),
        ("fade", ["fade=n=15:s=3:t=out", "fade=n=15:s=0:t=in", "concat=a=0:n=2:v=1"]),
    ],
)
def test_a_transition_is_encoded_of_two_segments(kind: Literal["fade", "crossfade"], filters: list[str]) -> None:
    """Three frames back to an anchor, and fifteen of both; then colours are told again."""
    parts = [(BENCH / "a.mp4", (42, 60)), (BENCH / "b.mp4", (0, 15))]
    canvas = Canvas(1920, 1080, exact_rate(30))
    command = encoded_transition(parts, canvas, PROFILE, Transition(kind, 15), BENCH / "t.mp4", LUMA, 1)
    graph = command[command.index("-filter_complex") + 1]
    assert command[: command.index("-filter_complex")] == [
        *("-f", "mov", "-ss", "1.383333", "-i", f"file:{BENCH}/a.mp4", "-f", "mov", "-i", f"file:{BENCH}/b.mp4")
    ]
    assert all(words in graph for words in filters)
    assert "format=yuv420p" in graph
    assert "setparams=chroma_location=left" in graph
    assert ("-threads", "1") in pairwise(command)


def test_only_a_clips_beginning_can_be_entered_behind_a_transition() -> None:
    """By a keyframe that is asked for; later segments of the clip do not know of it."""
    look = Look(CANVAS, PROFILE, enters=15)
    first, later = (
        Recipe("clip", start, 300, Treatment(), look).command(BENCH / "c.mp4", BENCH, BENCH / "s.mp4", LUMA, threads=1)
        for start in (0, 300)
    )
    assert ("-force_key_frames", "expr:eq(n,15)") in pairwise(first)
    assert "-force_key_frames" not in later
    others = [
        [Recipe("clip", start, 300, Treatment(), replace(look, enters=n)).key("9") for n in (0, 15, 16)]
        for start in (0, 300)
    ]
    assert [len(set(keys)) for keys in others] == [3, 1]


def test_two_turns_of_a_decoration_are_read_each_at_its_own_pace() -> None:
    """Through one input, all that the second shows would have to be kept until the first is over."""
    look = Look(CANVAS, PROFILE, decoration=(Decoration("frame.mp4", 800, "#00d800"), "a"))
    command = Recipe("clip", 900, 900, Treatment(), look).command(CLIP, TASK, BENCH / "s.mp4", None, threads=1)
    assert [word for word in command if word.endswith(".mp4")].count(f"file:{TASK}/frame.mp4") == 2


def test_an_alpha_channel_is_decoded_by_software() -> None:
    """Cards leave it out, and what is opaque then hides the clips."""
    facts = VideoFacts(1920, 1080, 1920, 1080, 0, 1.0, 30.0, 2.0, 60, "HEVC")
    assert [treatment_of(replace(facts, alpha=alpha), exact_rate(30)).in_software for alpha in (False, True)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(("in_software", "asked"), [(False, True), (True, False)])
def test_hardware_is_not_asked_for_what_it_would_leave_undecoded(in_software: bool, asked: bool) -> None:
    """A card that cannot decode AV1 decodes nothing of it; all else goes on in software by itself."""
    recipe = Recipe("clip", 0, 60, Treatment(in_software=in_software), Look(CANVAS, PROFILE))
    command = recipe.command(BENCH / "c.mp4", BENCH, BENCH / "s.mp4", LUMA, threads=1, hardware="cuda")
    assert (("-hwaccel", "cuda") in pairwise(command)) == asked
    assert recipe.key("9") == replace(recipe, treatment=Treatment()).key("9")
