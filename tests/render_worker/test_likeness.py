"""What a film shows is compared with what its clips show: what is found, and what is not taken for a fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_worker.commands.conform import Look, Recipe, decode_exactly
from render_worker.commands.luma import CELLS
from render_worker.likeness import likeness
from shared.domain.plan import Canvas, Layer, Profile, Treatment
from shared.records.render import Check

RunFfmpeg = Callable[..., bytes]
GRID = CELLS * CELLS
BRIGHT, BLACK = bytes([180] * GRID), bytes(GRID)
PILLARS = bytes(180 if 4 <= cell % CELLS < 8 else 0 for cell in range(GRID))
LOGO = bytes(255 if cell < 3 else 0 for cell in range(GRID))


def failed(clip: list[bytes], film: list[bytes], frames: int | None = None, *, is_changed: bool = False) -> set[str]:
    return {check.name for check in told(clip, film, frames, is_changed=is_changed) if not check.passed}


def told(
    clip: list[bytes], film: list[bytes], frames: int | None = None, *, is_changed: bool = False
) -> tuple[Check, ...]:
    count = len(clip) if frames is None else frames
    return likeness(b"".join(clip), b"".join(film), count, is_changed=is_changed)


BLACKED_OUT, APART, COUNTED = (
    "black where the clips are not",
    "difference of brightness to the clips",
    "frames compared with the clips",
)


def test_black_stretches_are_told_by_their_frames() -> None:
    """First and last, of each stretch; a long list is cut."""
    film = [BRIGHT, BLACK, BLACK, BRIGHT, BLACK, BRIGHT]
    assert told([BRIGHT] * 6, film)[1].measured == ["1-2", "4-4"]
    assert len(told([BRIGHT] * 100, [BRIGHT, BLACK] * 50)[1].measured) == 10


def test_bars_hide_no_black_picture() -> None:
    """Most of the canvas is black all the time, and a third of it should not be."""
    assert BLACKED_OUT in failed([PILLARS], [BLACK])
    assert failed([PILLARS], [PILLARS]) == set()


def test_a_logo_hides_no_black_picture() -> None:
    """It lies over both, and is bright in both."""
    under = bytes(map(max, PILLARS, LOGO))
    assert BLACKED_OUT in failed([under], [LOGO])
    assert failed([LOGO], [LOGO]) == set()


def test_what_is_black_or_dim_in_a_clip_may_be_black() -> None:
    """Fades pass through black, night is dark, and tone mapping makes dark places darker."""
    dim = bytes([40] * GRID)
    assert failed([BLACK, dim, BRIGHT], [BLACK, BLACK, BRIGHT]) == set()


def test_other_pictures_are_found() -> None:
    """Grey, white or green pictures, or a film of another clip, are no longer as bright where the clip is."""
    halves = bytes(230 if cell % CELLS < CELLS // 2 else 20 for cell in range(GRID))
    for other in (bytes([126] * GRID), bytes([255] * GRID), halves[::-1]):
        assert failed([halves], [other]) == {APART}


def test_tone_mapping_may_change_more() -> None:
    """A high dynamic range has other values for the same light."""
    brighter = bytes([250] * GRID)
    assert failed([BRIGHT], [brighter]) == {APART}
    assert failed([BRIGHT], [brighter], is_changed=True) == set()


def test_frames_that_cannot_be_compared_are_found() -> None:
    """One too few on either side, or half of one."""
    assert COUNTED in failed([BRIGHT] * 2, [BRIGHT])
    assert COUNTED in failed([BRIGHT], [BRIGHT] * 2)
    assert COUNTED in failed([BRIGHT], [BRIGHT[:-1]])
    assert COUNTED in failed([], [], 1)


@given(st.binary(min_size=GRID, max_size=GRID), st.integers(0, 43))
def test_what_is_nearly_alike_is_never_black(clip: bytes, loss: int) -> None:
    """A film whose cells are all within 43 of the clip's passes, whatever the picture."""
    assert failed([clip], [bytes(max(0, cell - loss) for cell in clip)]) == set()


def test_a_long_video_is_compared_quickly() -> None:
    """Ten minutes at 30 frames a second: small beside what encoding them takes."""
    began = time.process_time()
    likeness(BRIGHT * 18_000, PILLARS * 18_000, 18_000, is_changed=True)
    assert time.process_time() - began < 10


# -- real pictures -----------------------------------------------------------------------------------


