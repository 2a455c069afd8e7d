"""What may lie beside a voice as its text: prose and subtitles of any editor, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk

SUBRIP = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hi</i> there & <b>you</b>\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"
WEBVTT = """WEBVTT - a title

STYLE
::cue { color: red }

NOTE nobody sees this

one
00:01.000 --> 00:02.500 align:start
<v Bob>Hi there &amp; <c.loud>you</c>

00:03.000 --> 00:04.000
Bye
"""
PLAIN = "1\n00:00:01,000 --> 00:00:02,500\nHi there & you\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"


def written(desk: Desk, tmp_path: Path, name: str, content: bytes) -> tuple[str, str]:
    """What is filed of a drop: its suffix, and what it says."""
    drop = tmp_path / name
    drop.write_bytes(content)
    made = desk.examine(drop, Kind.TEXT).made
    assert made
    assert made[1].size == made[0].stat().st_size
    return made[0].suffix, made[0].read_bytes().decode()


@pytest.mark.parametrize(
    "content",
    [
        "Grüße, Welt.\r\nEnde.".encode(),
        b"\xef\xbb\xbf" + "Grüße, Welt.\nEnde.\n\n".encode(),
        "Grüße, Welt.\rEnde.".encode("cp1252"),
        "Grüße, Welt.\nEnde.".encode("utf-16"),
    ],
)
def test_prose_is_kept_as_utf8(desk: Desk, tmp_path: Path, content: bytes) -> None:
    """Whatever the editor and the system wrote."""
    assert written(desk, tmp_path, "one.TXT", content) == (".txt", "Grüße, Welt.\nEnde.\n")


@pytest.mark.parametrize(("name", "content"), [("one.srt", SUBRIP), ("one.vtt", WEBVTT)])
def test_subtitles_are_kept_without_marks(desk: Desk, tmp_path: Path, name: str, content: str) -> None:
    """Times and words only, also of files with the line ends of Windows."""
    assert written(desk, tmp_path, name, content.replace("\n", "\r\n").encode("utf-8-sig")) == (".srt", PLAIN)


@pytest.mark.parametrize(("name", "content"), [("one.txt", SUBRIP), ("one.vtt", SUBRIP), ("one.srt", WEBVTT)])
def test_what_a_text_is_its_content_says(desk: Desk, tmp_path: Path, name: str, content: str) -> None:
    """Programs save one format under the name of another, and nobody wants times read to them."""
    assert written(desk, tmp_path, name, content.encode()) == (".srt", PLAIN)


def test_signs_that_nobody_can_read_are_left_out(desk: Desk, tmp_path: Path) -> None:
    """They make players lose what follows; tabs stay."""
    odd = "One\x01 two\ufffe\tthree\x00.\n".encode("utf-16")
    assert written(desk, tmp_path, "one.txt", odd) == (".txt", "One two\tthree.\n")


def test_marks_of_style_are_no_words(desk: Desk, tmp_path: Path) -> None:
    """Nor are braces and backslashes taken for marks; a blank that does not break stays."""
    said = "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}{Note} C:\\new\n"
    shown = "1\n00:00:01,000 --> 00:00:02,000\n(Note) C:/new\n"
    assert written(desk, tmp_path, "one.srt", said.encode())[1] == shown
    french = "WEBVTT\n\n00:01.000 --> 00:02.000\nBonjour&nbsp;!\n"
    assert "Bonjour\u00a0!" in written(desk, tmp_path, "two.vtt", french.encode())[1]


REFUSED = {
    "no text": ("one.txt", bytes(range(256)) * 9, "is none"),
    "no word": ("one.txt", b"...\n\n - \n", "no word"),
    "addresses": ("one.txt", b"https://example.org/a\nhttp://example.org/b\n", "addresses only"),
    "no subtitles": ("one.srt", b"Just words.\n", "no captions that can be read as SubRip or WebVTT"),
    "no captions": ("one.vtt", b"WEBVTT\n\nNOTE nothing\n", "no captions that can be read as WebVTT"),
    "times only": ("one.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\n", "no captions that can be read as SubRip"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_text_is_refused(case: str, desk: Desk, tmp_path: Path) -> None:
    """With a reason, and nothing is left in staging."""
    name, content, words = REFUSED[case]
    drop = tmp_path / name
    drop.write_bytes(content)
    rejection = desk.refusal(drop, Kind.TEXT)
    assert rejection.code == "bad_text"
    assert words in rejection.sentence


def test_a_text_of_a_library_is_refused(desk: Desk, tmp_path: Path) -> None:
    """Nobody reads five megabytes in one voice."""
    drop = tmp_path / "one.txt"
    drop.write_bytes(b"word " * 1_000_001)
    assert desk.refusal(drop, Kind.TEXT).code == "bad_text"
