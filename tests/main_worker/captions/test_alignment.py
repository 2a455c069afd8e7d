"""Clauses are found in a voice by its pauses, at the speaker's own pace."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.captions.alignment import Span, align
from main_worker.captions.clauses import After, Clause, clauses_of, letters_in

WORDS = ("a", "of", "rain", "house", "morning", "quickly", "extraordinary")


def told(seed: int, sentences: int, pace: float) -> tuple[list[Clause], list[tuple[float, float]], float, list[Span]]:
    """A made-up telling: what is said, where the pauses are, how long it takes, and when each clause is said.

    The speaker's pace varies by a fifth, half of the commas pass without a pause, and some words have one within.
    """
    chance = random.Random(seed)  # noqa: S311
    clauses, pauses, spans, now = [], [], [], 0.5
    for _ in range(sentences):
        for number in range(count := chance.randint(1, 4)):
            words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 5)))
            after = After.SENTENCE if number == count - 1 else After.CLAUSE
            clauses.append(Clause(words, letters_in(words), after))
            takes = clauses[-1].letters / (pace * chance.uniform(0.85, 1.18))
            start = now
            if takes > 2 and chance.random() < 0.3:
                within = now + takes * chance.uniform(0.3, 0.7)
                pauses.append((within, within + chance.uniform(0.2, 0.35)))
                now += pauses[-1][1] - pauses[-1][0]
            now += takes
            spans.append(Span(start, now))
            length = (
                chance.uniform(0.5, 1.2) if after is After.SENTENCE else chance.choice((0.0, chance.uniform(0.25, 0.6)))
            )
            if length:
                pauses.append((now, now + length))
                now += length
    return clauses, [(0.0, 0.5), *pauses], now, spans


@pytest.mark.parametrize("pace", [9.0, 14.0, 18.0])
@pytest.mark.parametrize("seed", range(5))
def test_sentences_are_found(seed: int, pace: float) -> None:
    """Nearly all of them to the half second, at any pace; commas that nobody pauses at cannot be found better."""
    clauses, pauses, seconds, spans = told(seed, 60, pace)
    found = align(clauses, pauses, seconds)
    firsts = [0, *(number for number, clause in enumerate(clauses, start=1) if clause.after is After.SENTENCE)][:-1]
    near = sum(abs(found[first].start - spans[first].start) <= 0.5 for first in firsts)
    assert near >= 0.9 * len(firsts)


def test_a_pause_at_either_end_is_left_out() -> None:
    """Nothing is shown before the first word or after the last."""
    clauses = clauses_of("It rained. It stopped.")
    assert align(clauses, [(0.0, 2.0), (3.0, 4.0), (5.2, 9.0)], 9.0) == [Span(2.0, 3.0), Span(4.0, 5.2)]


def test_without_pauses_the_pace_alone_tells() -> None:
    """Each clause takes its share of the time."""
    clauses = [Clause("a", 10, After.CLAUSE), Clause("b", 30, After.SENTENCE)]
    assert align(clauses, [], 4.0) == [Span(0.0, 1.0), Span(1.0, 4.0)]


def test_nothing_said_is_nothing_shown() -> None:
    """An empty text has no spans, and a silent voice can be as long as it likes."""
    assert align([], [(0.0, 5.0)], 5.0) == []
    assert len(align(clauses_of("One. Two."), [(0.0, 5.0)], 5.0)) == 2


@given(
    st.lists(st.tuples(st.floats(1.1, 200), st.sampled_from(After)), min_size=1, max_size=30),
    st.lists(st.floats(0.2, 3.0), max_size=30),
    st.floats(0.0, 1.0),
)
def test_spans_follow_each_other(said: list[tuple[float, After]], lengths: list[float], lead: float) -> None:
    """Whatever the text and the pauses: in order, within the voice, none backwards."""
    clauses = [Clause("words", letters, after) for letters, after in said]
    pauses, now = [], lead
    for length in lengths:
        pauses.append((now, now + length))
        now += length + 0.5
    found = align(clauses, pauses, now)
    times = [time for span in found for time in (span.start, span.end)]
    assert len(found) == len(clauses)
    assert all(earlier <= later + 1e-6 for earlier, later in pairwise(times))
    assert times[0] >= 0
    assert times[-1] <= now + 1e-6
