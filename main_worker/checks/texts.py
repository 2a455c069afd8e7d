"""Is a file the text of a voice: prose, or subtitles with their times? It is written anew as plain UTF-8."""

from __future__ import annotations

import re
import secrets
import unicodedata
from pathlib import Path

from main_worker.captions.cues import NO_MARKS, parse_cues
from main_worker.checks.cage import Cage, refused
from main_worker.links.charset import decode, looks_like_text
from shared.domain.errors import DropRefused
from shared.ffmpeg import file_url, last_line

MAX_BYTES = 5_000_000  # a voice of a day has less to say
SUBTITLES = ".srt"  # the suffix of what has times; everything else is prose
_TIMES = re.compile(r"^\s*[\d:]+[.,]\d+\s+-->", re.MULTILINE)
_MARKS = re.compile(r"\{\\[^}\n]*\}")  # of style, in the words of ASS; some programs write them into SubRip
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_CORRECT = "Export it again as plain text (.txt), SubRip (.srt) or WebVTT (.vtt)."


def write_text(cage: Cage, suffix: str, content: bytes, staging: Path) -> Path:
    """Write what a drop of this suffix says into `staging`: prose as ``.txt``, subtitles as ``.srt`` without marks.

    What it is, its content says: programs save one under the suffix of the other.

    Raises:
        DropRefused: there is nothing in it to be read, or something else.
    """
    if not looks_like_text(content):
        raise refused("bad_text", "The file is named as a text but is none.", _CORRECT)
    text = "".join(filter(_can_be_shown, decode(content, None).replace("\r\n", "\n").replace("\r", "\n")))
    if text.startswith("WEBVTT"):
        return _write(staging, SUBTITLES, _without_marks(cage, "webvtt", staging, text.replace("&nbsp;", "\u00a0")))
    if _TIMES.search(text):
        return _write(staging, SUBTITLES, _without_marks(cage, "srt", staging, text))
    if suffix != ".txt":
        raise _empty("The file has no captions that can be read as SubRip or WebVTT.")
    _check_prose(text)
    return _write(staging, suffix, text)


def _can_be_shown(sign: str) -> bool:
    """Whether a sign is one for readers; the others make players, and ffmpeg, lose what follows."""
    is_none = ord(sign) & 0xFFFE == 0xFFFE  # noqa: PLR2004 - the last two of each plane are no characters (Unicode)
    return sign in "\n\t\f" or not (is_none or unicodedata.category(sign) in ("Cc", "Cs"))


def _write(staging: Path, suffix: str, text: str) -> Path:
    target = staging / f"{secrets.token_hex(8)}{suffix}"
    target.write_text(text.rstrip("\n") + "\n", "utf-8", newline="\n")
    return target


def _check_prose(text: str) -> None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not any(map(str.isalnum, text)):
        raise _empty("There is no word in the file.")
    if all(map(_ADDRESS.fullmatch, lines)):
        sentence = "The file holds addresses only, but what lies beside a voice is taken for its text."
        raise refused("bad_text", sentence, "Put link files into raw/story/<category>/<story>/link/.")


def _without_marks(cage: Cage, demuxer: str, staging: Path, text: str) -> str:
    """What ffmpeg reads in subtitles, as SubRip without marks."""
    marked = _write(staging, f".{demuxer}", _MARKS.sub("", text).translate(NO_MARKS))
    plain = marked.with_suffix(".plain")
    try:
        ended, _ = cage.run(demuxer, marked, ["-c:s", "text", "-f", "srt", "-y", file_url(plain)])
        said = plain.read_text("utf-8", "replace") if ended.code == 0 else ""
    finally:
        marked.unlink()
        plain.unlink(missing_ok=True)
    if not parse_cues(said):
        shown = "SubRip" if demuxer == "srt" else "WebVTT"
        raise _empty(f"The file has no captions that can be read as {shown}.", ffmpeg=last_line(ended.errors))
    return said


def _empty(sentence: str, **measured: object) -> DropRefused:
    return refused("bad_text", sentence, _CORRECT, **measured)
