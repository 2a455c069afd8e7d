"""Captions drawn into the picture: how large, where a long word may break, and the filter that draws them (libass).

Which fonts it finds is a matter of its environment: :mod:`render_worker.fonts`.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import Canvas
from shared.ffmpeg import file_url

# Of the canvas. A line of letters is as high as broadcasters set it; an upright picture has no room for that.
_OF_HEIGHT, _OF_WIDTH = 0.065, 0.075
_MARGIN = 0.05  # of the canvas on every side; screens that cut edges off cut less (EBU R 95)
_COLUMN = 0.5  # width of a narrow letter, of the height of a line; 0.37 in Noto Sans, 0.5 in DejaVu Sans
_FILLED = 0.7  # of the area within the margins, that the longest caption may take; lines are never quite full
_OUTLINE, _SHADOW = 0.07, 0.03  # of the height of a line
_TIMES = " --> "
_BREAK = "\u200b"  # a line may break here, and nothing is shown
_JOINS_NEXT = "\u200d\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"  # ZWJ; vowels before their consonant
_VIRAMA = 9  # the combining class of the sign that makes a conjunct of the letters around it
_LOOKS_PER_SECOND = 25  # no caption is shorter than a twenty-fifth of a second
_SOUGHT = re.compile(r"Glyph 0x([0-9A-F]+) not found, selecting one more font|fontselect: .* -> ")


@dataclass(frozen=True)
class Lettering:
    """Words as they are drawn: their file (WebVTT), and the height of a line in pixels of the canvas."""

    words: Path
    height: int
    canvas: Canvas

    def over(self, picture: Any) -> Any:
        """The words over a picture of the canvas's size."""
        return picture.filter("subtitles", filename=file_url(self.words), force_style=self._style())

    def _style(self) -> str:
        """White on black outlines, which any picture leaves readable, at the bottom."""
        canvas, height = self.canvas, self.height
        style = {
            "PlayResX": canvas.width,  # all that follows counts in pixels
            "PlayResY": canvas.height,
            "ScaledBorderAndShadow": "yes",
            "FontName": "sans-serif",
            "Fontsize": height,
            "PrimaryColour": "&H00FFFFFF",
            "OutlineColour": "&H00000000",
            "BackColour": "&H60000000",
            "BorderStyle": 1,
            "Outline": f"{height * _OUTLINE:.1f}",
            "Shadow": f"{height * _SHADOW:.1f}",
            "MarginL": round(canvas.width * _MARGIN),
            "MarginR": round(canvas.width * _MARGIN),
            "MarginV": round(canvas.height * _MARGIN),
            "Encoding": -1,  # each paragraph begins at the side where its first letter's script begins
        }
        return ",".join(f"{key}={value}" for key, value in style.items())


def letter_height(webvtt: str, canvas: Canvas) -> int:
    """The height of a line, in pixels: the usual one, or what leaves room for the longest caption."""
    width, height = canvas.width, canvas.height
    inner = (1 - 2 * _MARGIN) * _FILLED
    heights = [min(_OF_HEIGHT * height, _OF_WIDTH * width)]
    for text in _texts(webvtt):
        heights.append(math.sqrt(inner * width * (1 - 2 * _MARGIN) * height / (_COLUMN * max(1, _columns(text)))))
        heights.append(inner * height / max(1, len(text.splitlines())))
    return max(1, math.floor(min(heights)))


def breakable(webvtt: str, canvas: Canvas, height: int) -> str:
    """The same captions, in which words longer than a line may break between any two of their letters.

    Lines break by themselves at blanks and between the signs of Chinese and Japanese. There is no dictionary here for
    the scripts that put no blanks between words (Thai, Lao, Khmer, Burmese), so that a word may break there.
    """
    most = max(1, math.floor((1 - 2 * _MARGIN) * canvas.width / (_COLUMN * height)))

    def broken(line: str) -> str:
        return html.escape(
            "".join(_broken(word, most) for word in re.split(r"(\s+)", html.unescape(line))), quote=False
        )

    return "\n".join(line if _TIMES in line else broken(line) for line in webvtt.split("\n"))


def rehearsal(lettering: Lettering, seconds: float) -> list[str]:
    """The command that draws all words over nothing, so that :func:`missing` can tell from what it says."""
    tiny = ffmpeg.input("color=size=16x16", f="lavfi").filter("fps", _LOOKS_PER_SECOND)
    command: list[str] = (
        lettering.over(tiny).output("-", f="null", t=f"{seconds:.3f}").global_args("-loglevel", "info").compile()
    )
    return command[1:]


def missing(said: str) -> list[str]:
    """The signs for which no font was found, from what ffmpeg said of drawing them; those of one video, each once."""
    found: dict[str, None] = {}
    sought = None
    for line in [*_SOUGHT.finditer(said), None]:
        if sought and (line is None or line[1]):  # and no font was named in between
            found[chr(int(sought, 16))] = None
        sought = line and line[1]
    return list(found)


def _texts(webvtt: str) -> Iterator[str]:
    for block in webvtt.split("\n\n"):
        _, times, text = block.partition(_TIMES)
        if times:
            yield html.unescape(text.partition("\n")[2]).rstrip("\n")


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text if unicodedata.category(sign) != "Mn")


def _broken(word: str, most: int) -> str:
    if _columns(word) <= most or any(unicodedata.east_asian_width(sign) in "WF" for sign in word):
        return word
    parts = [word[0]]
    for before, sign in pairwise(word):
        is_whole = (
            unicodedata.category(sign).startswith("M")
            or sign == "\u200d"
            or before in _JOINS_NEXT
            or unicodedata.combining(before) == _VIRAMA
        )
        parts.append(sign if is_whole else _BREAK + sign)
    return "".join(parts)
