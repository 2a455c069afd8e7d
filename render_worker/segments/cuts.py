"""Where conformed clips are cut so that the parts add up to a video's exact frames, if possible without encoding.

A segment consists of closed groups of pictures (GOPs). It can be entered at any keyframe, and left at any *anchor*:
a number of frames after which the packets so far, in decoding order, are exactly the frames so far, in display order.
What is left there decodes to the very frames it decodes to in the whole segment, for no frame needs a later packet.
With x264's B-frames anchors are at most four frames apart.

A video ends where its voice does, at any frame. Where the last segment has no anchor there, earlier shots give up some
of their last frames, so that it can end at a later one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.domain.plan import LEAST


class NoWay(Exception):
    """Why segments cannot be cut as a video wants them."""


@dataclass(frozen=True)
class Footage:
    """What a segment offers: its frames, where it can be entered, and after how many frames it can be left."""

    frames: int
    keyframes: tuple[int, ...]
    anchors: tuple[int, ...]

    def lengths(self, start: int = 0) -> list[int]:
        """How many frames from `start` on can be taken without encoding; very few can only be taken to the end."""
        taken = (anchor - start for anchor in self.anchors)
        return [frames for frames in taken if frames >= LEAST or frames == self.frames - start > 0]


@dataclass(frozen=True)
class Piece:
    """Frames from a segment's first on that a video wants.

    Attributes:
        ends_shot: some at their end may be left out in favour of later pieces; never of a card.
        begins_shot: some at their beginning may be left out; else they go on where the piece before them ended.
        enters: how many at their beginning are in a transition from the piece before them.
        least: how many are kept whatever others want.
    """

    footage: Footage
    frames: int
    ends_shot: bool = True
    begins_shot: bool = True
    enters: int = 0
    least: int = 0


@dataclass(frozen=True)
class Cut:
    """Frames `start` to `start + frames` of a piece; the last `encoded` of them have to be encoded anew.

    Attributes:
        head, tail: how many at its beginning and at its end are encoded with a transition.
    """

    piece: int
    start: int
    frames: int
    encoded: int = 0
    head: int = 0
    tail: int = 0

    @property
    def end(self) -> int:
        return self.start + self.frames

    @property
    def copied(self) -> tuple[int, int]:
        """The first frame that is copied, and the one behind the last."""
        return self.start + self.head, self.end - self.encoded - self.tail


def windows(frames: int, most: int) -> list[tuple[int, int]]:
    """A clip's frames as parts (start, frames) that are conformed by themselves, each `most` frames but the last.

    A last one of less than half as many goes with the one before. The parts do not depend on who asks for them.
    """
    count = max(1, frames // most + (frames % most * 2 >= most))
    starts = [number * most for number in range(count)]
    return [(start, end - start) for start, end in zip(starts, [*starts[1:], frames], strict=True)]


def stops(start: int, end: int, gop: int) -> list[int]:
    """Where a part that begins at frame `start` of a window may end: at a quarter of a GOP, or at the window's `end`.

    Neither the part nor what is left behind it is shorter than a GOP: what is cut short begins with a picture of its
    own all the same.
    """
    return [*range(start + gop, end - gop + 1, max(1, gop // 4)), end]


def footage_of(order: Sequence[int], keys: Sequence[bool]) -> Footage:
    """What a segment offers, from its packets in decoding order.

    Args:
        order: the place of each packet's frame in display order, counted from 0.
        keys: whether each packet is a keyframe.
    """
    anchors, highest = [], -1
    for count, place in enumerate(order, start=1):
        highest = max(highest, place)
        if highest == count - 1:
            anchors.append(count)
    keyframes = tuple(
        place for number, (place, key) in enumerate(zip(order, keys, strict=True)) if key and place == number
    )
    return Footage(len(order), keyframes, tuple(anchors))


def fit(pieces: Sequence[Piece], gop: int, closing: int = 0) -> list[Cut]:
    """Cuts of `pieces` that add up to the same number of frames.

    All but the last piece before the `closing` ones want their segments whole. Ways, best first: end that one at an
    anchor; have earlier shots give up fewer than `gop` frames; enter it later; encode its last :data:`LEAST` frames and
    those back to the anchor before them.
    """
    cuts = [Cut(number, 0, piece.frames) for number, piece in enumerate(pieces)]
    if closing:
        # What is left by a transition is encoded back to an anchor anyway (:func:`with_transitions`).
        leaves, before = pieces[-closing].enters, pieces[:-closing]
        fitted = _with_room(cuts[:-closing], before, leaves, gop) if leaves else fit(before, gop)
        return [*fitted, *cuts[-closing:]]
    last = pieces[-1]
    if last.frames in last.footage.lengths():
        return cuts
    borrowed = _borrow(pieces, gop)
    if borrowed is not None:
        return _shifted(cuts, borrowed)
    entries = last.footage.keyframes if last.begins_shot and not last.enters else ()
    start = next((key for key in entries if last.frames in last.footage.lengths(key)), None)
    if start is not None:
        return [*cuts[:-1], Cut(len(pieces) - 1, start, last.frames)]
    return _encoded(cuts, pieces, gop)


def with_transitions(cuts: Sequence[Cut], pieces: Sequence[Piece]) -> list[Cut]:
    """The same cuts, with what has to be encoded at transitions: back to an anchor, and on to a keyframe.

    Raises:
        NoWay: too little is left to be copied beside a transition.
    """
    found = list(cuts)
    for number, piece in enumerate(pieces):
        if not piece.enters:
            continue
        before, after = found[number - 1], found[number]
        tail = _tail(before, pieces[number - 1].footage, piece.enters)
        entries = (key - after.start for key in piece.footage.keyframes if key >= after.start + piece.enters)
        head = min(entries, default=after.frames)
        if after.frames - after.encoded - head < LEAST:
            raise NoWay(f"the shot that begins with piece {number} is too short for the transition into it")
        found[number - 1], found[number] = replace(before, tail=tail), replace(after, head=head)
    return found


def _tail(cut: Cut, footage: Footage, leaves: int) -> int:
    """How many of a cut's frames are encoded at its end, where so many are in a transition."""
    begins, ends = cut.copied
    stops = [begins + length for length in footage.lengths(begins) if begins + length <= ends - leaves]
    if not stops:
        raise NoWay(f"the shot that ends with piece {cut.piece} is too short for the transition out of it")
    return ends - stops[-1]


