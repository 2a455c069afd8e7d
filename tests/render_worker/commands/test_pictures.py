"""Clips made to be turned, stretched, interlaced, dazzling or mistagged, and what is shown of them on a canvas.

Each clip is examined as at ingest, and conformed with the command of a segment, near losslessly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from pymediainfo import MediaInfo

from main_worker.checks.cage import Cage
from main_worker.checks.pictures import examine_clip
from render_worker.commands.conform import Look, Recipe
from shared.config import Config
from shared.domain.media import VideoFacts
from shared.domain.plan import Canvas, Profile, Treatment, exact_rate, treatment_of
from shared.ffmpeg import Ffmpeg
from shared.mediainfo import read_declared
from tests.shown import Shown, apart, psnr, shown

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4")
FINE = Profile("libx264", quality=1, preset="ultrafast", audio_kbps=128)
SMALL = Canvas(320, 180, exact_rate(30))

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = "color=red:s={0}x{1}:r=30:d=0.2,format=gbrp,drawbox=x=iw/2:c=lime:t=fill,drawbox=y=ih/2:c=blue:t=fill"
CORNERS += ",drawbox=x=iw/2:y=ih/2:c=white:t=fill"


@dataclass(frozen=True)
class Bench:
    """Makes clips, examines them and conforms them."""

    folder: Path
    ffmpeg: Ffmpeg
    run: Callable[..., bytes]

    def clip(self, source: str, *output: str, name: str = "clip.mp4") -> Path:
        path = self.folder / name
        self.run("-f", "lavfi", "-i", source, *(output or (*X264, "-pix_fmt", "yuv420p")), path)
        return path

    def facts(self, clip: Path) -> VideoFacts:
        return examine_clip(Cage(Config(), self.ffmpeg, lambda: False), clip, still=True)

    def conform(
        self, clip: Path, frames: int = 3, canvas: Canvas = SMALL, treatment: Treatment | None = None, start: int = 0
    ) -> Path:
        treatment = treatment or treatment_of(self.facts(clip), canvas.rate)
        recipe = Recipe("", start, frames, treatment, Look(canvas, FINE))
        segment = self.folder / f"segment-{start}.mp4"
        self.run(*recipe.command(clip, self.folder, segment, self.folder / "luma", threads=1))
        return segment

    def show(
        self, clip: Path, frames: int = 3, canvas: Canvas = SMALL, treatment: Treatment | None = None, start: int = 0
    ) -> Shown:
        segment = self.conform(clip, frames, canvas, treatment, start)
        pictures = shown(self.ffmpeg, segment, canvas.width, canvas.height)
        assert len(pictures.frames) == frames
        return pictures


@pytest.fixture
def bench(tmp_path: Path, ffmpeg: Ffmpeg, run_ffmpeg: Callable[..., bytes]) -> Bench:
    return Bench(tmp_path, ffmpeg, run_ffmpeg)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 2) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(found, wanted, strict=True))


# -- shape -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "corners"),
    [
        ([], (RED, GREEN, BLUE, WHITE)),
        (["-display_rotation", "90"], (GREEN, WHITE, RED, BLUE)),  # counted against the clock
        (["-display_rotation", "180"], (WHITE, BLUE, GREEN, RED)),
        (["-display_rotation", "270"], (BLUE, RED, WHITE, GREEN)),
        (["-display_hflip"], (GREEN, RED, WHITE, BLUE)),
        (["-display_vflip"], (BLUE, WHITE, RED, GREEN)),
        (["-display_rotation", "90", "-display_hflip"], (WHITE, GREEN, BLUE, RED)),
        (["-display_rotation", "270", "-display_hflip"], (RED, BLUE, GREEN, WHITE)),
    ],
)
def test_every_corner_is_where_the_display_matrix_puts_it(
    bench: Bench, matrix: list[str], corners: tuple[tuple[int, int, int], ...]
) -> None:
    """Turned by quarters, mirrored, and both: a clip of 4:3 stands upright in its shape between black bars."""
    plain = bench.clip(CORNERS.format(160, 120), name="plain.mp4")
    clip = bench.folder / "clip.mp4"
    bench.run(*matrix, "-i", plain, "-c", "copy", clip)
    pictures = bench.show(clip)
    area = pictures.bright()
    lying = not {"90", "270"} & set(matrix)
    assert near(area, (40, 0, 240, 180) if lying else (93, 0, 134, 180))
    found = pictures.quarters(area, margin=8)
    assert all(apart(one, other) < 6 for one, other in zip(found, corners, strict=True)), found


@pytest.mark.parametrize(
    ("size", "aspect", "drawn", "turned", "area", "box"),
    [
        ("160x180", "2/1", (45, 90), 0, (0, 0, 320, 180), 90),
        ("320x90", "1/2", (90, 45), 0, (0, 0, 320, 180), 90),
        ("160x180", "2/1", (45, 90), 90, (109, 0, 102, 180), 51),
        ("180x144", "16/15", (60, 64), 0, (40, 0, 240, 180), 80),
    ],
)
def test_a_square_of_other_pixels_is_shown_as_a_square(
    bench: Bench, size: str, aspect: str, drawn: tuple[int, int], turned: int, area: tuple[int, int, int, int], box: int
) -> None:
    """Pixels twice as wide, twice as high, turned, and those of PAL: the box stays square, the picture whole."""
    wide, high = drawn
    source = f"color=0x808080:s={size}:r=30:d=0.2,drawbox=x=20:y=20:w={wide}:h={high}:c=white:t=fill,setsar={aspect}"
    plain = bench.clip(source, name="plain.mp4")
    clip = bench.folder / "clip.mp4"
    bench.run("-display_rotation", str(turned), "-i", plain, "-c", "copy", clip)
    pictures = bench.show(clip)
    assert near(pictures.bright(), area)
    assert near(pictures.bright(190)[2:], (box, box))


@pytest.mark.parametrize(
    ("width", "height", "area"),
    [
        (161, 91, (0, 0, 320, 180)),
        (35, 181, (143, 0, 34, 180)),
        (641, 33, (0, 82, 320, 16)),
        (1, 1, (70, 0, 180, 180)),
        (321, 3, (0, 89, 320, 2)),
    ],
)
def test_a_clip_of_odd_size_is_whole_to_its_edges(
    bench: Bench, width: int, height: int, area: tuple[int, int, int, int]
) -> None:
    """Odd numbers of pixels, one pixel, a mere line: shown in their shape, of one colour up to the edges."""
    clip = bench.clip(f"color=0xc08040:s={width}x{height}:r=30:d=0.2,format=yuv444p", *X264, "-pix_fmt", "yuv444p")
    pictures = bench.show(clip)
    left, top, wide, high = pictures.bright(100)
    assert near((left, top, wide, high), area)
    edges = [
        (left, top, 1, high),
        (left + wide - 1, top, 1, high),
        (left, top, wide, 1),
        (left, top + high - 1, wide, 1),
    ]
    assert all(apart(pictures.mean(edge), (192, 128, 64)) < 8 for edge in edges), [pictures.mean(e) for e in edges]


# -- time --------------------------------------------------------------------------------------------

# A white bar of 40 pixels on grey that moves by four pixels with each of sixty pictures a second, as fields.
BAR = "color=0x404040:s=320x180:r=60:d=1[a];color=white:s=40x180:r=60:d=1[b];[a][b]overlay=x=20+4*n,format=yuv420p"


def interlaced(bench: Bench, order: str, codec: str) -> Path:
    weave = "interleave_top" if order == "tff" else "interleave_bottom"
    encoder = {"AVC": X264, "MPEG Video": ("-c:v", "mpeg2video", "-q:v", "1")}[codec]
    return bench.clip(f"{BAR},tinterlace={weave},setfield={order}", *encoder, "-flags", "+ilme+ildct")


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("rate", [60, 30])
@pytest.mark.parametrize("codec", ["AVC", "MPEG Video"])
def test_fields_become_frames_without_combs(bench: Bench, order: str, rate: int, codec: str) -> None:
    """Both orders: the bar goes on by equal steps, sixty times a second where the canvas has room, without a comb."""
    clip = interlaced(bench, order, codec)
    canvas = Canvas(320, 180, exact_rate(rate))
    count = rate // 2
    assert treatment_of(bench.facts(clip), canvas.rate).fields in (order, "auto")
    woven = bench.show(clip, count, canvas, Treatment())
    pictures = bench.show(clip, count, canvas)
    middle = range(3, count - 3)
    assert min(woven.combing(number) for number in middle) > 3 * max(pictures.combing(number) for number in middle)
    centres = [pictures.centre(number) for number in range(count)]
    edge_steps = [later - earlier for earlier, later in pairwise(centres)][3:-3]
    assert min(edge_steps) > 0.6 * max(edge_steps), edge_steps


def test_a_picture_of_a_varying_rate_is_shown_when_and_as_long_as_it_should(bench: Bench) -> None:
    """A second's quick pictures, two that are held for more than a second each, quick ones again."""
    kept = [*range(20), 150, *range(251, 300)]
    chosen = "select='lt(n,20)+eq(n,150)+gt(n,250)'"
    source = f"nullsrc=s=64x36:r=100:d=3,geq=lum='16+n_*0.7':cb=128:cr=128,{chosen}".replace("n_", "N")
    clip = bench.clip(source, *X264, "-fps_mode", "passthrough", "-bf", "0")
    assert bench.facts(clip).variable_frame_rate
    pictures = bench.show(clip, 89)
    for frame in range(89):
        earliest, latest = (max(n for n in kept if n / 100 <= max(0, (frame + d) / 30)) for d in (-0.6, 0.6))
        levels = [(n * 0.7) * 255 / 219 for n in (earliest, latest)]
        assert levels[0] - 4 <= pictures.mean(frame=frame)[1] <= levels[1] + 4, frame


