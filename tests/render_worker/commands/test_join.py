"""The join's arguments and its list, word for word."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_worker.commands.join import Part, index_bytes, join, part_list
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track, exact_rate

TASK = Path("/farm/processing/id")
TARGET = TASK / "attempt-1-ab/final.mp4"
LISTING = TASK / "attempt-1-ab/scratch/parts.ffconcat"
RATES = (23.976, 24, 25, 29.97, 30, 50, 59.94, 60)
PLAN = RenderPlan(
    Canvas(1920, 1080, exact_rate(29.97)),
    Profile("libx264", quality=21, preset="medium", audio_kbps=192),
    seconds=12.34,
    frames=370,
    shots=(Shot("video_part1.mp4", 370, 370),),
    layers=(),
    tracks=(Track("voice.mp3", 1.0, channels=1), Track("music.mp3", 0.25, channels=2, loops=True)),
)
SOUND = TASK / "attempt-1-ab/scratch/sound.aac"
UNSEEN = "option codec_whitelist none\n"
TIMES = "setts=ts=(N-1)*1024/(48000*TB):duration=if(eq(N\\,579)\\,448\\,1024)/(48000*TB)"


def test_a_join_copies_picture_and_sound() -> None:
    """The join opens the list of parts and the sound's packets, copies both, and keeps room for the index in front."""
    assert join(PLAN, LISTING, SOUND, TASK, TARGET) == [
        *("-f", "concat", "-auto_convert", "0", "-protocol_whitelist", "file", "-safe", "0", "-i", f"file:{LISTING}"),
        *("-f", "aac", "-protocol_whitelist", "file", "-i", f"file:{SOUND}", "-map", "0:v:0", "-map", "1:a:0"),
        *("-f", "mp4", "-bsf:a", TIMES, "-c", "copy", "-map_metadata", "-1"),
        *("-moov_size", str(index_bytes(PLAN)), "-video_track_timescale", "30000", f"file:{TARGET}", "-y"),
    ]


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 15), (60.0, 1800), (3600.0, 108_000)])
def test_the_room_for_the_index_is_a_small_share(seconds: float, frames: int) -> None:
    """There is room for every packet, and little more than that."""
    room = index_bytes(replace(PLAN, seconds=seconds, frames=frames))
    assert 65_536 + 24 * frames < room < 70_000 + 24 * frames + 800 * seconds


def test_whole_parts_are_listed_with_their_lengths() -> None:
    """Each part is named with its length to the microsecond, because MP4 rounds to milliseconds."""
    parts = [Part("a.mp4", 0, 300, 2, whole=True), Part("b.mp4", 0, 70, 2, whole=True)]
    assert part_list(parts, exact_rate(29.97)) == (
        f"ffconcat version 1.0\nfile a.mp4\n{UNSEEN}duration 10.010000\nfile b.mp4\n{UNSEEN}duration 2.335667\n"
    )


def test_a_part_is_entered_at_its_frame_and_left_in_decoding_time() -> None:
    """The outpoint lies half a frame before the first packet that is not wanted, earlier by the decoder's delay."""
    parts = [Part("a.mp4", 60, 30, 2, whole=False), Part("b.mp4", 0, 25, 0, whole=False)]
    assert part_list(parts, Fraction(25)) == (
        "ffconcat version 1.0\n"
        f"file a.mp4\n{UNSEEN}inpoint 2.400000\noutpoint 3.500000\nduration 1.200000\n"
        f"file b.mp4\n{UNSEEN}outpoint 0.980000\nduration 1.000000\n"
    )


@given(st.sampled_from(RATES), st.lists(st.integers(1, 3_000), min_size=1, max_size=200))
def test_told_lengths_never_drift(rate: float, lengths: list[int]) -> None:
    """After every part the lengths told so far are at most half a microsecond off."""
    check_lengths(rate, lengths)


@pytest.mark.parametrize("rate", RATES)
def test_told_lengths_do_not_drift_over_a_thousand_parts(rate: float) -> None:
    """Nor after a thousand parts of lengths that round badly."""
    check_lengths(rate, [number * 37 % 301 + 1 for number in range(1_000)])


def check_lengths(rate: float, lengths: list[int]) -> None:
    exact = exact_rate(rate)
    listing = part_list([Part("a.mp4", 0, frames, 2, whole=True) for frames in lengths], exact)
    told, frames = Fraction(0), 0
    for length, text in zip(lengths, re.findall(r"^duration (\S+)$", listing, re.MULTILINE), strict=True):
        told += Fraction(text)
        frames += length
        assert abs(told - frames / exact) <= Fraction(1, 2_000_000)
