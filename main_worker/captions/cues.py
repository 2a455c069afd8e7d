"""Captions as they are shown: cues, of aligned clauses or of a file of subtitles, and as WebVTT.

Source of the format: WebVTT (W3C), which browsers read, and which ffmpeg turns into a track of MP4.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from main_worker.captions.alignment import Span
from main_worker.captions.clauses import MOST_COLUMNS, After, Clause, columns, joined

# What ffmpeg would take for a mark of style (ASS), whatever the format it reads and writes.
NO_MARKS = str.maketrans("{}\\", "()/")
_MOST_SECONDS = 7.0  # that a caption stays, as broadcasters have it
_LEAST_SECONDS = 1.0  # that it can be read in
_SHORTEST_SECONDS = 0.04  # nobody sees what is gone after a frame
_LONGEST_SECONDS = 3600.0  # what stays longer has no end that anybody meant
_LONG_PAUSE_SECONDS = 1.0  # what comes after it has a caption of its own
_TIMES = re.compile(r"(\d+):(\d+):(\d+),(\d{3}) --> (\d+):(\d+):(\d+),(\d{3})")


@dataclass(frozen=True)
class Cue:
    """Words that are shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def cues_of(clauses: Sequence[Clause], spans: Sequence[Span], seconds: float) -> list[Cue]:
    """Aligned clauses put together where one caption has room for them; a sentence or line begins a new one."""
    found: list[Cue] = []
    after = After.SENTENCE
    for clause, span in zip(clauses, spans, strict=True):
        before = found[-1] if found else None
        if before and after in (After.CLAUSE, After.NOTHING) and _go_together(before, clause, span):
            found[-1] = Cue(before.start, span.end, joined(before.text, clause.text))
        else:
            found.append(Cue(span.start, span.end, clause.text))
        after = clause.after
    nexts = [*(cue.start for cue in found[1:]), seconds]
    return [
        Cue(cue.start, min(until, max(cue.end, cue.start + _LEAST_SECONDS)), cue.text)
        for cue, until in zip(found, nexts, strict=True)
    ]


def _go_together(cue: Cue, clause: Clause, span: Span) -> bool:
    is_narrow = columns(joined(cue.text, clause.text)) <= MOST_COLUMNS
    return is_narrow and span.end - cue.start <= _MOST_SECONDS and span.start - cue.end < _LONG_PAUSE_SECONDS


def parse_cues(text: str) -> list[Cue]:
    """The cues of SubRip without any marks, in the order of their times."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().splitlines()[1:]  # the first one is its number
        if clock := _TIMES.fullmatch(lines[0].strip() if lines else ""):
            words = "\n".join(filter(None, (" ".join(line.split()) for line in lines[1:])))
            start, end = _seconds(clock.groups()[:4]), _seconds(clock.groups()[4:])
            if words and start < end <= start + _LONGEST_SECONDS:
                found.append(Cue(start, end, words))
    return sorted(found, key=lambda cue: cue.start)


def one_by_one(cues: Iterable[Cue], seconds: float) -> list[Cue]:
    """Cues as a track of timed text can show them: within a voice of this length, and never two at the same time.

    What begins together is shown together; what goes on when the next one begins ends there.
    """
    found: list[Cue] = []
    for cue in sorted(cues, key=lambda cue: cue.start):
        before = found[-1] if found else None
        if before and cue.start - before.start < _SHORTEST_SECONDS:
            found[-1] = Cue(before.start, max(before.end, cue.end), f"{before.text}\n{cue.text}")
            continue
        if before:
            found[-1] = replace(before, end=min(before.end, cue.start))
        found.append(cue)
    cut = (replace(cue, end=min(cue.end, seconds)) for cue in found)
    return [cue for cue in cut if cue.end - cue.start >= _SHORTEST_SECONDS]


def _seconds(clock: Sequence[str]) -> float:
    hours, minutes, seconds, milliseconds = map(int, clock)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def to_webvtt(cues: Iterable[Cue]) -> str:
    """A file of WebVTT; what would be a mark there is written as the sign it is."""
    times = ((f"{_clock(cue.start)} --> {_clock(cue.end)}", cue.text) for cue in cues)
    blocks = [f"{shown}\n{html.escape(words, quote=False)}\n" for shown, words in times]
    return "WEBVTT\n\n" + "\n".join(blocks)


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:{milliseconds % 60_000 / 1000:06.3f}"