@pytest.mark.parametrize(("rate", "frames"), [("24000/1001", 23), ("25", 25), ("60", 60)])
def test_a_clip_of_another_rate_moves_at_its_own_pace(bench: Bench, rate: str, frames: int) -> None:
    """Each frame shows the bar where it is within half a frame of its time, whatever the canvas's rate."""
    clip = bench.clip(BAR)
    canvas = Canvas(320, 180, Fraction(rate))
    pictures = bench.show(clip, frames, canvas)
    for number in range(frames):
        left = pictures.bright(160, number)[0]
        assert abs(left - (20 + 240 * number / canvas.rate)) <= 5 + 120 / canvas.rate, number


def test_a_stretch_shows_what_the_whole_clip_shows_there(bench: Bench) -> None:
    """Sparse pictures, held for up to eleven seconds, and a low canvas rate: each frame is that of the whole clip."""
    chosen = "select='lt(n,4)+eq(n,30)+between(n,140,150)+gt(n,170)'"  # at ten a second: held from 3 to 14 s
    source = f"testsrc2=s=160x90:r=10:d=19,{chosen}"
    clip = bench.clip(source, *X264, "-pix_fmt", "yuv420p", "-fps_mode", "passthrough")
    canvas = Canvas(160, 90, exact_rate(5))
    whole = bench.show(clip, 90, canvas)
    for start in (14, 60, 68, 71):
        part = bench.show(clip, 10, canvas, start=start)
        likeness = [psnr(part.frames[n], whole.frames[start + n]) for n in range(10)]
        assert min(likeness) > 35, (start, likeness)


