"""One task becomes one video: real clips and sounds, rendered by a real ffmpeg, measured in the result."""

from __future__ import annotations

import array
import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.job import Job
from render_worker.progress import Report
from render_worker.tool import Tool
from shared.domain.layout import CAPTIONS, FINAL, METADATA, POSTER, RENDER_RECORD, SHEET
from shared.mediainfo import number, read_declared
from shared.records.metadata import Metadata
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Colour = Callable[..., tuple[int, int, int]]
Samples = Callable[..., "array.array[float]"]
RunFfmpeg = Callable[..., bytes]

WHOLE = (0, 0, 320, 180)
RATE = 48_000


def level(values: array.array[float]) -> float:
    """Root mean square in dB."""
    return 20 * math.log10(math.sqrt(sum(value * value for value in values) / len(values)) + 1e-9)


def quietest(values: array.array[float], seconds: float = 0.05) -> float:
    """The level of the quietest stretch."""
    step = round(seconds * RATE)
    return min(level(values[i : i + step]) for i in range(0, len(values) - step, step // 2))


def close(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(found, wanted, strict=True))


BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])
RED, BLUE, BLACK, GREY = (255, 0, 0), (0, 0, 255), (0, 0, 0), (128, 128, 128)


# -- the file as a whole -----------------------------------------------------------------------------


@BOTH
def test_a_task_becomes_a_complete_attempt(prepare: Prepare, render: Render, mode: str) -> None:
    """The attempt's folder has the five files of an output and nothing else, and their facts are true."""
    job = prepare(logo="logo.png")
    record = render(job, mode=mode)
    final = job.folder / FINAL
    assert {path.name for path in job.folder.iterdir()} == {FINAL, METADATA, RENDER_RECORD, POSTER, SHEET}
    assert (job.folder / RENDER_RECORD).read_bytes() == record.to_bytes()
    assert Metadata.read(job.folder / METADATA) == job.metadata
    assert record.sha256 == hashlib.sha256(final.read_bytes()).hexdigest()
    assert (record.mode, record.fallback) == (mode, None)
    assert record.size == final.stat().st_size
    assert all(check.passed for check in record.checks)
    assert (job.folder / POSTER).read_bytes().startswith(b"\xff\xd8\xff")


def test_a_good_render_leaves_no_complaints(prepare: Prepare, render: Render, tool: Tool) -> None:
    """Nor what ffmpeg says of the parts of a join that it may not decode: who reads the log looks for what is wrong."""
    assert render(prepare(), mode="segments").fallback is None
    assert tool.errors_to
    assert not tool.errors_to.exists()


WORDS = """WEBVTT

00:00:00.250 --> 00:00:01.000
Ein &lt;Drache&gt; &amp; ein Schloss
über den Wolken

00:00:01.500 --> 00:00:02.500
龍が飛ぶ
"""


@BOTH
@pytest.mark.parametrize(("clips", "size"), [(2, (640, 180)), (3, (640, 360)), (16, (1280, 540))])
def test_a_contact_sheet_shows_the_shots(
    prepare: Prepare, render: Render, run_ffmpeg: RunFfmpeg, mode: str, clips: int, size: tuple[int, int]
) -> None:
    """Up to twelve of them, as many in a row as there are rows, or one more."""
    job = prepare(clips=("h264.mp4",) * clips, seconds_each=2.72 / clips)
    render(job, mode=mode)
    listed = run_ffmpeg("-i", job.folder / SHEET, "-f", "framecrc", "-").decode()
    assert f"#dimensions 0: {size[0]}x{size[1]}\n" in listed


@BOTH
def test_captions_are_a_track_and_a_file(prepare: Prepare, render: Render, run_ffmpeg: RunFfmpeg, mode: str) -> None:
    """In their language, at their times, with every sign; the gate counts them."""
    job = prepare(captions=WORDS)
    record = render(job, mode=mode)
    assert (record.mode, record.fallback) == (mode, None)
    final = job.folder / FINAL
    assert (job.folder / CAPTIONS).read_text("utf-8") == WORDS
    assert {check.name: check.measured for check in record.checks}["captions"] == 2
    shown = run_ffmpeg("-i", final, "-map", "0:s", "-c:s", "text", "-f", "srt", "-").decode()
    assert shown == (
        "1\n00:00:00,250 --> 00:00:01,000\nEin <Drache> & ein Schloss\nüber den Wolken\n\n"
        "2\n00:00:01,500 --> 00:00:02,500\n龍が飛ぶ\n\n"
    )
    declared = read_declared(final, lambda: False)
    assert declared is not None
    (text,) = declared.data
    assert (text["format"], text["language"]) == ("Timed Text", "de")