def _with_room(cuts: list[Cut], pieces: Sequence[Piece], leaves: int, gop: int) -> list[Cut]:
    """The same cuts, where the last can be left by a transition of so many frames; else earlier shots give it some.

    A shot may end right behind the beginning of a segment.
    """
    last = pieces[-1]
    lengths = last.footage.lengths()
    for total, given in [(0, dict[int, int]()), *_gifts(pieces[:-1], gop)]:
        frames = last.frames + total
        if frames <= last.footage.frames and any(length <= frames - leaves for length in lengths):
            return _shifted(cuts, given)
    return cuts


def _shifted(cuts: list[Cut], given: dict[int, int]) -> list[Cut]:
    shortened = [Cut(cut.piece, cut.start, cut.frames - given.get(cut.piece, 0)) for cut in cuts[:-1]]
    last = cuts[-1]
    return [*shortened, Cut(last.piece, last.start, last.frames + sum(given.values()))]


def _borrow(pieces: Sequence[Piece], gop: int) -> dict[int, int] | None:
    """How many frames which pieces give up so that the last one can end at an anchor; as few as the nearest allow."""
    last = pieces[-1]
    wanted = {length - last.frames for length in last.footage.lengths() if 0 < length - last.frames < gop}
    for total, given in _gifts(pieces[:-1], gop):
        if total in wanted:
            return given
    return None


def _gifts(pieces: Sequence[Piece], gop: int) -> Iterator[tuple[int, dict[int, int]]]:
    """Every number of frames below `gop` that pieces can give up together, each with who gives what; nearest first."""
    found: dict[int, dict[int, int]] = {0: {}}
    for number in range(len(pieces) - 1, -1, -1):
        piece = pieces[number]
        if len(found) == gop:  # nothing new can come of the rest
            return
        if not piece.ends_shot:
            continue
        kept = [length for length in piece.footage.lengths() if length >= piece.least]
        gifts = [piece.frames - length for length in kept if 0 < piece.frames - length < gop]
        for gift in reversed(gifts):
            for total, given in list(found.items()):
                if number not in given and total + gift < gop and total + gift not in found:
                    found[total + gift] = {**given, number: gift}
                    yield total + gift, found[total + gift]


def _encoded(cuts: list[Cut], pieces: Sequence[Piece], gop: int) -> list[Cut]:
    """The last cut with an end that is encoded."""
    footage = pieces[-1].footage
    if cuts[-1].frames < LEAST:
        for total, given in _gifts(pieces[:-1], gop):
            if LEAST <= cuts[-1].frames + total <= footage.frames:
                cuts = _shifted(cuts, given)
                break
    last = cuts[-1]
    kept = max((length for length in footage.lengths() if length <= last.frames - LEAST), default=0)
    return [*cuts[:-1], Cut(last.piece, last.start, last.frames, last.frames - kept)]
