"""Ways of spoiling a file, each chosen by a seeded dice so that every spoilt file can be made again."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

_BOXES = (b"ftyp", b"moov", b"trak", b"mdat", b"mvhd", b"mdhd", b"stsz", b"stco", b"stts", b"stsc", b"moof", b"elst")
_LIES = (0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER = 64

Mutation = Callable[[bytes, bytes, random.Random], bytes]


def flip_bytes(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """Other values for some bytes anywhere."""
    spoilt = bytearray(content)
    for _n in range(dice.choice((1, 4, 32, 256))):
        spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
    return bytes(spoilt)


def flip_header(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """Other values for some of the first bytes, where most meaning is."""
    spoilt = bytearray(content)
    for _n in range(dice.choice((1, 4, 16))):
        spoilt[dice.randrange(min(len(spoilt), 1024))] = dice.randrange(256)
    return bytes(spoilt)


def cut(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """The beginning only, or the end only."""
    at = dice.randrange(len(content))
    return content[:at] if dice.random() < 0.7 else content[at:]


def take_out(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """Without a piece in the middle."""
    start, end = sorted(dice.choices(range(len(content) + 1), k=2))
    return content[:start] + content[end:]


def splice(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    return content[: dice.randrange(len(content))] + other[dice.randrange(len(other)) :]


def zero_range(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """Zeros in place of a piece, as a sparse copy has them."""
    start, end = sorted(dice.choices(range(len(content) + 1), k=2))
    return content[:start] + bytes(end - start) + content[end:]


def lie_about_box(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """A box of an MP4 that says it is larger or smaller than it is; in other files a flipped header."""
    places = [at for box in _BOXES for at in _finds(content, box) if at >= 4]
    if not places:
        return flip_header(content, other, dice)
    at = dice.choice(places)
    lie = dice.choice((*_LIES, dice.randrange(1 << 32)))
    return content[: at - 4] + struct.pack(">I", lie) + content[at:]


def swap_header(content: bytes, other: bytes, _: random.Random) -> bytes:
    """The first bytes of another file."""
    return other[:_HEADER] + content[_HEADER:]


def repeat(content: bytes, _: bytes, dice: random.Random) -> bytes:
    """A piece many times."""
    start, end = sorted(dice.choices(range(len(content) + 1), k=2))
    piece = content[start:end][:4096]
    return content[:start] + piece * dice.choice((2, 8, 64)) + content[start:]


MUTATIONS: Sequence[Mutation] = (
    *(flip_bytes, flip_header, cut, take_out, splice, zero_range, lie_about_box, lie_about_box, swap_header, repeat),
)


def _finds(content: bytes, word: bytes) -> list[int]:
    places, at = [], content.find(word)
    while at >= 0:
        places.append(at)
        at = content.find(word, at + 1)
    return places