@pytest.mark.parametrize("rate", ["24000/1001", "60"])
def test_a_stretch_of_a_clip_with_distant_keyframes_begins_at_its_frame(bench: Bench, rate: str) -> None:
    """More than ten seconds in, with keyframes eight seconds apart and pictures that depend on later ones."""
    output = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "10", "-g", "200", "-bf", "3", "-pix_fmt", "yuv420p")
    clip = bench.clip("testsrc2=s=160x90:r=25:d=13", *output)
    canvas = Canvas(160, 90, Fraction(rate))
    start = round(Fraction(rate) * 12)
    whole = bench.show(clip, start + 12, canvas)
    part = bench.show(clip, 12, canvas, start=start)
    likeness = [psnr(part.frames[n], whole.frames[start + n]) for n in range(12)]
    assert min(likeness) > 35, likeness


@pytest.mark.parametrize("start", [30, 330])
def test_a_stretch_of_a_clip_whose_sound_begins_earlier_begins_at_its_frame(bench: Bench, start: int) -> None:
    """A picture that begins 0.4 s after the sound: what is cut in two is neither repeated nor lost at the cut."""
    plain = bench.clip("testsrc2=s=160x90:r=30:d=12", name="plain.mp4")
    clip = bench.folder / "clip.mp4"
    sound = ("-f", "lavfi", "-i", "sine=d=12")
    bench.run("-itsoffset", "0.4", "-i", plain, *sound, "-map", "0", "-map", "1", "-c:v", "copy", clip)
    canvas = Canvas(160, 90, exact_rate(30))
    treatment = Treatment(late_seconds=0.4)
    whole = bench.show(clip, start + 6, canvas, treatment)
    part = bench.show(clip, 6, canvas, treatment, start=start)
    likeness = [psnr(part.frames[n], whole.frames[start + n]) for n in range(6)]
    assert min(likeness) > 35, likeness