@BOTH
@pytest.mark.parametrize(("rate", "frames"), [(30, 76), (29.97, 76), (25, 63), (23.976, 61)])
def test_the_video_has_the_format_the_size_the_rate_and_exactly_the_frames(
    prepare: Prepare, render: Render, rate: float, frames: int, mode: str
) -> None:
    """A voice of 2.51 s becomes H.264 and AAC of its length, covered by whole frames."""
    job = prepare(rate=rate)
    record = render(job, mode=mode)
    declared = read_declared(job.folder / FINAL, lambda: False)
    assert declared is not None
    (video,), (audio,) = declared.video, declared.audio
    assert (declared.container, video["format"], audio["format"]) == ("MPEG-4", "AVC", "AAC")
    assert (video["width"], video["height"], float(video["pixel_aspect_ratio"])) == (320, 180, 1.0)
    assert number(video, "frame_rate") == pytest.approx(rate, abs=0.001)
    assert (int(video["frame_count"]), record.frames) == (frames, frames)
    assert number(audio, "duration") / 1000 == pytest.approx(2.51, abs=1 / rate)
    assert (audio["sampling_rate"], audio["channel_s"]) == (RATE, 2)


@BOTH
@pytest.mark.parametrize("clips", [("h264.mp4",), ("h264.mp4", "h264.mp4")])
@pytest.mark.parametrize("rate", [30, 29.97, 25, 23.976, 59.94])
@pytest.mark.parametrize("seconds", [1.004, 1.02, 1.0329, 1.0])
def test_no_voice_length_costs_a_frame(
    prepare: Prepare, render: Render, clips: tuple[str, ...], rate: float, seconds: float, mode: str
) -> None:
    """A voice that ends just after a frame begins needs that frame, with one clip as with several; the gate counts."""
    job = prepare(rate=rate, clips=clips, seconds_each=2.0 if len(clips) == 1 else 0.6, music=None)
    metadata = job.metadata.changed(voice_duration=seconds)
    record = render(dataclasses.replace(job, metadata=metadata), mode=mode)
    assert 0 <= record.frames / rate - seconds < 1 / rate + 1e-5


@BOTH
def test_clips_of_any_codec_rate_and_size_are_shown_one_after_the_other(
    prepare: Prepare, render: Render, run_ffmpeg: Callable[..., bytes], mode: str
) -> None:
    """No clip is dropped for being of another codec than the first: every one of them moves on the screen."""
    clips = ("h264.mp4", "hevc.mp4", "mpeg4.mp4", "vp9.mp4", "yuv444.mp4", "white.mp4")
    job = prepare(voice="voice_silent.mp3", clips=clips, seconds_each=0.7)
    assert render(job, mode=mode).frames == 111
    grey = run_ffmpeg("-i", job.folder / FINAL, "-vf", "scale=16:9:flags=area,format=gray", "-f", "rawvideo", "-")
    pictures = [grey[i : i + 144] for i in range(0, len(grey), 144)]
    assert len(pictures) == 111
    parts = [pictures[first : first + 21] for first in range(0, 105, 21)]
    assert all(len(set(part)) > 10 for part in parts), "a clip stands still"
    assert all(min(part[0]) < 200 for part in parts)
    assert min(pictures[-1]) > 230, "the last shot is not the white clip"


@pytest.mark.parametrize(
    ("mode", "phases"), [("direct", {"rendering", "checking"}), ("segments", {"conforming", "joining", "checking"})]
)
def test_progress_is_reported_up_to_the_whole(prepare: Prepare, render: Render, mode: str, phases: set[str]) -> None:
    """Reports name the phase, its pace and what is left of it, and never fall back; the last one is at 100 %."""
    reports: list[Report] = []
    render(prepare(clips=("h264.mp4", "halves.mp4")), on_report=reports.append, mode=mode)
    assert {report.phase for report in reports} - {"encoding cuts"} == phases
    told = [report for report in reports if report.fps > 0 and report.speed > 0 and report.eta_seconds is not None]
    assert {report.phase for report in told} >= phases
    percents = [report.percent for report in reports]
    assert percents == sorted(percents)
    assert percents[-1] == 100


