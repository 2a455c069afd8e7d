"""What a film says of its tracks, to players (ISO/IEC 14496-12: ``tkhd``, ``mdhd``, ``elst``, ``stsd``, ``colr``)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.boxes import UPRIGHT, Boxes, Matrix, display_matrices

BT709_LIMITED = "1/1/1 limited"
"""Primaries, transfer and matrix (ISO/IEC 23091-2), and the range."""

_MOST = 4096  # bytes of a box that are looked at; all that is wanted here stands in less
_VISUAL_ENTRY = 78  # bytes in front of the boxes in a picture's sample entry
_LIST = 8  # bytes of version, flags and count in front of a list
_NESTED = (b"mdia", b"minf", b"stbl", b"edts")


@dataclass(frozen=True)
class FilmTrack:
    """One track.

    Attributes:
        kind: of its handler: ``vide``, ``soun``, ``sbtl`` …
        codec: its sample entry: ``avc1``, ``mp4a``, ``tx3g`` …
        language: ISO 639-2.
        is_enabled: whether players play it without being told to.
        seconds: how long it is played.
        late_seconds: how long nothing of it is played at the beginning.
        colours: as :data:`BT709_LIMITED`; empty where nothing is said.
        matrix: how its picture is to be held.
    """

    kind: str = ""
    codec: str = ""
    language: str = ""
    is_enabled: bool = False
    seconds: float = 0.0
    late_seconds: float = 0.0
    colours: str = ""
    matrix: Matrix = UPRIGHT


def tracks_of(film: Path) -> tuple[FilmTrack, ...]:
    """The tracks of a film in the order of the file; what cannot be read is left empty."""
    with film.open("rb") as stream:
        matrices, boxes = display_matrices(stream), Boxes(stream)
        whole = boxes.within(0, os.fstat(stream.fileno()).st_size)
        movie = next(((start, end) for kind, start, end in whole if kind == b"moov"), (0, 0))
        parts = list(boxes.within(*movie))
        headers = [_Header(boxes.read(start, _MOST)) for kind, start, _ in parts if kind == b"mvhd"]
        ticks = headers[0].number(12, 20) if headers else 0
        return tuple(_track(boxes, start, end, ticks, matrices) for kind, start, end in parts if kind == b"trak")


def _track(boxes: Boxes, start: int, end: int, ticks: int, matrices: Mapping[int, Matrix]) -> FilmTrack:
    """One track; `ticks` are those of a second of the movie's clock."""
    found = {kind: (inner, inner_end) for kind, inner, inner_end in _deep(boxes, start, end)}

    def header(kind: bytes) -> _Header:
        inner, inner_end = found.get(kind, (0, 0))
        return _Header(boxes.read(inner, min(_MOST, inner_end - inner)))

    said, media, second = header(b"tkhd"), header(b"mdhd"), ticks or 1
    entry = next(boxes.within(found.get(b"stsd", (0, 0))[0] + _LIST, found.get(b"stsd", (0, 0))[1]), (b"", 0, 0))
    return FilmTrack(
        kind=header(b"hdlr").text(8),
        codec=entry[0].decode("latin-1"),
        language=_language(media.number(20, 32, 2)),
        is_enabled=bool(said.number(3, 3, 1) & 1),
        seconds=said.long(20, 28) / second,
        late_seconds=header(b"elst").empty_edit() / second,
        colours=_colours(boxes, entry[1], entry[2]),
        matrix=matrices.get(said.number(12, 20), UPRIGHT),
    )


def _deep(boxes: Boxes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for kind, inner, inner_end in boxes.within(start, end):
        yield kind, inner, inner_end
        if kind in _NESTED:
            yield from _deep(boxes, inner, inner_end)


def _language(packed: int) -> str:
    """Three letters of five bits each."""
    return "".join(chr(0x60 + (packed >> shift & 31)) for shift in (10, 5, 0)) if packed else ""


def _colours(boxes: Boxes, start: int, end: int) -> str:
    for kind, inner, inner_end in boxes.within(start + _VISUAL_ENTRY, end):
        said = _Header(boxes.read(inner, min(_MOST, inner_end - inner)))
        if kind == b"colr" and said.text(0) == "nclx":
            words = "/".join(str(said.number(at, at, 2)) for at in (4, 6, 8))
            return f"{words} {'full' if said.number(10, 10, 1) >> 7 else 'limited'}"
    return ""


class _Header(bytes):
    """The content of a box that begins with its version; what lies behind its end is zero."""

    __slots__ = ()

    def number(self, at: int, in_version_1: int, size: int = 4) -> int:
        """An unsigned number at its place in version 0 of the box and in version 1."""
        start = in_version_1 if self[:1] == b"\1" else at
        return int.from_bytes(self[start : start + size])

    def long(self, at: int, in_version_1: int) -> int:
        """A number that has 64 bits in version 1."""
        return self.number(at, in_version_1, 8 if self[:1] == b"\1" else 4)

    def text(self, at: int) -> str:
        return self[at : at + 4].decode("latin-1")

    def empty_edit(self) -> int:
        """Of an edit list: how long the first edit is, where that shows nothing."""
        size = 8 if self[:1] == b"\1" else 4
        is_empty = self[_LIST + size : _LIST + 2 * size] == b"\xff" * size
        return self.long(_LIST, _LIST) if is_empty else 0