@pytest.fixture
def both(tmp_path: Path, run_ffmpeg: RunFfmpeg) -> Callable[..., tuple[bytes, bytes]]:
    """The grids of a clip (a source of ffmpeg's, 2 s) and of its segment."""

    def make(
        source: str,
        canvas: tuple[int, int] = (320, 180),
        layers: tuple[str, ...] = (),
        treatment: Treatment = PLAIN,
        **options: str,
    ) -> tuple[bytes, bytes]:
        clip, film = tmp_path / "clip.mp4", tmp_path / "segment.mp4"
        words = [word for key, value in options.items() for word in (f"-{key}", value)]
        name, comma, filters = source.partition(",")
        run_ffmpeg("-f", "lavfi", "-i", f"{name}:rate=30:duration=1{comma}{filters}", "-c:v", "libx264", *words, clip)
        over = tuple((Layer(name), "") for name in layers)
        look = Look(Canvas(*canvas, Fraction(30)), Profile("libx264", 30, "ultrafast", 64), over)
        recipe = Recipe("", 0, 30, treatment, look)
        run_ffmpeg(*recipe.command(clip, tmp_path, film, tmp_path / "clip.luma", threads=1))
        run_ffmpeg(*decode_exactly(film, tmp_path / "film.luma", threads=1))
        return (tmp_path / "clip.luma").read_bytes(), (tmp_path / "film.luma").read_bytes()

    return make


PLAIN = Treatment()
STRIPES = "color=white:size=640x360,geq=lum='255*mod(X,2)':cb=128:cr=128"


@pytest.mark.parametrize("canvas", [(320, 180), (180, 320), (1280, 720), (98, 640)])
@pytest.mark.parametrize("source", ["testsrc2=size=320x180", "testsrc2=size=90x320", "color=white:size=64x64"])
def test_a_segment_is_like_its_clip(
    both: Callable[..., tuple[bytes, bytes]], source: str, canvas: tuple[int, int]
) -> None:
    """Larger, smaller, between bars at its sides, above and below: each cell is where it was."""
    clip, film = both(source, canvas, pix_fmt="yuv420p")
    assert len(clip) == len(film) == 30 * GRID
    assert all(check.passed for check in likeness(clip, film, 30, is_changed=False))
    assert sum(map(abs, (one - other for one, other in zip(clip, film, strict=True)))) / len(clip) < 6


def test_stripes_of_a_pixel_are_grey(both: Callable[..., tuple[bytes, bytes]]) -> None:
    """Only some pixels are looked at; they do not all fall on the white ones."""
    clip, film = both(STRIPES, (160, 90), pix_fmt="yuv420p")
    assert all(check.passed for check in likeness(clip, film, 30, is_changed=False))
    assert 40 < min(clip) <= max(clip) < 220


@pytest.mark.parametrize(
    "options", [{"pix_fmt": "yuv420p"}, {"pix_fmt": "yuvj420p"}, {"pix_fmt": "yuv422p10le"}, {"pix_fmt": "yuv444p"}]
)
def test_black_and_white_are_the_same_of_any_range_and_depth(
    both: Callable[..., tuple[bytes, bytes]], options: dict[str, str]
) -> None:
    """0 and 255 stand for both."""
    assert set(both("color=black:size=320x180", **options)[0]) <= {0, 1}
    assert min(both("color=white:size=320x180", **options)[0]) >= 253


@pytest.mark.parametrize(
    ("tone_map", "transfer", "least"), [("PQ", "smpte2084", 30), ("HLG", "arib-std-b67", 45)], ids=["PQ", "HLG"]
)
def test_tone_mapping_makes_nothing_black(
    both: Callable[..., tuple[bytes, bytes]], tone_map: Literal["PQ", "HLG"], transfer: str, least: int
) -> None:
    """The darkest grey that is looked for is still far from black."""
    told = f"setparams=range=tv:color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc"
    grey = f"color=black:size=320x180,format=yuv420p10le,geq=lum=231:cb=512:cr=512,{told}"
    clip, film = both(grey, treatment=Treatment(tone_map=tone_map), pix_fmt="yuv420p10le")
    assert 47 <= min(clip) <= max(clip) <= 49
    assert min(film) >= least


def test_a_logo_is_where_it_is(
    both: Callable[..., tuple[bytes, bytes]], tmp_path: Path, media: Callable[[str], Path]
) -> None:
    """Half of it is half transparent; the cells under it are as bright in both."""
    (tmp_path / "logo.png").symlink_to(media("logo.png"))
    plain, _ = both("color=black:size=320x180", pix_fmt="yuv420p")
    clip, film = both("color=black:size=320x180", (320, 180), ("logo.png",), pix_fmt="yuv420p")
    assert max(plain) <= 1
    assert max(clip) > 100
    assert max(abs(one - other) for one, other in zip(clip, film, strict=True)) < 30
