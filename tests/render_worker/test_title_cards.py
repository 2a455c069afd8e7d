"""Title and end cards, pictures and films, in both ways of rendering."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.job import Job
from shared.domain.layout import FINAL
from shared.domain.media import VideoFacts
from shared.ffmpeg import Ffmpeg
from tests.render_worker.test_decorations import make_frame  # noqa: F401 - a fixture
from tests.render_worker.test_layers import BLUE, BOTH, GREEN, RED, SHAPES, WHITE, Colour, Prepare, Render, near
from tests.shown import psnr, shown

PLAIN = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p")


@pytest.fixture
def card(tmp_path: Path, run_ffmpeg: Callable[..., bytes]) -> Callable[..., Path]:
    """A card of one colour: a picture, or two seconds of film."""

    def make(name: str, colour: str, size: str = "320x180", *options: str, rate: int = 30) -> Path:
        path = tmp_path / name
        film = path.suffix == ".mp4"
        source = f"color={colour}:s={size}:r={rate}:d=2,format=rgba" + (
            ",format=yuv444p,scale=out_color_matrix=bt709" if film else ""
        )
        run_ffmpeg("-f", "lavfi", "-i", source, *(options or (PLAIN if film else ("-frames:v", "1"))), path)
        return path

    return make


@BOTH
@SHAPES
@pytest.mark.parametrize("names", [("title.png", "end.mp4"), ("title.mp4", "end.jpg"), ("title.webp", "end.png")])
def test_cards_stand_before_and_behind_the_clips(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    card: Callable[..., Path],
    mode: str,
    size: tuple[int, int],
    names: tuple[str, str],
) -> None:
    """For just as long as they shall; the video is as long as the voice."""
    title, end = (card(*one) for one in zip(names, ("red", "blue"), strict=True))
    job = prepare(
        clips=("white.mp4",) * 2, title=title, end=end, card_seconds=0.5, resolution=f"{size[0]}x{size[1]}", music=None
    )
    record = render(job, mode=mode, quality=4, fit="crop")
    assert (record.fallback, record.frames) == (None, 76)
    final = job.folder / FINAL
    whole = (0, 0, *size)
    opening, closing = (15 if not name.endswith("mp4") else 19 for name in names)  # a film gets a quarter at most
    for number in (0, opening - 1):
        assert near(colour(final, whole, number), RED)
    for number in (opening, 76 - closing - 1):
        assert near(colour(final, whole, number), WHITE)
    for number in (76 - closing, 75):
        assert near(colour(final, whole, number), BLUE)


def test_both_ways_show_the_same(
    prepare: Prepare,
    again: Callable[[Job], Job],
    render: Render,
    run_ffmpeg: Callable[..., bytes],
    tmp_path: Path,
    ffmpeg: Ffmpeg,
) -> None:
    """A film that moves, at another rate and size, and a picture that is finer than the video."""
    moving, fine = tmp_path / "title.mp4", tmp_path / "end.png"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=400x300:r=25:d=0.6", *PLAIN, moving)
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=1000x700:r=1:d=1", "-frames:v", "1", fine)
    job = prepare(clips=("h264.mp4",) * 2, title=moving, end=fine, card_seconds=0.6)
    films = []
    for mode in ("direct", "segments"):
        assert render(job, mode=mode, quality=10).frames == 76
        films.append(shown(ffmpeg, job.folder / FINAL, 320, 180).frames)
        job = again(job)
    assert min(psnr(one, other) for one, other in zip(*films, strict=True)) > 34


@BOTH
@pytest.mark.parametrize("kind", ["fade", "crossfade"])
def test_cards_are_entered_and_left_by_transitions(
    prepare: Prepare, render: Render, colour: Colour, card: Callable[..., Path], mode: str, kind: str
) -> None:
    """Which take none of the time that a card is shown alone; the video is as long as ever."""
    job = prepare(
        clips=("white.mp4",) * 4,
        voice="voice_seven.mp3",
        title=card("title.png", "red"),
        end=card("end.mp4", "blue"),
        transition=kind,
        transition_seconds=0.4,
        card_seconds=1.5,
        music=None,
    )
    record = render(job, mode=mode, quality=4)
    assert (record.fallback, record.frames) == (None, 216)
    final, whole = job.folder / FINAL, (0, 0, 320, 180)
    for number in (0, 27):
        assert near(colour(final, whole, number), RED)
    assert not near(colour(final, whole, 43), RED, 60)
    for number in (70, 130):
        assert near(colour(final, whole, number), WHITE)
    for number in (185, 215):
        assert near(colour(final, whole, number), BLUE)
    if mode == "segments":
        assert 0 < record.counts["encoded_frames"] < 120


@BOTH
def test_no_decoration_lies_over_a_card(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    make_frame: Callable[..., tuple[Path, VideoFacts]],  # noqa: F811
    card: Callable[..., Path],
    mode: str,
) -> None:
    """The logo does: it marks the whole video."""
    frame = make_frame("color=0x00d800:s=320x180:r=30:d=1,drawbox=x=200:w=120:h=180:color=blue:t=fill")
    job = prepare(clips=("white.mp4",) * 2, title=card("title.png", "red"), frame=frame, logo="logo.png", music=None)
    assert render(job, mode=mode, quality=4).fallback is None
    final, right = job.folder / FINAL, (220, 0, 90, 180)
    assert near(colour(final, right, 10), RED)
    assert near(colour(final, right, 40), BLUE)
    assert near(colour(final, (22, 22, 8, 8), 10), GREEN, 24)


@BOTH
def test_what_is_clear_in_a_picture_is_black(
    prepare: Prepare, render: Render, colour: Colour, card: Callable[..., Path], mode: str
) -> None:
    """Whatever colour lies behind it in its file."""
    clear = "format=rgba,geq=r=255:g=255:b=255:a='if(lt(X,160),255,0)'"
    title = card("title.png", "white", "320x180", "-vf", clear, "-frames:v", "1")
    job = prepare(clips=("white.mp4",) * 2, title=title, music=None)
    assert render(job, mode=mode, quality=4).fallback is None
    final = job.folder / FINAL
    assert near(colour(final, (4, 4, 150, 170), 5), WHITE)
    assert near(colour(final, (170, 4, 140, 170), 5), (0, 0, 0))


@BOTH
def test_a_photograph_is_shown_as_it_was_held(
    prepare: Prepare, render: Render, colour: Colour, card: Callable[..., Path], mode: str
) -> None:
    """Its left half red and its right half blue as stored; EXIF says that it is to be turned clockwise (6)."""
    title = card("title.jpg", "red", "320x180", "-vf", "drawbox=x=160:w=160:h=180:color=blue:t=fill", "-frames:v", "1")
    stored = title.read_bytes()
    directory = struct.pack("<4sIHHHIHHI", b"II*\0", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + directory
    title.write_bytes(stored[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + stored[2:])
    job = prepare(clips=("white.mp4",) * 2, title=title, resolution="180x320", music=None)
    assert render(job, mode=mode, quality=4).fallback is None
    final = job.folder / FINAL
    assert near(colour(final, (10, 10, 160, 140), 5), RED, 16)
    assert near(colour(final, (10, 170, 160, 140), 5), BLUE, 16)


@pytest.mark.parametrize("frames", [15, 16, 17, 18])
def test_a_card_gives_none_of_its_frames_to_a_clip(
    prepare: Prepare, render: Render, colour: Colour, card: Callable[..., Path], frames: int
) -> None:
    """Clips end where they can be left without encoding; a card is shown for just so long."""
    job = prepare(
        clips=("long.mp4",), title=card("title.png", "black"), card_seconds=frames / 30, music=None, resolution="160x90"
    )
    record = render(job, mode="segments", quality=4)
    assert (record.fallback, record.frames) == (None, 76)
    assert near(colour(job.folder / FINAL, (0, 0, 160, 90), frames - 1), (0, 0, 0))
    assert not near(colour(job.folder / FINAL, (0, 0, 160, 90), frames), (0, 0, 0))


@BOTH
def test_cards_without_room_for_the_crossfade_are_shown_with_a_hard_cut(
    prepare: Prepare, render: Render, colour: Colour, card: Callable[..., Path], mode: str
) -> None:
    """As long as they are; the clip between them has the rest."""
    job = prepare(
        clips=("white.mp4",) * 4,
        voice="voice_seven.mp3",
        title=card("title.png", "red"),
        end=card("end.mp4", "blue"),
        transition="crossfade",
        transition_seconds=1.5,
        card_seconds=1.0,
        music=None,
    )
    record = render(job, mode=mode, quality=4)
    assert (record.fallback, record.frames) == (None, 216)
    final, whole = job.folder / FINAL, (0, 0, 320, 180)
    for number, wanted in ((0, RED), (29, RED), (30, WHITE), (161, WHITE), (162, BLUE), (215, BLUE)):
        assert near(colour(final, whole, number), wanted)


def test_the_end_card_is_reached_by_a_transition_wherever_the_last_clip_is_cut(
    prepare: Prepare, render: Render, card: Callable[..., Path], run_ffmpeg: Callable[..., bytes], tmp_path: Path
) -> None:
    """Here five frames behind the end of its first segment, of thirty seconds; hardly anything is encoded."""
    for name, seconds in (("a.mp4", 14.1), ("b.mp4", 50)):
        run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=160x90:r=10:d={seconds}", *PLAIN, tmp_path / name)
    job = prepare(
        clips=(tmp_path / "a.mp4", tmp_path / "b.mp4"),
        seconds_each=(14.1, 50.0),
        voice="voice_long.mp3",
        end=card("end.png", "blue"),
        card_seconds=4.0,
        transition="crossfade",
        transition_seconds=0.8,
        rate=10,
        resolution="160x90",
        music=None,
    )
    record = render(job, mode="segments", quality=4)
    assert (record.fallback, record.frames) == (None, 470)
    assert record.counts["encoded_frames"] < 60


def test_a_second_video_of_a_story_conforms_no_card(
    prepare: Prepare, again: Callable[[Job], Job], render: Render, card: Callable[..., Path]
) -> None:
    """Cards are kept like clips."""
    job = prepare(clips=("white.mp4",) * 2, title=card("title.png", "red"), end=card("end.mp4", "blue"))
    first, second = render(job, mode="segments"), render(again(job), mode="segments")
    assert (first.counts["segments_conformed"], second.counts["segments_conformed"]) == (3, 0)
