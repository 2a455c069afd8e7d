"""Captions as they are shown, and as files."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from main_worker.captions.alignment import Span
from main_worker.captions.clauses import MOST_COLUMNS, After, Clause, clauses_of, columns
from main_worker.captions.cues import Cue, cues_of, one_by_one, parse_cues, to_webvtt


def test_a_sentence_begins_a_caption_and_clauses_share_one() -> None:
    """As long as there is room, and time, and nobody takes a long breath."""
    clauses = clauses_of("One, two. Three, four.")
    spans = [Span(0.0, 1.0), Span(1.2, 2.0), Span(2.5, 3.5), Span(5.0, 6.5)]
    assert cues_of(clauses, spans, 7.0) == [Cue(0.0, 2.0, "One, two."), Cue(2.5, 3.5, "Three,"), Cue(5.0, 6.5, "four.")]


def test_a_short_caption_stays_a_second_if_it_can() -> None:
    """Not beyond the next one, nor the end."""
    clauses = clauses_of("No. Yes. So.")
    spans = [Span(0.0, 0.2), Span(0.5, 0.7), Span(3.0, 3.2)]
    assert [(cue.start, cue.end) for cue in cues_of(clauses, spans, 3.5)] == [(0.0, 0.5), (0.5, 1.5), (3.0, 3.5)]


def test_no_caption_is_too_wide() -> None:
    """Clauses that do not fit together are shown after each other."""
    clauses = [Clause("word " * 10 + "end,", 50, After.CLAUSE)] * 4
    spans = [Span(float(at), at + 0.9) for at in range(4)]
    shown = cues_of(clauses, spans, 5.0)
    assert len(shown) == 4
    assert all(columns(cue.text) <= MOST_COLUMNS for cue in shown)


SUBRIP = """1
00:00:03,000 --> 00:00:04,000
x <y

2
00:00:01,000 --> 00:00:02,500
Hi  there & you
second

3
00:00:05,000 --> 00:00:05,000
never

4
00:00:06,000 --> 00:00:07,000

"""


def test_subrip_is_read() -> None:
    """In the order of time; what is never shown, or shows nothing, is left out."""
    assert parse_cues(SUBRIP) == [Cue(1.0, 2.5, "Hi there & you\nsecond"), Cue(3.0, 4.0, "x <y")]
    assert parse_cues("") == []
    assert parse_cues("no subtitles\nat all") == []


def test_captions_end_with_the_voice() -> None:
    """What begins later, or just before the end, is not shown."""
    cues = [Cue(0.0, 1.0, "a"), Cue(1.0, 1.98, "b"), Cue(1.98, 3.0, "c"), Cue(2.0, 3.0, "d")]
    assert one_by_one(cues, 2.0) == [Cue(0.0, 1.0, "a"), Cue(1.0, 1.98, "b")]


def test_two_captions_are_never_shown_at_once() -> None:
    """Timed text cannot: the first one ends, and what two people say at the same time is shown together."""
    cues = [Cue(3.0, 4.0, "- Yes."), Cue(0.0, 2.5, "a"), Cue(2.0, 3.0, "b"), Cue(3.01, 3.5, "- No.")]
    assert one_by_one(cues, 9.0) == [Cue(0.0, 2.0, "a"), Cue(2.0, 3.0, "b"), Cue(3.0, 4.0, "- Yes.\n- No.")]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 20)), max_size=30))
def test_captions_follow_each_other(times: list[tuple[float, float]]) -> None:
    """Whatever a file of subtitles says, within the voice and long enough to be seen."""
    shown = one_by_one((Cue(start, start + length, "x") for start, length in times), 50.0)
    assert all(earlier.end <= later.start for earlier, later in pairwise(shown))
    assert all(0 <= cue.start < cue.end <= 50.0 for cue in shown)


def test_webvtt_shows_signs_as_they_are() -> None:
    """What would be a mark is written as the sign it is."""
    assert to_webvtt([Cue(1.0, 2.5, "a < b & c"), Cue(3661.25, 3662.0, "d")]) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\na &lt; b &amp; c\n\n01:01:01.250 --> 01:01:02.000\nd\n"
    )


@given(st.lists(st.tuples(st.integers(0, 36_000_000), st.integers(1, 10_000)), max_size=20))
def test_times_are_exact_to_the_millisecond(times: list[tuple[int, int]]) -> None:
    """What is written is what was meant."""
    cues = [Cue(start / 1000, (start + length) / 1000, "x") for start, length in times]
    clocks = [line.split(" --> ") for line in to_webvtt(cues).splitlines() if " --> " in line]

    def milliseconds(clock: str) -> int:
        hours, minutes, rest = clock.split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(rest) * 1000)

    assert [tuple(map(milliseconds, pair)) for pair in clocks] == [(start, start + length) for start, length in times]
