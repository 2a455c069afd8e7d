"""The readable story of a web page, as plain text with a blank line between paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from trafilatura import bare_extraction, extract_metadata
from trafilatura.utils import load_html

from main_worker.addresses import quoted
from main_worker.charset import decode
from main_worker.fetch import LinkSettings, fetch
from shared.domain.errors import DropRefused, Rejection

__all__ = ["Article", "LinkSettings", "extract", "fetch_article"]

_FEWEST_CHARACTERS = 50
_LONG_CELL = 40
_ROWS_OF_A_GRID = 2
_CELLS_OF_A_ROW = 2

# The names of trafilatura's result tree; text outside them flows on within the paragraph.
_BLOCKS = frozenset({"body", "p", "head", "item", "list", "quote", "code", "table", "row", "cell", "div"})
_PREFORMATTED = frozenset({"quote", "code"})
# Signs for the end of a paragraph and of a line; those that a page holds itself are blanked first. The
# first must be printable and no blank to come through trafilatura.
_PARAGRAPH, _LINE = "\N{REVERSED PILCROW SIGN}", "\x1e"
_SIGNS = re.compile(f"[{_PARAGRAPH}{_LINE}]")
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")


@dataclass(frozen=True)
class Article:
    """A story taken from the web.

    Attributes:
        address: the one from the link file.
        final_address: where it was found, after redirects.
        title: as the page names it, None when it does not.
        text: paragraphs separated by a blank line.
    """

    address: str
    final_address: str
    title: str | None
    text: str


def fetch_article(address: str, settings: LinkSettings, stopping: Callable[[], bool]) -> Article:
    """Fetch *address* and return its story.

    Raises:
        DropRefused: as :func:`main_worker.fetch.fetch` and :func:`extract` do.
        Stopped: *stopping* turned true while waiting for the network.
    """
    page = fetch(address, settings, stopping)
    title, text = extract(page.body, page.content_type, address)
    return Article(address=address, final_address=page.final_address, title=title, text=text)


def extract(body: bytes, content_type: str | None, address: str) -> tuple[str | None, str]:
    """Return title and text of the page in *body*; plain text is taken as it is, without a title.

    Raises:
        DropRefused: ``link_empty`` when no story of at least 50 characters is found.
    """
    decoded = decode(body, content_type)
    if (content_type or "").strip().lower().startswith("text/plain"):
        title, text = None, re.sub(r"\r\n?", "\n", decoded).strip()
        fewest = 1
    else:
        title, text = _story(decoded, address)
        fewest = _FEWEST_CHARACTERS
    if len(text) < fewest:
        raise DropRefused(
            Rejection(
                code="link_empty",
                sentence=f"The page at {quoted(address)} holds no story that can be read.",
                advice="Use the address of the story itself; pages that show their text only by script, "
                "or only after signing in, cannot be read.",
                measured={"address": address, "characters": len(text)},
            )
        )
    return title, text


def _story(page: str, address: str) -> tuple[str | None, str]:
    # The declaration speaks of bytes that are text by now, and the parser would believe it.
    markup = _XML_DECLARATION.sub("", _SIGNS.sub(" ", page), count=1)
    title = _ventured(lambda: _title(markup, address))
    return title or None, _ventured(lambda: _text_of(markup, address))


def _ventured(work: Callable[[], str]) -> str:
    try:
        return work()
    except Exception:  # noqa: BLE001 - broken pages break the libraries in ways that these do not list
        return ""


def _title(markup: str, address: str) -> str:
    found: Any = extract_metadata(markup, default_url=address, extensive=False)
    return " ".join((found.title or "").split())


def _text_of(markup: str, address: str) -> str:
    tree = load_html(markup)
    if tree is None:
        return ""
    _free_layout_tables(tree)
    _mark_double_breaks(tree)
    # Recall, because a lost first paragraph is worse in a narration than a line too many.
    found: Any = bare_extraction(tree, url=address, favor_recall=True, include_comments=False, include_tables=False)
    return "" if found is None else _paragraphs(found.body)


def _free_layout_tables(tree: Any) -> None:
    """Turn tables that only arrange a page into plain blocks, lest their stories go with the tables."""
    layout = {table for table in tree.iter("table") if _is_layout(table)}
    parts = tree.iter("tbody", "thead", "tfoot", "tr", "td")
    loose = [part for part in parts if next(part.iterancestors("table"), None) in layout]
    for element in (*layout, *loose):
        element.tag = "div"


def _is_layout(table: Any) -> bool:
    """Tell a table that arranges prose (one cell beside a picture, long cells) from a grid of figures."""
    if next(table.iter("th", "caption"), None) is not None:
        return False
    if next(table.iterdescendants("table"), None) is not None:
        return True
    rows = [[_length(cell) for cell in row.iter("td")] for row in table.iter("tr")]
    if any(length >= _LONG_CELL for row in rows for length in row):
        return True
    return sum(sum(map(bool, row)) >= _CELLS_OF_A_ROW for row in rows) < _ROWS_OF_A_GRID


def _mark_double_breaks(tree: Any) -> None:
    """Mark the paragraphs that old pages make by two line breaks, of which trafilatura keeps one."""
    for line_break in tree.iter("br"):
        following = line_break.getnext()
        if following is not None and following.tag == "br" and not (line_break.tail or "").strip():
            line_break.tail = _PARAGRAPH


def _length(cell: Any) -> int:
    return len(" ".join("".join(cell.itertext()).split()))


def _paragraphs(body: Any) -> str:
    """Return the blocks of *body*, with mark-up's line wraps undone and its own line breaks kept."""
    blocks = "".join(_pieces(body)).split(_PARAGRAPH)
    paragraphs = (_lines(block) for block in blocks)
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _lines(block: str) -> str:
    lines = (" ".join(line.split()) for line in block.split(_LINE))
    return "\n".join(line for line in lines if line)


def _pieces(body: Any) -> Iterator[str]:
    # A stack of its own, because pages nest deeper than Python calls.
    todo: list[Any] = [body]
    while todo:
        piece = todo.pop()
        if isinstance(piece, str):
            yield piece
            continue
        edge = _LINE if piece.tag == "lb" else _PARAGRAPH if piece.tag in _BLOCKS else ""
        within: list[Any] = [edge, _held(piece, piece.text)]
        for child in piece:
            within += (child, _held(piece, child.tail))
        within.append("" if piece.tag == "lb" else edge)
        todo.extend(reversed(within))


def _held(holder: Any, text: str | None) -> str:
    if text and holder.tag in _PREFORMATTED:
        return re.sub(r"\n[^\S\n]*\n", _PARAGRAPH, text)
    return text or ""
