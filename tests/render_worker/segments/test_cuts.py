"""Cuts add up to exactly the wanted frames, wherever they can be made and however many frames are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from render_worker.segments.cuts import Cut, Footage, NoWay, Piece, fit, footage_of, windows, with_transitions
from shared.domain.plan import LEAST, Transition

# -- segments as encoders make them ------------------------------------------------------------------


def decoding_order(frames: int, gop: int, between: Sequence[int]) -> tuple[list[int], list[bool]]:
    """The packets of closed GOPs: each P-frame comes before the B-frames that are shown before it.

    Args:
        between: how many B-frames lie between two others, in turn, over and over.
    """
    order: list[int] = []
    keys: list[bool] = []
    for first in range(0, frames, gop):
        end = min(first + gop, frames)
        place = first
        order.append(first)
        while place + 1 < end:
            count = min(between[len(order) % len(between)], end - place - 2)
            following = place + 1 + count
            middle = place + 1 + count // 2
            shown_before = sorted(range(place + 1, following), key=lambda one: (one != middle, one))
            order += [following, *shown_before]
            place = following
        keys += [True] + [False] * (end - first - 1)
    return order, keys


def x264_like(frames: int, gop: int, between: Sequence[int]) -> Footage:
    return footage_of(*decoding_order(frames, gop, between))


def only_whole_gops(frames: int, gop: int, _: Sequence[int]) -> Footage:
    """A segment that can only be left where a GOP ends."""
    starts = tuple(range(0, frames, gop))
    return Footage(frames, starts, (*starts[1:], frames))


def every_frame(frames: int, gop: int, _: Sequence[int]) -> Footage:
    """A segment without B-frames."""
    return Footage(frames, tuple(range(0, frames, gop)), tuple(range(1, frames + 1)))


def one_way_out(frames: int, *_: object) -> Footage:
    """A segment that cannot be cut at all."""
    return Footage(frames, (0,), (frames,))


KINDS: tuple[Callable[[int, int, Sequence[int]], Footage], ...] = (x264_like, only_whole_gops, every_frame, one_way_out)
RATES_GOPS = (48, 50, 60, 100, 120)


@st.composite
def videos(draw: st.DrawFn, kinds: Sequence[Callable[..., Footage]] = KINDS) -> tuple[list[Piece], int]:
    """The pieces of a video as a plan asks for them: all but the last one whole; and their GOP length."""
    gop = draw(st.sampled_from((LEAST, 30, *RATES_GOPS)))
    between = draw(st.lists(st.integers(0, 3), min_size=1, max_size=7))
    longest = draw(st.sampled_from((7, 40, 400, 2_000)))
    pieces = []
    for _ in range(draw(st.integers(0, 7))):
        footage = draw(st.sampled_from(kinds))(draw(st.integers(1, longest)), gop, between)
        pieces.append(Piece(footage, footage.frames, ends_shot=draw(st.booleans())))
    footage = draw(st.sampled_from(kinds))(draw(st.integers(1, longest)), gop, between)
    few = st.integers(1, min(LEAST, footage.frames))
    wanted = draw(st.one_of(few, st.integers(1, footage.frames), st.just(footage.frames)))
    return [*pieces, Piece(footage, wanted, begins_shot=draw(st.booleans()))], gop


def check_cuts(pieces: Sequence[Piece], cuts: Sequence[Cut], gop: int) -> None:
    """What every cut must keep to, else the join shows holes."""
    assert [cut.piece for cut in cuts] == list(range(len(pieces)))
    assert sum(cut.frames for cut in cuts) == sum(piece.frames for piece in pieces)
    for piece, cut in zip(pieces, cuts, strict=True):
        copied, footage = cut.frames - cut.encoded, piece.footage
        assert 0 < cut.frames <= cut.end <= footage.frames
        assert copied >= 0
        if copied:
            assert cut.start in footage.keyframes
            assert cut.start + copied in footage.anchors
            assert copied >= LEAST or cut.start + copied == footage.frames
    for piece, cut in zip(pieces[:-1], cuts[:-1], strict=True):
        assert (cut.start, cut.encoded) == (0, 0)
        assert cut.frames == piece.frames or (piece.ends_shot and piece.frames - gop < cut.frames < piece.frames)
    last = cuts[-1]
    assert last.start == 0 or pieces[-1].begins_shot, "it would leave out what comes between"
    assert last.encoded in (0, last.frames) or last.encoded >= LEAST


@given(videos(kinds=(x264_like, every_frame, only_whole_gops)))
@example(([Piece(x264_like(300, 60, (3, 1)), 300), Piece(x264_like(300, 60, (3, 1)), 3)], 60))
@example(([Piece(every_frame(7, 60, ()), 7), Piece(every_frame(7, 60, ()), 3)], 60))
def test_cuts_add_up_to_the_wanted_frames(video: tuple[list[Piece], int]) -> None:
    """Whatever is wanted: exactly that many frames, cut where cutting is safe, and hardly any of them encoded."""
    pieces, gop = video
    cuts = fit(pieces, gop)
    check_cuts(pieces, cuts, gop)
    assert cuts[-1].encoded < gop + LEAST


@given(videos())
def test_segments_that_cannot_be_cut_are_encoded_where_they_end(video: tuple[list[Piece], int]) -> None:
    """A segment without any place to leave it is no error; only its own frames are encoded."""
    pieces, gop = video
    check_cuts(pieces, fit(pieces, gop), gop)


@given(st.sampled_from(RATES_GOPS), st.lists(st.integers(0, 3), min_size=1, max_size=7), st.data())
def test_one_long_segment_needs_no_encoding(gop: int, between: list[int], data: st.DataObject) -> None:
    """A last segment that wants to end between two anchors takes frames from the shots before it."""
    footage = x264_like(gop * 5, gop, between)
    wanted = data.draw(st.integers(LEAST, footage.frames))
    pieces = [Piece(every_frame(gop * 2, gop, ()), gop * 2), Piece(footage, wanted)]
    cuts = fit(pieces, gop)
    check_cuts(pieces, cuts, gop)
    assert cuts[-1].encoded == 0


@given(videos(kinds=(x264_like, every_frame, only_whole_gops)), st.integers(1, 3), st.integers(LEAST, 400))
def test_what_closes_a_video_is_taken_whole(video: tuple[list[Piece], int], closing: int, frames: int) -> None:
    """An end card, in as many parts as it has; what is before it ends as a video of its own would."""
    pieces, gop = video
    card = [Piece(x264_like(frames, gop, (3,)), frames)] * closing
    cuts = fit([*pieces, *card], gop, closing)
    assert cuts[:-closing] == fit(pieces, gop)
    assert [(cut.piece, cut.start, cut.frames, cut.encoded) for cut in cuts[-closing:]] == [
        (len(pieces) + number, 0, frames, 0) for number in range(closing)
    ]


@given(st.integers(1, 240), st.integers(1, 40), st.data())
def test_slow_pictures_add_up_too(gop: int, most: int, data: st.DataObject) -> None:
    """At one frame per second a GOP has two frames, fewer than can be cut out by themselves."""
    lengths = data.draw(st.lists(st.integers(1, most), min_size=1, max_size=6))
    pieces = [Piece(x264_like(frames, gop, (2,)), frames) for frames in lengths]
    last = pieces[-1]
    wanted = data.draw(st.integers(1, last.frames))
    pieces[-1] = Piece(last.footage, wanted)
    check_cuts(pieces, fit(pieces, gop), gop)


def test_whole_segments_stay_whole() -> None:
    """Where the last one ends as it is, nothing is cut."""
    pieces = [Piece(x264_like(frames, 60, (3,)), frames) for frames in (100, 61, 7, 1)]
    assert fit(pieces, 60) == [Cut(0, 0, 100), Cut(1, 0, 61), Cut(2, 0, 7), Cut(3, 0, 1)]


def test_an_earlier_shot_gives_up_what_the_last_one_needs() -> None:
    """The nearest that may give does: its end is left out, and the last one goes on to its next anchor."""
    giving = Footage(100, (0, 60), (96, 98, 100))
    last = Footage(100, (0, 60), (1, 16, 20, 100))
    pieces = [Piece(giving, 100), Piece(every_frame(50, 60, ()), 50, ends_shot=False), Piece(last, 18)]
    assert fit(pieces, 60) == [Cut(0, 0, 98), Cut(1, 0, 50), Cut(2, 0, 20)]


def test_several_shots_give_together() -> None:
    """Where none alone has the right number of frames to give, two do."""
    pieces = [
        Piece(Footage(100, (0,), (97, 100)), 100),
        Piece(Footage(100, (0,), (98, 100)), 100),
        Piece(Footage(60, (0,), (15, 60)), 10),
    ]
    assert fit(pieces, 60) == [Cut(0, 0, 97), Cut(1, 0, 98), Cut(2, 0, 15)]


def test_a_segment_alone_is_entered_later() -> None:
    """Nobody can give, but from the second keyframe on the wanted number of frames ends at an anchor."""
    footage = Footage(120, (0, 60), (1, 60, 61, 70, 120))
    assert fit([Piece(footage, 10)], 60) == [Cut(0, 60, 10)]


def test_what_cannot_be_cut_is_encoded_from_the_last_anchor_on() -> None:
    """As few frames as possible, and never so few that their decoding times would differ."""
    footage = Footage(120, (0,), (20, 25, 120))
    assert fit([Piece(footage, 30)], 120) == [Cut(0, 0, 30, encoded=10)]
    assert fit([Piece(footage, 28)], 120) == [Cut(0, 0, 28, encoded=8)]
    assert fit([Piece(footage, 27)], 120) == [Cut(0, 0, 27, encoded=27)]


def test_a_last_shot_of_few_frames_takes_more_before_it_is_encoded() -> None:
    """Three frames by themselves would have other decoding times; the shot before gives five and more of its own."""
    pieces = [Piece(Footage(100, (0,), (90, 95, 100)), 100), Piece(Footage(60, (0,), (60,)), 3)]
    assert fit(pieces, 60) == [Cut(0, 0, 95), Cut(1, 0, 8, encoded=8)]


def test_a_very_short_video_is_encoded() -> None:
    """Where nobody can give, what is wanted is encoded, however little it is."""
    assert fit([Piece(one_way_out(60), 3)], 60) == [Cut(0, 0, 3, encoded=3)]


# -- what a segment offers ---------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 120), st.lists(st.integers(0, 3), min_size=1, max_size=7))
def test_anchors_are_where_packets_so_far_are_the_frames_so_far(frames: int, gop: int, between: list[int]) -> None:
    """By counting: exactly those numbers of packets that are the first frames of the film, in any order."""
    order, keys = decoding_order(frames, gop, between)
    footage = footage_of(order, keys)
    assert footage.frames == frames
    assert footage.anchors == tuple(n for n in range(1, frames + 1) if sorted(order[:n]) == list(range(n)))
    assert footage.keyframes == tuple(range(0, frames, gop))
    assert footage.anchors[-1] == frames
    steps = [later - earlier for earlier, later in pairwise(footage.anchors)]
    assert max(steps, default=1) <= max(between) + 1


def test_an_open_group_is_not_entered() -> None:
    """A keyframe whose packet comes before frames that are shown earlier is no place to enter."""
    assert footage_of([0, 3, 1, 2, 4], [True, True, False, False, False]).keyframes == (0,)


def test_few_frames_can_only_be_taken_to_the_end() -> None:
    """Lengths below the least are none, but for the end of the segment."""
    footage = Footage(65, (0, 60), (1, 3, 8, 60, 61, 65))
    assert footage.lengths() == [8, 60, 61, 65]
    assert footage.lengths(60) == [5]
    assert footage.lengths(65) == []


# -- long clips --------------------------------------------------------------------------------------


@given(st.integers(1, 200_000), st.integers(1, 2_000))
def test_windows_hold_every_frame_once(frames: int, most: int) -> None:
    """Parts lie end to end from the first frame to the last, and only the last one may be longer or shorter."""
    parts = windows(frames, most)
    assert parts[0][0] == 0
    assert all(start + count == following for (start, count), (following, _) in pairwise(parts))
    assert sum(parts[-1]) == frames
    assert all(count == most for _, count in parts[:-1])
    assert 0 < parts[-1][1] < 1.5 * most
    assert len(parts) == 1 or 2 * parts[-1][1] >= most


@pytest.mark.parametrize(
    ("frames", "parts"),
    [
        (1, [(0, 1)]),
        (99, [(0, 99)]),
        (149, [(0, 149)]),
        (150, [(0, 100), (100, 50)]),
        (200, [(0, 100), (100, 100)]),
        (249, [(0, 100), (100, 149)]),
    ],
)
def test_a_short_rest_goes_with_the_window_before(frames: int, parts: list[tuple[int, int]]) -> None:
    """A rest of less than half a window is not conformed by itself."""
    assert windows(frames, 100) == parts


# -- transitions -------------------------------------------------------------------------------------


def entered(frames: int, gop: int, between: Sequence[int], enters: int) -> Footage:
    """A segment with a further keyframe behind a transition into it."""
    parts = [(0, decoding_order(enters, enters, between)), (enters, decoding_order(frames - enters, gop, between))]
    order = [first + place for first, (places, _) in parts for place in places]
    return footage_of(order, [key for _, (_, keys) in parts for key in keys])


@given(
    st.sampled_from(RATES_GOPS),
    st.lists(st.integers(0, 3), min_size=1, max_size=7),
    st.sampled_from((LEAST, 15, 30, 45)),
    st.data(),
)
def test_only_what_is_around_a_transition_is_encoded(
    gop: int, between: list[int], frames: int, data: st.DataObject
) -> None:
    """Each shot is left at an anchor just before and entered just behind, wherever the video ends."""
    room = Transition("crossfade", frames).room
    lengths = st.integers(max(2 * gop, room), 5 * gop)  # shots without the room have no transition
    footages = [entered(data.draw(lengths), gop, between, frames) for _ in range(data.draw(st.integers(2, 6)))]
    hard = [data.draw(st.booleans()) for _ in footages[1:]]
    enters = [0, *(0 if cut else frames for cut in hard)]
    wanted = [*(footage.frames for footage in footages[:-1]), data.draw(st.integers(room, footages[-1].frames))]
    leaves = [*enters[1:], 0]
    pieces = [
        Piece(footage, count, enters=into, least=room if into or out else 0)
        for footage, count, into, out in zip(footages, wanted, enters, leaves, strict=True)
    ]
    cuts = with_transitions(fit(pieces, gop), pieces)
    assert sum(cut.frames for cut in cuts) == sum(wanted)
    for piece, cut, out in zip(pieces, cuts, leaves, strict=True):
        first, end = cut.copied
        assert cut.head == piece.enters
        assert (cut.tail == 0) if not out else (out <= cut.tail <= out + 4 + LEAST)
        assert end - first >= LEAST
        assert first in piece.footage.keyframes
        assert end in piece.footage.anchors


def test_a_shot_that_ends_right_behind_a_segments_beginning_is_left_by_a_transition_as_well() -> None:
    """An earlier shot gives it the frames that it needs for that."""
    first, whole, rest, card = (x264_like(frames, 20, (3,)) for frames in (141, 300, 20, 40))
    pieces = [
        Piece(first, 141, least=32),
        Piece(whole, 300, ends_shot=False, enters=8),
        Piece(rest, 5, begins_shot=False, least=32),
        Piece(card, 40, ends_shot=False, enters=8),
    ]
    cuts = with_transitions(fit(pieces, 20, 1), pieces)
    assert sum(cut.frames for cut in cuts) == 486
    assert (cuts[1].frames, cuts[3].frames) == (300, 40)
    assert cuts[2].copied[1] - cuts[2].copied[0] >= LEAST
    assert cuts[2].tail >= 8


def test_a_segment_without_the_keyframe_is_encoded_up_to_the_next_one() -> None:
    """As of an encoder that does not heed what it is asked for."""
    footage = x264_like(300, 60, (3,))
    pieces = [Piece(footage, 300), Piece(footage, 300, enters=15)]
    _, after = with_transitions(fit(pieces, 60), pieces)
    assert (after.head, after.copied) == (60, (60, 300))


@pytest.mark.parametrize(
    "pieces",
    [
        [Piece(x264_like(300, 60, (3,)), 300), Piece(x264_like(64, 60, (3,)), 64, enters=15)],
        [Piece(one_way_out(300), 300), Piece(entered(300, 60, (3,), 15), 300, enters=15)],
    ],
)
def test_what_cannot_be_cut_beside_a_transition_is_said(pieces: list[Piece]) -> None:
    """It is made in one command then."""
    with pytest.raises(NoWay, match="too short for the transition"):
        with_transitions(fit(pieces, 60), pieces)
