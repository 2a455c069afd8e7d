"""Where sentences end, in scripts with and without blanks between words."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDE_OPENERS = "「『（《〈【〔［｛〖｢"
WIDE_CLOSERS = "」』）》〉】〕］｝〗｣"
WIDE_ENDS = "。！？｡．"
_CLOSERS = re.escape(f"{WIDE_CLOSERS}\"'”’»›)]}}")
# Signs of scripts that put no blank after a sentence end it anywhere; . ! ? and … only before a blank.
_SIGNS = ".!?…‼⁇⁈⁉؟۔।॥։።။៕"
# A run of signs is looked at once, from its beginning on: else a page of dots would take minutes.
_SENTENCE_END = re.compile(rf"[{WIDE_ENDS}]++[{_CLOSERS}]*+|(?<![{_SIGNS}])[{_SIGNS}]++[{_CLOSERS}]*+(?=\s)")
_OPENERS = re.escape(f"{WIDE_OPENERS}\"'“‘„«‹([{{¿¡")
_NEXT_LETTER = re.compile(rf"\s+[{_OPENERS}]*(\w)")
_TITLES = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "rev", "capt", "col", "gen", "lt", "sgt", "hon"}
    | {"vs", "ca", "bzw", "mme", "mlle", "sra", "dra"}
)
_BEFORE_NUMBERS = frozenset({"no", "nr"})  # else they are words that end a sentence


def sentence_ends(text: str) -> Iterator[int]:
    """The offsets in *text* at which a sentence has ended, its closing signs included."""
    for found in _SENTENCE_END.finditer(text):
        if found.group()[0] in WIDE_ENDS or not _goes_on(text, found.start(), found.end()):
            yield found.end()


def _goes_on(text: str, sign: int, end: int) -> bool:
    """Tell whether the sentence goes on after the sign, as in ``Mr. Fox`` or ``"Why?" he said``."""
    following = _NEXT_LETTER.match(text, end)
    if following is not None and following[1].islower():
        return True
    if text[sign] != ".":
        return False
    before = re.split(r"\W", text[max(0, sign - 12) : sign])[-1]
    if before.lower() in _BEFORE_NUMBERS:
        return following is not None and following[1].isdigit()
    return before.lower() in _TITLES or (len(before) == 1 and before.isupper())
