"""How each track is to be held is read from the file itself, whatever the file claims about its own sizes."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from shared.boxes import Matrix, display_matrices
from shared.domain.media import displayed_size, orientation

UPRIGHT, QUARTER, MIRRORED = (1, 0, 0, 1), (0, 1, -1, 0), (1, 0, 0, -1)


def box(kind: bytes, *content: bytes, wide: bool = False) -> bytes:
    body = b"".join(content)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)


def tkhd(track: int, held: tuple[int, int, int, int], version: int = 0) -> bytes:
    times = bytes(16 if version else 8)
    rest = bytes((12 if version else 8) + 16)
    return box(b"tkhd", bytes((version, 0, 0, 3)), times, struct.pack(">I", track), rest, matrix(*held), bytes(8))


def mvhd(held: tuple[int, int, int, int], version: int = 0) -> bytes:
    return box(b"mvhd", bytes((version, 0, 0, 0)), bytes(44 if version else 32), matrix(*held), bytes(28))


def matrices(tmp_path: Path, content: bytes) -> dict[int, Matrix]:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with path.open("rb") as stream:
        return display_matrices(stream)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("wide", [False, True])
def test_each_track_has_its_matrix(tmp_path: Path, version: int, wide: bool) -> None:
    """In both versions of the headers, and with sizes of 32 and of 64 bits."""
    movie = [mvhd(UPRIGHT, version), *(box(b"trak", box(b"edts"), tkhd(n, m, version), wide=wide) for n, m in TRACKS)]
    content = box(b"ftyp", b"isom") + box(b"mdat", bytes(99), wide=wide) + box(b"moov", *movie, wide=wide)
    assert matrices(tmp_path, content) == {1: QUARTER, 7: MIRRORED}


TRACKS = [(1, QUARTER), (7, MIRRORED)]


def test_the_movie_may_turn_all_its_tracks(tmp_path: Path) -> None:
    """Its matrix is applied after that of the track."""
    content = box(b"moov", mvhd(QUARTER), box(b"trak", tkhd(1, MIRRORED)), box(b"trak", tkhd(2, QUARTER)))
    found = matrices(tmp_path, content)
    assert orientation(*found[1]) == (90, True)
    assert orientation(*found[2]) == (180, False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"moov",
        b"\0\0\0\x04moov" * 99,
        b"\0\0\0\0moov",
        b"\0\0\0\x01moov" + b"\xff" * 8 + tkhd(1, QUARTER),
        box(b"moov", box(b"trak", tkhd(1, QUARTER)[:60])),
        box(b"free", box(b"moov", box(b"trak", tkhd(1, QUARTER)))),
        b"\0\0\0\x08free" * 300_000,
    ],
    ids=["empty", "no header", "sizes too small", "to the end", "endless", "cut", "hidden", "crowd"],
)
def test_what_makes_no_sense_has_no_matrix(tmp_path: Path, content: bytes) -> None:
    """A lie about a size ends the reading, and a crowd of boxes is not read to its end."""
    assert matrices(tmp_path, content) == {}


def test_noise_is_a_value(tmp_path: Path) -> None:
    """Bytes flipped anywhere change what is found and nothing else."""
    chance = random.Random(3)  # noqa: S311 - noise is all it is
    whole = box(b"ftyp", b"isom") + box(b"moov", mvhd(UPRIGHT), box(b"trak", tkhd(1, QUARTER)))
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(6):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        for held in matrices(tmp_path, bytes(broken)).values():
            turn, _mirrored = orientation(*held)
            assert 0 <= turn < 360


@pytest.mark.parametrize(
    ("held", "turn", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 90, False),
        ((-1, 0, 0, -1), 180, False),
        ((0, -1, 1, 0), 270, False),
        ((1, 0, 0, -1), 0, True),
        ((0, 1, 1, 0), 90, True),
        ((-1, 0, 0, 1), 180, True),
        ((0, -1, -1, 0), 270, True),
        ((2, 0, 0, 3), 0, False),
        ((0.7071, 0.7071, -0.7071, 0.7071), 45, False),
        ((0, 0, 0, 0), 0, False),
        ((1, 1, 1, 1), 0, False),
    ],
)
def test_a_matrix_is_a_mirror_and_a_turn(held: Matrix, turn: int, mirrored: bool) -> None:
    """Scale does not matter, and what would leave no picture means nothing."""
    assert orientation(*held) == (turn, mirrored)


@pytest.mark.parametrize(
    ("turn", "size"), [(0, (128, 48)), (90, (48, 128)), (180, (128, 48)), (270, (48, 128)), (45, (128, 48))]
)
def test_a_right_angle_exchanges_the_sides(turn: int, size: tuple[int, int]) -> None:
    """Any other turn leaves the frame as it is."""
    assert displayed_size(64, 48, turn, 2.0) == size
