"""How words are drawn: their size on any canvas, where long ones may break, and what ffmpeg says of missing signs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.commands.lettering import Lettering, breakable, letter_height, missing, rehearsal
from shared.domain.plan import Canvas

LANDSCAPE, PORTRAIT, SQUARE = (Canvas(*size, Fraction(30)) for size in ((1920, 1080), (1080, 1920), (1080, 1080)))
BREAK = "\u200b"


def webvtt(*texts: str) -> str:
    blocks = [f"00:00:0{number}.000 --> 00:00:0{number + 1}.000\n{text}\n" for number, text in enumerate(texts)]
    return "WEBVTT\n\n" + "\n".join(blocks)


@pytest.mark.parametrize(("canvas", "height"), [(LANDSCAPE, 70), (PORTRAIT, 81), (SQUARE, 70)])
def test_a_line_is_as_high_as_the_canvas_has_room_for(canvas: Canvas, height: int) -> None:
    """Of its height where it lies, of its width where it stands."""
    assert letter_height(webvtt("Ein Drache"), canvas) == height


@pytest.mark.parametrize(
    "text", ["a " * 500, "龍" * 1000, "\n".join(["line"] * 40)], ids=["long", "wide", "many lines"]
)
def test_the_longest_caption_decides_where_it_needs_more_room(text: str) -> None:
    """All are as high, so that letters do not change their size within a video."""
    height = letter_height(webvtt("Ein Drache", text), LANDSCAPE)
    assert 15 < height < 60


def test_words_that_fit_into_a_line_stay_as_they_are() -> None:
    """So do Chinese and Japanese, which break between their signs, and times."""
    words = webvtt("Ein &lt;Drache&gt; &amp; ein Schloss", "昔々、あるところにお爺さんとお婆さんが住んでいました。" * 4)
    assert breakable(words, LANDSCAPE, 70) == words


def test_a_word_longer_than_a_line_may_break_anywhere() -> None:
    """But not within a sign that is written as a mark, and the words beside it stay whole."""
    long = "&amp;" + "x" * 60
    assert breakable(webvtt(f"so {long} so"), LANDSCAPE, 70) == webvtt(f"so &amp;{BREAK}{BREAK.join('x' * 60)} so")


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("e\u0301", ["e\u0301"]),
        ("\u0e17\u0e35\u0e48", ["\u0e17\u0e35\u0e48"]),
        ("\u0e40\u0e14", ["\u0e40\u0e14"]),
        ("\u0915\u094d\u0937\u093f", ["\u0915\u094d\u0937\u093f"]),
        ("\u0915\u0916", ["\u0915", "\u0916"]),
    ],
    ids=["an accent", "a Thai vowel and tone", "a Thai vowel before its consonant", "a conjunct", "two consonants"],
)
def test_what_is_one_sign_to_a_reader_stays_together(word: str, parts: list[str]) -> None:
    """Marks with their letter, vowels with their consonant."""
    assert breakable(webvtt(word * 60), LANDSCAPE, 70) == webvtt(BREAK.join(parts * 60))


def test_the_rehearsal_draws_all_words_over_nothing() -> None:
    """With the same style, often enough to meet each caption."""
    command = rehearsal(Lettering(Path("/farm/words.vtt"), 70, LANDSCAPE), 12.34)
    assert command[:4] == ["-f", "lavfi", "-i", "color=size=16x16"]
    graph = command[command.index("-filter_complex") + 1]
    assert graph.startswith(
        r"[0]fps=25[s0];[s0]subtitles=filename=file\\:/farm/words.vtt:force_style=PlayResX\\=1920\,"
    )
    assert command[-7:] == ["-f", "null", "-t", "12.340", "-", "-loglevel", "info"]


SAID = """\
[Parsed_subtitles_1 @ 0x1] fontselect: (sans-serif, 400, 0) -> /fonts/NotoSans.ttf, 0, NotoSans-Regular
[Parsed_subtitles_1 @ 0x1] Glyph 0x5E2 not found, selecting one more font for (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] fontselect: (sans-serif, 400, 0) -> /fonts/NotoSansHebrew.ttf, 0, NotoSansHebrew-Regular
[Parsed_subtitles_1 @ 0x1] Glyph 0x13000 not found, selecting one more font for (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] fontselect: failed to find any fallback with glyph 0x13000 for font: (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] Glyph 0x540 not found, selecting one more font for (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] Glyph 0x13000 not found, selecting one more font for (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] fontselect: failed to find any fallback with glyph 0x13000 for font: (sans-serif, 400, 0)
[Parsed_subtitles_1 @ 0x1] Glyph 0x12A0 not found, selecting one more font for (sans-serif, 400, 0)
"""


def test_signs_without_a_font_are_read_from_what_was_said() -> None:
    """Each once; also those for which libass has no room for one more font, which it does not complain of."""
    assert missing(SAID) == ["\U00013000", "\u0540", "\u12a0"]
    assert missing("") == []
