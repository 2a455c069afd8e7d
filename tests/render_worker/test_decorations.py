"""Decorative frames over clips, on canvases of every shape, in both ways of rendering; examined as at ingest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.realmedia import REALMEDIA
from main_worker.checks.cage import Cage
from main_worker.checks.frames import examine_frame
from render_worker.commands.conform import Look, Recipe
from render_worker.job import Job
from render_worker.planning import decoration_of
from shared.config import Config
from shared.domain.layout import FINAL
from shared.domain.media import VideoFacts
from shared.domain.plan import Canvas, Decoration, PlanError, Profile, Treatment, exact_rate, treatment_of
from shared.ffmpeg import Ffmpeg
from shared.settings import Render as Settings
from tests.render_worker.test_layers import BLUE, BOTH, RED, SHAPES, WHITE, Box, Colour, Prepare, Render, near
from tests.shown import Shown, apart, psnr, shown

GREY = (128, 128, 128)
# A red square that goes to the right by a fortieth of the width with each frame, before a wall; it needs a second.
MOVING = "color={0}:s=160x120:r=30:d=1[a];color=red:s=20x40:r=30:d=1[b];[a][b]overlay=x=n*4:y=40"
LOSSLESS = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p")
PRORES = ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le")
Frame = tuple[Path, VideoFacts]


@pytest.fixture
def make_frame(tmp_path: Path, ffmpeg: Ffmpeg, run_ffmpeg: Callable[..., bytes]) -> Callable[..., Frame]:
    """Make a decorative frame, or take a file, and examine it."""

    def make(source: str | Path, *output: str, key: str = "auto") -> Frame:
        path = source if isinstance(source, Path) else tmp_path / "frame.mov"
        if isinstance(source, str):
            run_ffmpeg("-f", "lavfi", "-i", source, *(output or LOSSLESS), path)
        config = Config(render=Settings(frame_key=key))
        return path, examine_frame(Cage(config, ffmpeg, lambda: False), path, tmp_path)

    return make


def square(frame: int, size: tuple[int, int]) -> Box:
    """Well within the red square of MOVING, where that is stretched over a canvas."""
    width, height = size
    return round((frame % 30 * 4 + 5) / 160 * width), round(45 / 120 * height), width // 16, height // 5


@BOTH
@SHAPES
def test_what_is_green_is_seen_through(
    prepare: Prepare, render: Render, colour: Colour, make_frame: Callable[..., Frame], mode: str, size: tuple[int, int]
) -> None:
    """A moving mark over a white clip; it begins anew each second, and each time a clip begins."""
    frame = make_frame(MOVING.format("0x00d800"))
    assert (frame[1].alpha, frame[1].key) == (False, "#00d700")  # as it comes out of its file
    job = prepare(
        clips=("white.mp4",) * 3, seconds_each=1.0, frame=frame, resolution=f"{size[0]}x{size[1]}", music=None
    )
    assert render(job, mode=mode, quality=1, fit="crop").fallback is None
    final = job.folder / FINAL
    for number, phase in ((5, 5), (35, 5), (52, 22), (65, 5)):  # the clips begin with frames 30 and 60
        assert near(colour(final, square(phase, size), number), RED, 16)
        assert near(colour(final, square(phase + 8, size), number), WHITE, 6)
        assert near(colour(final, (0, 0, size[0], size[1] // 4), number), WHITE, 4)


@BOTH
@SHAPES
@pytest.mark.parametrize("still", [False, True], ids=["film", "still"])
def test_an_alpha_channel_is_seen_through(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    make_frame: Callable[..., Frame],
    mode: str,
    size: tuple[int, int],
    still: bool,
) -> None:
    """Blue on its left, nothing in the middle, half of a green on its right; also of a single picture."""
    source = "color=blue:s=160x120:r=30:d=0.5,format=rgba,geq=r=0:g='if(gt(X,120),255,0)':b='if(lt(X,40),255,0)'"
    source += ":a='if(lt(X,40),255,if(gt(X,120),128,0))'"
    frame = make_frame(source, *PRORES, *(("-frames:v", "1") if still else ()))
    assert (frame[1].alpha, frame[1].key, frame[1].frames) == (True, None, 1 if still else 15)
    job = prepare(clips=("white.mp4",), frame=frame, voice="voice_short.mp3", resolution=f"{size[0]}x{size[1]}")
    assert render(job, mode=mode, quality=1, fit="crop").fallback is None
    quarter, height = size[0] // 4, size[1]
    for number in (0, 20):
        final = job.folder / FINAL
        assert near(colour(final, (4, 4, quarter - 8, height - 8), number), BLUE)
        assert near(colour(final, (quarter + 4, 4, 2 * quarter - 8, height - 8), number), WHITE, 4)
        assert near(colour(final, (3 * quarter + 6, 4, quarter - 10, height - 8), number), (127, 255, 127))


@BOTH
@pytest.mark.parametrize(
    ("fit", "whole", "clear"),
    [("stretch", [(0, 0, 320, 180)], []), ("pad", [(80, 0, 160, 180)], [(0, 0, 76, 180), (244, 0, 76, 180)])],
)
def test_a_frame_of_another_shape_is_stretched_or_lies_in_the_middle(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    make_frame: Callable[..., Frame],
    mode: str,
    fit: str,
    whole: list[Box],
    clear: list[Box],
) -> None:
    """Beside what is not stretched, the clip is seen."""
    source = "color=gray:s=160x180:r=30:d=1,format=rgba,geq=r=128:g=128:b=128:a='if(lt(Y,2),0,255)'"
    job = prepare(clips=("white.mp4",), frame=make_frame(source, *PRORES), voice="voice_short.mp3", music=None)
    assert render(job, mode=mode, quality=1, frame_fit=fit).fallback is None
    final = job.folder / FINAL
    assert all(near(colour(final, (x + 4, y + 8, w - 8, h - 12)), GREY, 6) for x, y, w, h in whole)
    assert all(near(colour(final, box), WHITE, 4) for box in clear)


@BOTH
def test_a_frame_that_covers_the_canvas_loses_its_edges(
    prepare: Prepare, render: Render, colour: Colour, make_frame: Callable[..., Frame], mode: str
) -> None:
    """Red edges of a square one are not seen in a wide video."""
    source = "color=0x00d800:s=180x180:r=30:d=1,drawbox=h=36:color=red:t=fill,drawbox=w=60:h=180:color=blue:t=fill"
    job = prepare(clips=("white.mp4",), frame=make_frame(source), voice="voice_short.mp3", music=None)
    assert render(job, mode=mode, quality=1, frame_fit="crop").fallback is None
    assert near(colour(job.folder / FINAL, (120, 0, 200, 180)), WHITE, 4)
    assert near(colour(job.folder / FINAL, (4, 4, 96, 172)), BLUE)


@BOTH
@pytest.mark.parametrize("key", ["#000000", "#0000ff", "#ff00ff"])
def test_the_configuration_may_name_the_colour(
    prepare: Prepare, render: Render, colour: Colour, make_frame: Callable[..., Frame], mode: str, key: str
) -> None:
    """Also one without a hue; what has another colour, or none, stays."""
    wall = f"color={key.replace('#', '0x')}:s=160x120:r=30:d=1,drawbox=w=80:h=60:color=gray:t=fill"
    frame = make_frame(f"{wall},drawbox=x=80:y=60:w=80:h=60:color=red:t=fill", key=key)
    job = prepare(clips=("white.mp4",), frame=frame, voice="voice_short.mp3", music=None)
    assert render(job, mode=mode, quality=1, frame_key=key).fallback is None
    final = job.folder / FINAL
    assert near(colour(final, (166, 6, 148, 78)), WHITE, 6)
    assert near(colour(final, (6, 6, 148, 78)), GREY, 6)
    assert near(colour(final, (166, 96, 148, 78)), RED, 12)


@BOTH
def test_a_frame_with_an_alpha_channel_is_not_keyed(
    prepare: Prepare, render: Render, colour: Colour, make_frame: Callable[..., Frame], mode: str
) -> None:
    """A colour that the configuration names for others leaves it as it is, also where it is clear."""
    source = "color=0xff00ff:s=160x120:r=30:d=0.5,format=rgba,geq=r=255:g=0:b=255:a='if(lt(X,80),255,0)'"
    frame = make_frame(source, *PRORES, key="#ff00ff")
    assert frame[1].alpha
    job = prepare(clips=("white.mp4",), frame=frame, voice="voice_short.mp3", music=None)
    assert render(job, mode=mode, quality=1, frame_key="#ff00ff").fallback is None
    final = job.folder / FINAL
    assert near(colour(final, (6, 6, 140, 168)), (255, 0, 255))
    assert near(colour(final, (170, 6, 140, 168)), WHITE, 4)


@BOTH
def test_a_white_frame_on_white_is_not_to_be_seen(
    prepare: Prepare, render: Render, make_frame: Callable[..., Frame], ffmpeg: Ffmpeg, mode: str
) -> None:
    """What is clear is black in its file, and must not darken its edges when it is scaled."""
    stripes = ":".join(f"{channel}='255*lt(mod(X,16),8)'" for channel in "rgba")
    frame = make_frame(f"color=black:s=400x225:r=30:d=0.5,format=rgba,geq={stripes}", "-c:v", "qtrle")
    job = prepare(clips=("white.mp4",), frame=frame, voice="voice_short.mp3", music=None)
    assert render(job, mode=mode, quality=1).fallback is None
    assert min(shown(ffmpeg, job.folder / FINAL, 320, 180).frames[5]) > 240


@pytest.mark.parametrize(("transfer", "alpha"), [("smpte2084", True), ("arib-std-b67", True), ("arib-std-b67", False)])
def test_a_frame_of_a_high_dynamic_range_looks_as_a_clip_of_it_does(
    make_frame: Callable[..., Frame],
    media: Callable[[str], Path],
    run_ffmpeg: Callable[..., bytes],
    ffmpeg: Ffmpeg,
    tmp_path: Path,
    transfer: str,
    alpha: bool,
) -> None:
    """A phone films so: a red coat before a green wall, or before nothing."""
    paint = "setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709"
    code = f"{paint},zscale=t=linear,format=gbrapf32le,zscale=p=bt2020,zscale=t={transfer}:m=bt2020nc:r=limited:npl=203"
    wall = "color=0x00d800:s=320x180:r=30:d=0.5,format=gbrap,drawbox=w=160:h=180:color=0xb02020:t=fill,format=gbrap"
    told = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    if alpha:
        clear = f"{wall},geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*lt(X,160)'"
        path, facts = make_frame(f"{clear},{code},format=yuva444p10le", *PRORES, *told)
    else:
        x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
        path, facts = make_frame(f"{wall},{code},format=yuv420p10le", *x265, *told)
    assert (facts.hdr, facts.alpha) == ({"smpte2084": "PQ", "arib-std-b67": "HLG"}[transfer], alpha)
    canvas, profile = Canvas(320, 180, exact_rate(30)), Profile("libx264", 1, "ultrafast", 192)
    plain = Look(canvas, profile)
    decorated = Look(canvas, profile, (), (decoration_of(path.name, facts, Settings(), canvas.rate), "a"))
    films: list[Shown] = []
    for clip, treatment, look in (
        (path, treatment_of(facts, canvas.rate), plain),
        (media("white.mp4"), Treatment(), decorated),
    ):
        film = tmp_path / f"{len(films)}.mp4"
        run_ffmpeg(*Recipe("clip", 0, 10, treatment, look).command(clip, tmp_path, film, tmp_path / "luma", threads=1))
        films.append(shown(ffmpeg, film, 320, 180))
    coat, beside = (10, 10, 140, 160), (170, 10, 140, 160)
    as_clip, as_frame, behind = films[0].mean(coat, 5), films[1].mean(coat, 5), films[1].mean(beside, 5)
    assert apart(as_clip, as_frame) < 8, (as_clip, as_frame)
    assert apart(behind, WHITE) < 4, behind


def test_the_colour_of_a_wall_is_measured_as_it_is_shown(make_frame: Callable[..., Frame]) -> None:
    """Of a large picture that does not say how its colours are coded, which means BT.709."""
    unsaid = "setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown"
    wall = f"color=0x00b140:s=1280x720:r=10:d=1,format=gbrp,scale=out_color_matrix=bt709,format=yuv420p,{unsaid}"
    _, facts = make_frame(wall)
    assert facts.matrix is None
    found = tuple(bytes.fromhex((facts.key or "")[1:]))
    assert len(found) == 3
    assert near((found[0], found[1], found[2]), (0x00, 0xB1, 0x40), 4)


@pytest.mark.parametrize(("own_rate", "lasts"), [(10, 7), (20, 7.05), (25, 1.08)])
def test_a_long_clip_shows_the_right_phase_in_each_segment(
    own_rate: int,
    lasts: float,
    prepare: Prepare,
    render: Render,
    again: Callable[[Job], Job],
    make_frame: Callable[..., Frame],
    run_ffmpeg: Callable[..., bytes],
    tmp_path: Path,
    ffmpeg: Ffmpeg,
) -> None:
    """Its second one begins within a turn of the decoration; the picture is that of the video in one command.

    Also where the decoration does not last whole frames of the video.
    """
    clip = tmp_path / "slow.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "gradients=s=160x120:r=10:d=50:speed=0.01:seed=1", *LOSSLESS, clip)
    film = f"s=160x120:r={own_rate}:d={lasts}"
    turns = f"color=0x00d800:{film}[a];color=red:{film},crop=20:40[b];[a][b]overlay=x=t*20:y=40"
    films = []
    job = prepare(
        clips=(clip,),
        seconds_each=50.0,
        voice="voice_long.mp3",
        frame=make_frame(turns),
        resolution="160x120",
        rate=10,
        music=None,
    )
    for mode in ("direct", "segments"):
        job = again(job)
        assert render(job, mode=mode, quality=1).fallback is None
        films.append(shown(ffmpeg, job.folder / FINAL, 160, 120))
    numbers = (0, 69, 70, 299, 300, 301, 345, 355, 420, 469)
    assert all(psnr(films[0].frames[number], films[1].frames[number]) > 32 for number in numbers)
    assert len({films[0].frames[number] for number in numbers}) == len(numbers)


def test_a_frame_that_would_hide_the_video_is_a_problem_of_its_task() -> None:
    """The configuration named a colour when the task was made, and does not any more."""
    facts = VideoFacts(64, 48, 64, 48, 0, 1.0, 10.0, 2.0, 20, "AVC")
    assert decoration_of("frame.mp4", facts, Settings(frame_key="#ff00ff"), exact_rate(30)).key == "#ff00ff"
    with pytest.raises(PlanError, match=r"frame\.mp4: .* would hide the video, since render\.frame_key"):
        decoration_of("frame.mp4", facts, Settings(), exact_rate(30))


def test_the_key_of_a_segment_knows_the_decoration() -> None:
    """Its content and all that is done with it; what lies where does not matter."""
    canvas, profile = Canvas(320, 180, exact_rate(30)), Profile("libx264", 21, "medium", 192)
    plain = Decoration("frame.mp4", 30, "#00d800")

    def key(decoration: Decoration | None, sha256: str = "a") -> str:
        over = (decoration, sha256) if decoration else None
        return Recipe("clip", 0, 60, Treatment(), Look(canvas, profile, (), over)).key("9")

    others = [
        key(None),
        key(plain, "b"),
        key(replace(plain, key="#00d900")),
        key(replace(plain, key=None)),
        key(replace(plain, frames=31)),
        key(replace(plain, fit="pad")),
        key(replace(plain, treatment=Treatment(matrix="bt709"))),
        *(key(replace(plain, frames=frames)) for frames in (100, 250, 351, 500, 999, 1000)),
        key(replace(plain, frames=250, treatment=Treatment(late_seconds=0.2))),
    ]
    assert len({key(plain), *others}) == 1 + len(others)
    assert key(replace(plain, source="other.mp4")) == key(plain)


@pytest.mark.skipif(not REALMEDIA.is_dir(), reason=f"no real media at {REALMEDIA} (set REELMILL_REALMEDIA)")
@BOTH
@SHAPES
def test_a_real_speaker_before_a_green_wall_stands_before_the_clip(
    prepare: Prepare,
    render: Render,
    colour: Colour,
    make_frame: Callable[..., Frame],
    ffmpeg: Ffmpeg,
    mode: str,
    size: tuple[int, int],
) -> None:
    """The wall is gone, dark clothes and skin are there, and nothing of him is green."""
    frame = make_frame(REALMEDIA / "video/VideoContext__introductions-rant.mp4")
    red, green, blue = bytes.fromhex((frame[1].key or "")[1:])
    assert green > 1.4 * red > 100
    assert green > 1.3 * blue
    job = prepare(clips=("red.mp4",), frame=frame, voice="voice_short.mp3", resolution=f"{size[0]}x{size[1]}")
    assert render(job, mode=mode, quality=1, fit="crop").fallback is None
    picture = shown(ffmpeg, job.folder / FINAL, *size).frames[20]
    pixels = list(zip(picture[::3], picture[1::3], picture[2::3], strict=True))
    wall = sum(near(pixel, RED, 24) for pixel in pixels) / len(pixels)
    dark = sum(max(pixel) < 90 for pixel in pixels) / len(pixels)
    greenish = sum(g > 1.2 * max(r, b) and g > 60 for r, g, b in pixels) / len(pixels)
    assert wall > 0.7
    assert dark > 0.015
    assert greenish < 0.01