# -- the picture -------------------------------------------------------------------------------------


@BOTH
def test_wide_pixels_fill_the_screen(prepare: Prepare, render: Render, colour: Colour, mode: str) -> None:
    """A clip of 160×180 pixels that are twice as wide as high is shown as 320×180, without bars."""
    job = prepare(clips=("wide_pixels.mp4",), voice="voice_short.mp3")
    render(job, mode=mode)
    assert close(colour(job.folder / FINAL, (0, 0, 150, 180)), RED)
    assert close(colour(job.folder / FINAL, (170, 0, 150, 180)), BLUE)


@BOTH
def test_tall_pixels_fill_the_screen(prepare: Prepare, render: Render, colour: Colour, mode: str) -> None:
    """A clip of 320×90 pixels that are twice as high as wide is shown as 320×180, without bars."""
    job = prepare(clips=("tall_pixels.mp4",), voice="voice_short.mp3")
    render(job, mode=mode)
    assert close(colour(job.folder / FINAL, (0, 0, 150, 180)), RED)
    assert close(colour(job.folder / FINAL, (170, 0, 150, 180)), BLUE)


@BOTH
def test_a_turned_clip_stands_upright_between_bars(prepare: Prepare, render: Render, colour: Colour, mode: str) -> None:
    """A clip filmed with the phone turned by a quarter is turned back: its left half is below, bars at both sides."""
    job = prepare(clips=("rotated.mp4",), voice="voice_short.mp3")
    render(job, mode=mode)
    final = job.folder / FINAL
    middle = 160
    above, below = colour(final, (middle - 30, 5, 60, 70)), colour(final, (middle - 30, 105, 60, 70))
    assert (close(above, BLUE), close(below, RED)) == (True, True), (above, below)
    assert close(colour(final, (0, 0, 90, 180)), BLACK)
    assert close(colour(final, (230, 0, 90, 180)), BLACK)


@BOTH
def test_a_narrow_clip_keeps_its_shape_on_another_canvas(
    prepare: Prepare, render: Render, colour: Colour, mode: str
) -> None:
    """A 16:9 clip on a 4:3 canvas has bars above and below and nothing is cut off or stretched."""
    job = prepare(clips=("halves.mp4",), voice="voice_short.mp3", resolution="320x240")
    render(job, mode=mode)
    final = job.folder / FINAL
    assert close(colour(final, (0, 0, 320, 28)), BLACK)
    assert close(colour(final, (0, 212, 320, 28)), BLACK)
    assert close(colour(final, (0, 32, 150, 176)), RED)
    assert close(colour(final, (170, 32, 150, 176)), BLUE)


@BOTH
@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("grey.mp4", "grey_full_range.mp4", GREY),
        ("grey_full_range.mp4", "grey.mp4", GREY),
        ("red.mp4", "red_bt709.mp4", RED),
        ("red_bt709.mp4", "red.mp4", RED),
    ],
)
def test_ranges_and_matrices_of_clips_do_not_show(
    prepare: Prepare, render: Render, colour: Colour, one: str, other: str, wanted: tuple[int, int, int], mode: str
) -> None:
    """Clips of one colour but of another range or matrix keep that colour, in one command as in segments."""
    job = prepare(clips=(one, other, one, other), seconds_each=0.7)
    render(job, mode=mode, preset="veryfast")
    first, last = (colour(job.folder / FINAL, (20, 20, 200, 100), frame) for frame in (5, 30))
    assert close(first, wanted, 4)
    assert close(last, wanted, 4)


