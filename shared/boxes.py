"""How a film is to be held: the display matrices in the boxes of an MP4 or MOV file (ISO 14496-12, 8.2.2 and 8.3.2).

MediaInfo tells the turn but not the reflection, and ffmpeg applies both without telling either to programs.
Read where MediaInfo reads, in a child, since every size in such a file may be a lie.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO

Matrix = tuple[float, float, float, float]
"""a, b, c, d: a pixel at (x, y) is shown at (a·x + c·y, b·x + d·y)."""
UPRIGHT: Matrix = (1.0, 0.0, 0.0, 1.0)

_MAX_BOXES = 100_000  # a film of an hour in fragments of a second has some ten thousand
_MATRIX_AT = {b"mvhd": (36, 48), b"tkhd": (40, 52)}  # in version 0 and version 1 of the box
_TRACK_ID_AT = (12, 20)
_MATRIX = struct.Struct(">5i")  # a, b, u, c, d; the rest moves the picture, which no player does
_HEADER_BYTES = 88


def display_matrices(stream: IO[bytes]) -> dict[int, Matrix]:
    """The matrix of each track by its id, that of the whole movie included; what cannot be read is left out."""
    boxes = Boxes(stream)
    for kind, start, end in boxes.within(0, os.fstat(stream.fileno()).st_size):
        if kind == b"moov":
            return _of_movie(boxes, start, end)
    return {}


def _of_movie(boxes: Boxes, start: int, end: int) -> dict[int, Matrix]:
    movie, tracks = UPRIGHT, dict[int, Matrix]()
    for kind, inner, inner_end in boxes.within(start, end):
        if kind == b"mvhd":
            movie = _matrix(kind, boxes.read(inner, _HEADER_BYTES)) or UPRIGHT
        elif kind == b"trak":
            for part, at, _ in boxes.within(inner, inner_end):
                header = boxes.read(at, _HEADER_BYTES) if part == b"tkhd" else b""
                if matrix := _matrix(part, header):
                    tracks[_track_id(header)] = matrix
    return {track: _product(matrix, movie) for track, matrix in tracks.items()}


def _matrix(kind: bytes, header: bytes) -> Matrix | None:
    if not header or len(header) < (at := _MATRIX_AT[kind][header[0] == 1]) + _MATRIX.size:
        return None
    a, b, _, c, d = _MATRIX.unpack_from(header, at)
    return (a / 65536, b / 65536, c / 65536, d / 65536)


def _track_id(header: bytes) -> int:
    return int.from_bytes(header[(at := _TRACK_ID_AT[header[0] == 1]) : at + 4], "big")


def _product(first: Matrix, second: Matrix) -> Matrix:
    (a, b, c, d), (e, f, g, h) = first, second
    return (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)


class Boxes:
    """The boxes of a file, and no more of them than a real film has."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Type, and start and end of the content, of each box in a stretch of the file."""
        while start + 8 <= end and self._left > 0:
            self._left -= 1
            size, kind, large = struct.unpack(">I4sQ", self.read(start, 16).ljust(16, b"\0"))
            header = 16 if size == 1 else 8
            size = {0: end - start, 1: large}.get(size, size)  # 0: to the end; 1: the size follows in 64 bits
            if size < header:
                return
            yield kind, start + header, min(start + size, end)
            start += size

    def read(self, start: int, size: int) -> bytes:
        """Some bytes of the file; fewer at its end."""
        self._stream.seek(start)
        return self._stream.read(size)
