"""When each clause of a text is said, from the pauses of the voice alone.

A speaker says about as many letters in a second throughout, and pauses between clauses rather than within. So clauses
are laid over the time in which somebody speaks, and their borders are moved to pauses: those that together deviate
least from the even pace, use the long pauses, and leave few ends of sentences without one. The best choice is found by
dynamic programming over pairs of border and pause, as in forced alignment, but without any model of sounds: it is as
right for a language nobody thought of.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from main_worker.captions.clauses import After, Clause
from shared.domain.pauses import Pause

_EDGE_SECONDS = 0.1  # a pause that begins before this, or ends after that much before the end, is at the edge
_SKIP_COST = 6.0  # of the end of a sentence where nobody pauses
_PASS_COST, _MOST_PASSED = 6.0, 1.5  # of a pause within a clause that is as long as those between sentences; longer
_HASTE_COST = 2.0  # of an end of a sentence at a pause that is much shorter than those
_SHORT_SECONDS, _LEAST_LONG_SECONDS = 0.2, 0.5  # a pause that may be anywhere; one between sentences
_SPREAD = (0.02, 0.06)  # variance of how long a clause takes, in s²: fixed, and for each second of it
_MOST_SKIPPED = 6  # borders in a row without a pause
_TOO_LATE_SECONDS = 3.0  # and as much again as something takes, is later than anybody says it
_KEPT = 24  # choices that are followed up for each border
_REACH = 30  # pauses that may lie within what is said between two that are used


@dataclass(frozen=True)
class Span:
    """When something is said, in seconds."""

    start: float
    end: float


def align(clauses: Sequence[Clause], pauses: Sequence[Pause], seconds: float) -> list[Span]:
    """When each clause of a voice of this length is said; one after the other, none outside the voice."""
    if not clauses:
        return []
    talk = _Talk(pauses, seconds)
    said = [0.0, *accumulate(clause.letters for clause in clauses)]
    chosen = _choose(clauses, talk)
    marks = [(0, 0.0), *((border, talk.before[pause]) for border, pause in chosen), (len(clauses), talk.total)]
    ends, starts = {len(clauses): talk.end}, {0: talk.begin}
    for (first, since), (last, until) in pairwise(marks):
        for border in range(first + 1, last):
            share = (said[border] - said[first]) / (said[last] - said[first])
            ends[border] = starts[border] = talk.clock(since + share * (until - since))
    for border, pause in chosen:
        ends[border], starts[border] = talk.inner[pause]
    return [Span(starts[number], ends[number + 1]) for number in range(len(clauses))]


class _Talk:
    """The time in which somebody speaks: pauses are left out of it.

    Attributes:
        begin, end: of it all, in seconds of the voice.
        inner: the pauses within.
        before: for each of them, for how long was spoken before it.
        total: for how long is spoken.
    """

    def __init__(self, pauses: Sequence[Pause], seconds: float) -> None:
        first = [end for start, end in pauses if start <= _EDGE_SECONDS and end < seconds - _EDGE_SECONDS]
        last = [start for start, end in pauses if end >= seconds - _EDGE_SECONDS and start > _EDGE_SECONDS]
        self.begin, self.end = max(first, default=0.0), min(last, default=seconds)
        self.inner = [pause for pause in pauses if self.begin < pause[0] and pause[1] < self.end]
        self.before: list[float] = []
        spoken, since = 0.0, self.begin
        for start, end in self.inner:
            spoken += start - since
            self.before.append(spoken)
            since = end
        self.total = spoken + self.end - since

    def weights(self, sentences: int) -> list[float]:
        """How long each pause is, where 0 may be anywhere and 1 is what so many ends of sentences take here.

        Speakers differ: one's breath is another's end of a paragraph.
        """
        lengths = [end - start for start, end in self.inner]
        longest = sorted(lengths, reverse=True)[:sentences]
        long = max(_LEAST_LONG_SECONDS, longest[-1]) if longest else _LEAST_LONG_SECONDS
        return [max(0.0, (length - _SHORT_SECONDS) / (long - _SHORT_SECONDS)) for length in lengths]

    def clock(self, spoken: float) -> float:
        """The time of the voice at which so many seconds have been spoken."""
        passed = bisect_left(self.before, spoken)
        silent = sum(end - start for start, end in self.inner[:passed])
        return self.begin + spoken + silent


@dataclass(frozen=True)
class _Choice:
    """A border put at a pause, with all that came before."""

    cost: float
    border: int
    pause: int
    previous: _Choice | None


class _Costs:
    """What it costs to go on from one choice to the next."""

    def __init__(self, clauses: Sequence[Clause], talk: _Talk) -> None:
        self.said = [0.0, *accumulate(clause.letters for clause in clauses)]
        self._spoken = [*talk.before, talk.total]
        self._pace = talk.total / self.said[-1]
        self._ends_sentence = [False, *(clause.after is After.SENTENCE for clause in clauses)]
        self._skipped = [0.0, *accumulate(_SKIP_COST * clause.after.value for clause in clauses)]
        self._weights = [*talk.weights(sum(self._ends_sentence[:-1])), 1.0]
        self._passed = [0.0, *accumulate(_PASS_COST * min(_MOST_PASSED, weight) for weight in self._weights)]

    def follow(self, choice: _Choice, border: int, pauses: range) -> Iterator[tuple[int, float]]:
        """The cost of having a border at each of some pauses, after an earlier choice; far too late ones are left out.

        The pause after all others is the end.
        """
        since = self._spoken[choice.pause] if choice.pause >= 0 else 0.0
        expected = self._pace * (self.said[border] - self.said[choice.border])
        variance = _SPREAD[0] + _SPREAD[1] * expected
        fixed = choice.cost + math.log(variance) / 2 + self._skipped[border - 1] - self._skipped[choice.border]
        fixed -= self._passed[choice.pause + 1]
        for pause in pauses:
            late = self._spoken[pause] - since - expected
            if late > _TOO_LATE_SECONDS + expected and pause > choice.pause + 1:
                return
            haste = _HASTE_COST * (1 - min(1.0, self._weights[pause])) if self._ends_sentence[border] else 0.0
            yield pause, fixed + late * late / (2 * variance) + self._passed[pause] + haste


def _choose(clauses: Sequence[Clause], talk: _Talk) -> list[tuple[int, int]]:
    """Which borders are put at which pauses; border `n` is the end of the first `n` clauses."""
    costs, pauses = _Costs(clauses, talk), len(talk.inner)
    choices = {0: [_Choice(0.0, 0, -1, None)]}
    for border in range(1, len(clauses)):
        found: dict[int, _Choice] = {}
        for earlier in range(max(0, border - _MOST_SKIPPED), border):
            for choice in choices.get(earlier, ()):
                reach = range(choice.pause + 1, min(pauses, choice.pause + 1 + _REACH))
                for pause, cost in costs.follow(choice, border, reach):
                    if pause not in found or cost < found[pause].cost:
                        found[pause] = _Choice(cost, border, pause, choice)
        choices[border] = sorted(found.values(), key=lambda choice: choice.cost)[:_KEPT]
    last = [choice for rest in range(_MOST_SKIPPED + 1) for choice in choices.get(len(clauses) - 1 - rest, ())]
    ends = range(pauses, pauses + 1)
    ending = [(cost, choice) for choice in last for _, cost in costs.follow(choice, len(clauses), ends)]
    best = min(ending, key=lambda pair: pair[0], default=(0.0, choices[0][0]))[1]
    chosen = []
    while best.previous is not None:
        chosen.append((best.border, best.pause))
        best = best.previous
    return chosen[::-1]