@BOTH
def test_the_logo_lies_at_its_corner_with_its_transparency(
    prepare: Prepare, render: Render, colour: Colour, mode: str
) -> None:
    """The logo begins 20 pixels from both edges; where it is half transparent the picture shines through."""
    job = prepare(clips=("white.mp4",), voice="voice_short.mp3", logo="logo.png")
    render(job, mode=mode, quality=1)
    final = job.folder / FINAL
    assert close(colour(final, (22, 22, 16, 36)), (0, 255, 0))
    assert close(colour(final, (42, 22, 16, 36)), (127, 255, 127))
    for beside in ((0, 0, 320, 18), (0, 0, 18, 180), (62, 0, 200, 180), (0, 62, 320, 118)):
        assert close(colour(final, beside), (255, 255, 255), 4)


@pytest.mark.parametrize(("mode", "last"), [("direct", 71), ("segments", 67)])
def test_a_clip_that_ends_a_little_early_holds_its_last_picture(
    prepare: Prepare, render: Render, colour: Colour, mode: str, last: int
) -> None:
    """A clip declared 0.4 s longer than its picture is filled up with its last frame before the next clip comes.

    Of segments, the next would have too few frames to be cut out; the first gives it four of its own.
    """
    job = prepare(clips=("halves.mp4", "white.mp4"), seconds_each=2.4)
    assert render(job, mode=mode).frames == 76
    assert close(colour(job.folder / FINAL, (0, 0, 150, 180), last), RED)
    assert close(colour(job.folder / FINAL, (0, 0, 150, 180), last + 1), (255, 255, 255))


# -- the sound, as the specification mixes it ---------------------------------------------------------

SPEC = {"style": "spec"}


@BOTH
@pytest.mark.parametrize("voice", ["voice_8000.mp3", "voice_22050.mp3", "voice_44100.mp3", "voice_48000.mp3"])
@pytest.mark.parametrize("music", [None, "silence"])
def test_the_voice_keeps_its_level(
    prepare: Prepare,
    render: Render,
    samples: Samples,
    media: Callable[[str], Path],
    voice: str,
    music: str | None,
    mode: str,
) -> None:
    """A voice of any rate, mono or stereo, is as loud in the video as in its file, with music beside it or not."""
    beside = media("voice_silent.mp3") if music else None
    job = prepare(voice=voice, music=beside)
    render(job, mode=mode, mix=SPEC)
    middle = slice(RATE // 2, RATE)
    before, after = (level(samples(sound)[middle]) for sound in (media(voice), job.folder / FINAL))
    assert after == pytest.approx(before, abs=1.0)


@pytest.mark.parametrize("music", ["music_mono.mp3", "music_stereo.mp3"])
def test_music_is_twelve_decibels_lower(
    prepare: Prepare, render: Render, samples: Samples, media: Callable[[str], Path], music: str
) -> None:
    """At the gain 0.25 music is 12 dB below its own level, and nothing else is taken from it."""
    job = prepare(voice="voice_silent.mp3", music=music, clips=("h264.mp4", "h264.mp4"))
    render(job, mix=SPEC)
    middle = slice(RATE // 2, 3 * RATE)
    before, after = (level(samples(sound)[middle]) for sound in (media(music), job.folder / FINAL))
    assert after - before == pytest.approx(-12.04, abs=1.0)


@BOTH
def test_short_music_repeats_to_the_end_without_a_gap(
    prepare: Prepare, render: Render, samples: Samples, mode: str
) -> None:
    """Music of one second under a voice of 3.7 s is nowhere silent, the end included."""
    job = prepare(voice="voice_silent.mp3", music="music.mp3")
    render(job, mode=mode, mix=SPEC)
    found = samples(job.folder / FINAL)
    assert len(found) == pytest.approx(3.7 * RATE, abs=RATE / 30)
    inner = found[RATE // 50 : round(3.68 * RATE)]
    assert level(inner) == pytest.approx(-36.1, abs=1)
    assert quietest(inner, 0.02) > -42


def test_voice_and_music_are_heard_together(prepare: Prepare, render: Render, samples: Samples) -> None:
    """Both tones are in the mix, each at its own level."""
    job = prepare(voice="voice.mp3", music="music_stereo.mp3")
    render(job, mix=SPEC)
    final = job.folder / FINAL
    voice = level(samples(final, "bandpass=f=440:width_type=h:w=100")[RATE:-RATE])
    music = level(samples(final, "bandpass=f=1000:width_type=h:w=100")[RATE:-RATE])
    assert voice == pytest.approx(-21.1, abs=1)
    assert music == pytest.approx(-36.1, abs=1)
