"""Words counted and long texts split into chunks, in scripts with and without blanks between words."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from main_worker.captions.sentences import WIDE_CLOSERS, WIDE_ENDS, WIDE_OPENERS, sentence_ends

# Han, kana and bopomofo: one character counts as one word. The middle dot of the kana block is punctuation.
_SINGLE = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Thai, Lao, Burmese and Khmer put blanks between phrases only; four clusters are about one word.
_UNSPACED_BLOCKS = (range(0x0E00, 0x0F00), range(0x1000, 0x10A0), range(0x1780, 0x1800))
_CLUSTERS_PER_WORD = 4

_TINY = 4  # a chunk of less than a fourth of the words it may have


def _in_blocks(*, marks: bool) -> str:
    letters = (chr(point) for block in _UNSPACED_BLOCKS for point in block)
    kinds = {"M"} if marks else {"L", "N"}
    return "".join(letter for letter in letters if unicodedata.category(letter)[0] in kinds)


_CLUSTER = f"[{_in_blocks(marks=False)}][{_in_blocks(marks=True)}]*"
_UNSPACED = _in_blocks(marks=False) + _in_blocks(marks=True)
_WIDE = f"{WIDE_OPENERS}{WIDE_CLOSERS}{WIDE_ENDS}、，：；・"
_UNIT = re.compile(
    rf"[{WIDE_OPENERS}“‘]*[{_SINGLE}]"
    rf"|(?:{_CLUSTER}){{1,{_CLUSTERS_PER_WORD}}}"
    rf"|[^\s{_SINGLE}{_UNSPACED}{re.escape(_WIDE)}]+"
)

_LINE_END = r"(?:\r\n|\r(?!\n)|\n)"
_PARAGRAPH_END = re.compile(rf"{_LINE_END}[^\S\r\n]*{_LINE_END}|\u2029")


def count_words(text: str) -> int:
    """Return the number of words of *text*.

    A word is a run of non-blank characters with a letter or digit in it; each Han or kana character
    counts as one, and so do every four letters of scripts such as Thai. Hangul is spaced, so counts by runs.
    """
    return len(_word_starts(text))


def split(text: str, max_words: int) -> tuple[str, ...]:
    """Split *text* into chunks of at most *max_words* words, filled greedily.

    A chunk ends at the last paragraph end that fills at least half of it, else at the last such sentence end, else at
    the last end there is, else (one sentence is longer than a chunk) at a word. A last chunk of less than a quarter is
    evened out with the one before, where a paragraph or sentence ends between. Nothing is lost but blanks around a
    chunk; a blank text gives none.

    Raises:
        ValueError: *max_words* is below 1.
    """
    if max_words < 1:
        raise ValueError(f"max_words must be at least 1, not {max_words}")
    starts = _word_starts(text)
    ends = _Ends(
        paragraphs=_words_after((found.end() for found in _PARAGRAPH_END.finditer(text)), starts),
        sentences=_words_after(sentence_ends(text), starts),
    )
    firsts = [0]
    while len(starts) - firsts[-1] > max_words:
        firsts.append(_cut(firsts[-1], max_words, ends))
    if len(firsts) > 1 and (len(starts) - firsts[-1]) * _TINY < max_words:
        firsts[-1] = _evened(firsts[-2], firsts[-1], len(starts), max_words, ends)
    cuts = (0, *(starts[first] for first in firsts[1:]), len(text))
    chunks = (text[begin:end].strip() for begin, end in pairwise(cuts))
    return tuple(chunk for chunk in chunks if chunk)


@dataclass(frozen=True)
class _Ends:
    """The numbers of the words that come first after paragraphs and sentences, in order."""

    paragraphs: list[int]
    sentences: list[int]


def _cut(first: int, max_words: int, ends: _Ends) -> int:
    """Return the word that begins the next chunk when this one begins with word *first*."""
    latest = [_latest(boundaries, first + max_words) for boundaries in (ends.paragraphs, ends.sentences)]
    filling = [boundary for boundary in latest if boundary - first >= max(1, max_words / 2)]
    if filling:
        return filling[0]
    return max(latest) if max(latest) > first else first + max_words


def _latest(boundaries: list[int], most: int) -> int:
    found = bisect_right(boundaries, most)
    return boundaries[found - 1] if found else 0


def _evened(begin: int, cut: int, end: int, max_words: int, ends: _Ends) -> int:
    """Return where to cut the words from *begin* to *end* in two instead of at *cut*, which leaves the rest tiny."""
    least = max(max_words / _TINY, end - begin - max_words)  # of either part
    for boundaries in (ends.paragraphs, ends.sentences):
        fit = boundaries[bisect_left(boundaries, begin + least) : bisect_right(boundaries, end - least)]
        if fit:
            return min(fit, key=lambda boundary: abs(2 * boundary - begin - end))
    is_end = any(_latest(boundaries, cut) == cut for boundaries in (ends.paragraphs, ends.sentences))
    return cut if is_end else (begin + end + 1) // 2


def _word_starts(text: str) -> list[int]:
    return [unit.start() for unit in _UNIT.finditer(text) if any(c.isalnum() for c in unit.group())]


def _words_after(ends: Iterable[int], starts: list[int]) -> list[int]:
    """Return the numbers of the words that come first after each of *ends* (offsets in the text)."""
    return [bisect_left(starts, end) for end in ends]
