"""Joins of many cuts at every usual rate: exact to the frame, bit-identical to the segments, one step throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from render_worker.commands.join import Part, join, part_list
from render_worker.commands.outputs import gop_frames
from render_worker.gate import Judged, check, look
from render_worker.segments.cuts import Cut, Footage
from render_worker.soundtrack import make_sound
from render_worker.tool import Tool
from shared.domain.plan import LEAST, Canvas, Profile, RenderPlan, Track, exact_rate
from shared.records.segment import SegmentRecord

RATES = (23.976, 24, 25, 29.97, 30, 50, 59.94, 60)
LENGTHS = (5, 12, 16, 21, 27, 131)
Item = TypeVar("Item")


class Segment(Protocol):
    """A conformed film, what its record says, and the hash of each of its decoded frames."""

    film: Path
    record: SegmentRecord
    pictures: tuple[str, ...]

    @property
    def footage(self) -> Footage: ...


ConformParts = Callable[[Fraction, Sequence[int]], list[Segment]]
PicturesOf = Callable[[Path], tuple[str, ...]]


def pick(items: Sequence[Item], number: int) -> Item:
    """One of several, another one each time, the same in every run."""
    return items[number * 7919 % 104_729 % len(items)]


def cuts_of(segments: Sequence[Segment], count: int) -> list[Cut]:
    """So many cuts as a join may have to make: every third whole, the others between keyframes and anchors."""
    cuts = []
    for number in range(count):
        piece = pick(range(len(segments)), number)
        footage = segments[piece].footage
        start = 0 if number % 3 == 0 else pick(footage.keyframes, number + 1)
        frames = footage.frames if number % 3 == 0 else pick(footage.lengths(start), number + 2)
        cuts.append(Cut(piece, start, frames))
    return cuts


def plan_of(rate: Fraction, frames: int) -> RenderPlan:
    profile = Profile("libx264", quality=30, preset="veryfast", audio_kbps=64)
    voice = Track("voice.mp3", 1.0, channels=1, loops=True)
    return RenderPlan(Canvas(128, 72, rate), profile, float(frames / rate), frames, (), (), (voice,))


@pytest.fixture
def check_join(
    tool: Tool, tmp_path: Path, media: Callable[[str], Path], pictures_of: PicturesOf
) -> Callable[[Fraction, Sequence[Segment], Sequence[Cut]], None]:
    """Join cuts as the worker does; every frame must be the segment's own, and the gate must let it through."""

    def run(rate: Fraction, segments: Sequence[Segment], cuts: Sequence[Cut]) -> None:
        task, listing, sound, final = tmp_path, tmp_path / "parts.ffconcat", tmp_path / "sound.aac", tmp_path / "f.mp4"
        (task / "voice.mp3").symlink_to(media("voice.mp3"))
        for number, segment in enumerate(segments):
            (tmp_path / f"{number}.mp4").symlink_to(segment.film)
        parts = [_part(cut, segments[cut.piece]) for cut in cuts]
        listing.write_text(part_list(parts, rate), "ascii")
        plan = plan_of(rate, sum(cut.frames for cut in cuts))
        made = make_sound(plan, task, sound, tool)
        tool.run("joining", join(plan, listing, sound, task, final))
        judged = [
            packet for cut in cuts for packet in segments[cut.piece].record.packets[cut.start : cut.start + cut.frames]
        ]
        parameters = segments[0].record.extradata
        found = look(final, tool, tool.scratch, decode=False)
        assert check(found, plan, Judged(judged, parameters, made.packets, made.heard))
        wanted = [
            picture for cut in cuts for picture in segments[cut.piece].pictures[cut.start : cut.start + cut.frames]
        ]
        assert list(pictures_of(final)) == wanted

    return run


def _part(cut: Cut, segment: Segment) -> Part:
    whole = (cut.start, cut.frames) == (0, segment.record.frames)
    return Part(f"{cut.piece}.mp4", cut.start, cut.frames, segment.record.delay, whole)


@pytest.mark.parametrize("rate", RATES)
def test_five_hundred_joins_lose_and_double_no_frame(
    rate: float, conform_parts: ConformParts, check_join: Callable[..., None]
) -> None:
    """Cut and whole segments in turn: each decoded frame is bit for bit the segment's, all one packet step apart."""
    exact = exact_rate(rate)
    segments = conform_parts(exact, LENGTHS)
    anchors, frames = (sum(counts) for counts in zip(*map(_counts, segments), strict=True))
    assert anchors < frames / 2, "there are no B-frames"
    cuts = cuts_of(segments, 501)
    assert sum(cut.frames < segments[cut.piece].record.frames for cut in cuts) > 150
    assert any(cut.start for cut in cuts)
    check_join(exact, segments, cuts)


def _counts(segment: Segment) -> tuple[int, int]:
    return len(segment.record.anchors), segment.record.frames


@pytest.mark.parametrize("rate", RATES)
def test_every_anchor_of_a_segment_is_a_place_to_leave_it(
    rate: float, conform_parts: ConformParts, check_join: Callable[..., None]
) -> None:
    """From each keyframe to each anchor behind it, all in one film."""
    exact = exact_rate(rate)
    segments = conform_parts(exact, (2 * gop_frames(exact) + 20,))
    footage = segments[0].footage
    cuts = [Cut(0, start, frames) for start in footage.keyframes for frames in footage.lengths(start)]
    assert len(footage.keyframes) == 3
    assert min(cut.frames for cut in cuts) >= LEAST
    check_join(exact, segments, cuts)