def test_a_clip_whose_size_changes_midway_is_shown_whole(bench: Bench) -> None:
    """As some recorders write it; both halves fill the height of the canvas, and no frame is lost between."""
    for name, source in (("wide", "color=red:s=320x180"), ("high", "color=lime:s=160x120")):
        bench.clip(f"{source}:r=30:d=1", *X264, "-pix_fmt", "yuv420p", "-f", "h264", name=f"{name}.264")
    both = bench.folder / "both.264"
    both.write_bytes(b"".join((bench.folder / f"{name}.264").read_bytes() for name in ("wide", "high")))
    clip = bench.folder / "clip.mp4"
    bench.run("-r", "30", "-f", "h264", "-i", both, "-c", "copy", "-tag:v", "avc3", clip)
    pictures = bench.show(clip, 60)
    middle = [pictures.mean((150, 10, 20, 160), frame) for frame in (0, 29, 31, 59)]
    assert all(apart(one, other) < 8 for one, other in zip(middle, (RED, RED, GREEN, GREEN), strict=True)), middle


def test_what_a_clip_says_of_its_own_screen_is_not_said_of_the_video(bench: Bench) -> None:
    """Players would dim an ordinary picture that claims the lights of a film in high dynamic range."""
    hdr = ("-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params")
    screen = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    tags = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    clip = bench.clip("testsrc2=s=320x180:r=30:d=0.2", *hdr, f"{screen}:{tags}")
    assert bench.facts(clip).hdr == "PQ"
    found = MediaInfo.parse(bench.conform(clip)).video_tracks[0].to_data()
    told = [name for name in found if "mastering" in name or "maximum_content" in name or "hdr" in name]
    assert told == []
    assert "mastering_display_luminance" in MediaInfo.parse(clip).video_tracks[0].to_data()


# -- colour ------------------------------------------------------------------------------------------

TAGS = {"bt709": ("bt709",) * 3, "bt601": ("smpte170m",) * 3}


def painted(size: str, matrix: str, pixels: str = "yuv420p", spread: str = "tv") -> str:
    """Four corners in a matrix and range that nothing tells."""
    forget = "setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown:range=unknown"
    width, height = size.split("x")
    code = f"scale=out_color_matrix={matrix}:out_range={spread},format={pixels}"
    return f"{CORNERS.format(width, height)},{code},{forget}"


def check_corners(pictures: Shown, tolerance: float = 8) -> None:
    found = pictures.quarters(pictures.bright(), margin=8)
    wanted = (RED, GREEN, BLUE, WHITE)
    assert all(apart(one, other) < tolerance for one, other in zip(found, wanted, strict=True)), found


def told(*, primaries: str, transfer: str, matrix: str, spread: str = "tv") -> tuple[str, ...]:
    return ("-color_primaries", primaries, "-color_trc", transfer, "-colorspace", matrix, "-color_range", spread)


@pytest.mark.parametrize(
    ("size", "matrix"), [("320x180", "bt601"), ("720x576", "bt601"), ("1280x536", "bt709"), ("608x1080", "bt709")]
)
def test_colours_nobody_told_are_taken_as_cameras_mean_them(bench: Bench, size: str, matrix: str) -> None:
    """Without tags, BT.601 below 720 lines and 1280 columns, else BT.709: red stays red, green stays green."""
    clip = bench.clip(painted(size, matrix), *X264)
    facts = bench.facts(clip)
    assert (facts.matrix, facts.primaries, facts.transfer) == (None, None, None)
    check_corners(bench.show(clip))


