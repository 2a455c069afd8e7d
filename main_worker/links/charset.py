"""The character set of a fetched page: what its bytes say, what was declared, and which to believe."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Pages declare the small set and use the large one, so browsers read the large one.
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# Python's own codecs that no page is written in, some of them slow on hostile input.
_NOT_FOR_PAGES = frozenset({"utf-7", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})
_DECLARED = re.compile(rb"<(?:meta\b|\?xml\b)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HEADER_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARED_WITHIN = 8192
_SAMPLE = 9000
_NON_ASCII = bytes(range(128, 256))
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"
_REPLACEMENT = "\ufffd"


def looks_like_text(body: bytes) -> bool:
    """Tell whether *body* is text in some character set, judged by its control characters."""
    if _bom_encoding(body):
        return True
    if b"\0" in body:
        return False
    controls = len(body) - len(body.translate(None, _CONTROLS))
    return controls * 100 <= len(body)


def decode(body: bytes, content_type: str | None) -> str:
    """Return the text of *body*, with characters that fit nowhere replaced by U+FFFD.

    A byte order mark is believed first, then bytes that are plainly UTF-8 whatever was declared, then
    the declarations (in *content_type* and in the page) when the bytes bear them out, then a guess.
    """
    marked = _bom_encoding(body)
    if marked:
        return body.decode(marked, errors="replace")
    text = body.decode("utf-8", errors="replace")
    if _is_utf8(body, text):
        return text
    for encoding in (*_declared(body, content_type), *_guesses(body)):
        text = body.decode(encoding, errors="replace")
        if text.count(_REPLACEMENT) * 200 <= len(text):
            return text
    return body.decode("cp1252", errors="replace")


def _bom_encoding(body: bytes) -> str | None:
    return next((encoding for mark, encoding in _BOMS if body.startswith(mark)), None)


def _is_utf8(body: bytes, text: str) -> bool:
    """Tell whether *text*, decoded from *body*, has UTF-8 sequences and next to none that are broken."""
    broken = text.count(_REPLACEMENT)
    whole = len(text) - len(body.translate(None, _NON_ASCII)) - broken
    return whole > 0 and broken * 20 <= whole


def _declared(body: bytes, content_type: str | None) -> list[str]:
    header = _HEADER_CHARSET.search(content_type or "")
    page = _DECLARED.search(body, 0, _DECLARED_WITHIN)
    found = [
        _page_encoding(header[1]) if header else None,
        _page_encoding(page[1].decode("ascii", "replace")) if page else None,
    ]
    # Latin-1 in the header is often just the server's default, and the author of the page knows better.
    if found[0] == "cp1252":
        found.reverse()
    return [encoding for encoding in found if encoding]


def _page_encoding(name: str) -> str | None:
    try:
        known = codecs.lookup(name).name
        b"a".decode(known, errors="replace")  # lookup() also knows codecs such as hex, which give no text
    except (LookupError, ValueError):
        return None
    known = _SUPERSETS.get(known, known)
    return None if known in _NOT_FOR_PAGES else known


def _guesses(body: bytes) -> list[str]:
    from trafilatura.utils import detect_encoding  # noqa: PLC0415 - only who has to guess loads it

    # Mark-up is ASCII in any set and would drown what tells the sets apart.
    telling = b" ".join(run for run in re.split(rb"[<>\n]", body) if not run.isascii())
    if not telling:
        return ["utf-8"]
    return [guess for guess in map(_page_encoding, detect_encoding(telling[:_SAMPLE])) if guess]
