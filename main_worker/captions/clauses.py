"""A narration's text as clauses: what a speaker says in one go, and what may follow it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from main_worker.captions.sentences import WIDE_CLOSERS, WIDE_ENDS, sentence_ends

MOST_COLUMNS = 84  # two lines of a caption, as broadcasters set them; a wide character takes two columns
_LETTERS_PER_WIDE = 2.5  # Han, kana, hangul: about how long each is spoken, in letters of an alphabet
_LETTERS_PER_DIGIT = 3.5  # "1969" is said in nineteen letters, "100" in ten
_FULL_LINE = 0.6  # of the widest line; a line that is shorter, such as a heading, was not broken for want of room
_BREATH = 1.0  # letters; even "O," takes a moment

_CLOSERS = re.escape(f"{WIDE_CLOSERS}\"'”’»)]")
_PAUSING = ",;:–—،؛፣፤՝"  # before a blank
_WIDE_PAUSING = "、，；："
_CLAUSE_END = re.compile(rf"[{_PAUSING}][{_CLOSERS}]*+(?=\s)|[{_WIDE_PAUSING}][{_CLOSERS}]*+|\s[–—-](?=\s)")
_PARAGRAPH = re.compile(r"\n ?\n|\u2029|\f")
_BLANKS = re.compile(r"[^\S\n]+")
_ENDS_LINE = re.compile(rf"[{_PAUSING}{_WIDE_PAUSING}{WIDE_ENDS}.!?…।॥։۔؟][{_CLOSERS}]*$")


class After(Enum):
    """What comes after a clause; the value is how much a speaker tends to pause there, from 0 to 1."""

    SENTENCE = 1.0
    LINE = 0.7  # of verse, or a heading
    CLAUSE = 0.6
    NOTHING = 0.0


@dataclass(frozen=True)
class Clause:
    """Words that follow each other without a sign; `letters` is how long they take to say, in letters."""

    text: str
    letters: float
    after: After


def clauses_of(text: str) -> list[Clause]:
    """The clauses of a text, each at most :data:`MOST_COLUMNS` wide.

    A line that ends with a sign, or long before the page did, ends a clause; other line ends mean nothing. Lines
    without a letter, such as rulers, are nothing that is said.
    """
    plain = _BLANKS.sub(" ", unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n"))
    return [clause for paragraph in _PARAGRAPH.split(plain) for clause in _clauses_in(_flowing(paragraph))]


def _clauses_in(flowing: str) -> list[Clause]:
    sentences, breaks = set(sentence_ends(flowing)), {match.end() for match in _CLAUSE_END.finditer(flowing)}
    breaks |= {at for at, sign in enumerate(flowing) if sign == "\n"} | sentences
    ends = [*sorted(end for end in breaks if 0 < end < len(flowing)), len(flowing)]
    found: list[Clause] = []
    for begin, end in pairwise((0, *ends)):
        words = flowing[begin:end].strip()
        if not _is_said(words):
            if found and len(words) == 1:  # a dash
                found[-1] = replace(found[-1], text=joined(found[-1].text, words))
            continue
        after = After.SENTENCE if end in sentences or end == len(flowing) else After.CLAUSE
        found += _narrow(words, After.LINE if after is After.CLAUSE and flowing[end] == "\n" else after)
    return found


def columns(text: str) -> int:
    """How wide a text is shown, in columns of a narrow letter."""
    return sum(2 if _is_wide(sign) else not unicodedata.combining(sign) for sign in text)


def letters_in(text: str) -> float:
    """How long a text takes to say, in letters of an alphabet."""
    return _BREATH + sum(map(_letters, text))


def joined(before: str, after: str) -> str:
    """Words that follow each other on one line; scripts of wide characters have no blank between."""
    return f"{before}{_between(before, after)}{after}"


def _between(before: str, after: str) -> str:
    return "" if _is_wide(before[-1]) and _is_wide(after[0]) else " "


def _letters(sign: str) -> float:
    if not sign.isalnum():
        return 0.0
    if _is_wide(sign):
        return _LETTERS_PER_WIDE
    return _LETTERS_PER_DIGIT if sign.isdigit() else 1.0


def _is_wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"


def _is_said(words: str) -> bool:
    return any(map(str.isalnum, words))


def _flowing(paragraph: str) -> str:
    """A paragraph in which only line ends that mean something are left."""
    lines = [line for line in map(str.strip, paragraph.split("\n")) if _is_said(line) or len(line) == 1]
    widths = list(map(columns, lines))
    full = _FULL_LINE * max(widths, default=0)
    pieces = lines[:1]
    for before, width, line in zip(lines, widths, lines[1:], strict=False):
        is_end = width < full or _ENDS_LINE.search(before)
        pieces += ["\n" if is_end else _between(before, line), line]
    return "".join(pieces)


def _narrow(words: str, after: After) -> Iterator[Clause]:
    """A clause that is too wide in parts of about the same width, cut at blanks where there are any."""
    begin, count = 0, -(-columns(words) // MOST_COLUMNS)
    while count > 1:
        size = (len(words) - begin) // count
        end = _nearest_blank(words, begin + size, size // 2)
        if part := words[begin:end].strip():
            yield Clause(part, letters_in(part), After.NOTHING)
        begin, count = end, count - 1
    rest = words[begin:].strip()
    yield Clause(rest, letters_in(rest), after)


def _nearest_blank(words: str, wanted: int, reach: int) -> int:
    before = words.rfind(" ", wanted - reach, wanted + 1)
    behind = words.find(" ", wanted, wanted + reach)
    blanks = [at for at in (before, behind) if at > 0]
    return min(blanks, key=lambda at: abs(at - wanted), default=wanted)