@pytest.mark.parametrize(("name", "codec"), [("jpeg", "mjpeg"), ("png", "png")])
def test_a_codec_that_knows_its_colours_is_believed(bench: Bench, name: str, codec: str) -> None:
    """Large pictures of Motion JPEG are BT.601 in full range by definition, those of PNG have no matrix at all."""
    pixels = {"mjpeg": "yuvj420p", "png": "rgb24"}[codec]
    source = painted("1280x720", "bt601", pixels, "pc") if codec == "mjpeg" else CORNERS.format(1280, 720)
    clip = bench.clip(source, "-c:v", codec, "-q:v", "1", "-pix_fmt", pixels, name=f"{name}.mov")
    check_corners(bench.show(clip))


@pytest.mark.parametrize(
    ("pixels", "spread", "matrix"),
    [
        ("yuv420p", "pc", "bt709"),
        ("yuv420p", "pc", "smpte170m"),
        ("yuv422p", "tv", "smpte170m"),
        ("yuv422p10le", "tv", "bt709"),
        ("yuv444p", "pc", "bt709"),
        ("yuv420p10le", "tv", "bt2020nc"),
        ("yuv420p10le", "pc", "bt709"),
    ],
)
def test_other_ways_to_code_a_colour_do_not_show(bench: Bench, pixels: str, spread: str, matrix: str) -> None:
    """Any sampling, depth, range and matrix that a clip tells becomes the same corners."""
    source = painted("320x180", {"smpte170m": "bt601", "bt2020nc": "bt2020"}.get(matrix, matrix), pixels, spread)
    tags = told(primaries="bt709", transfer="bt709", matrix=matrix, spread=spread)
    setparams = f"{source},setparams=range={spread}:colorspace={matrix}:color_primaries=bt709:color_trc=bt709"
    clip = bench.clip(setparams, *X264, "-pix_fmt", pixels, *tags)
    assert bench.facts(clip).full_range == (spread == "pc")
    check_corners(bench.show(clip))


def dazzling(bench: Bench, transfer: str, colour: str) -> Path:
    """One colour as an HDR camera would record it: its white at the 203 cd/m² of BT.2408."""
    paint = "setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709"
    linear = "zscale=t=linear,format=gbrpf32le,zscale=p=bt2020"
    code = f"zscale=t={transfer}:m=bt2020nc:r=limited:npl=203,format=yuv420p10le"
    source = f"color={colour}:s=320x180:r=30:d=0.2,format=gbrp,{paint},{linear},{code}"
    tags = told(primaries="bt2020", transfer=transfer, matrix="bt2020nc")
    return bench.clip(source, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", *tags)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("colour", ["0x808080", "0xb02020", "0x2020b0", "0xffffff"])
def test_a_high_dynamic_range_comes_out_near_the_colour_on_an_ordinary_screen(
    bench: Bench, transfer: str, colour: str
) -> None:
    """Greys stay grey, red stays red, and neither is black or washed out; the result says that it is BT.709."""
    clip = dazzling(bench, transfer, colour)
    assert bench.facts(clip).hdr == {"smpte2084": "PQ", "arib-std-b67": "HLG"}[transfer]
    found = bench.show(clip).mean()
    red, green, blue = bytes.fromhex(colour[2:])
    # Bright light is held back to leave room for brighter light: white comes out at three quarters.
    assert apart(found, (red, green, blue)) <= (70 if colour == "0xffffff" else 40), found
    assert max(found) - min(found) >= 0.7 * (max(red, green, blue) - min(red, green, blue))
    if red == green == blue:
        assert max(found) - min(found) <= 2, found


def test_a_segment_says_what_its_colours_are(bench: Bench) -> None:
    """BT.709 in limited range, 4:2:0 and eight bits, whatever the clip said."""
    clip = dazzling(bench, "smpte2084", "0x808080")
    declared = read_declared(bench.conform(clip), lambda: False)
    assert declared is not None
    (video,) = declared.video
    keys = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "color_range", "chroma_subsampling")
    assert [video.get(key) for key in (*keys, "bit_depth")] == ["BT.709", "BT.709", "BT.709", "Limited", "4:2:0", 8]
