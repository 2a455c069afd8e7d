"""The readable story of a web page, as plain text with a blank line between paragraphs.

The main worker runs this in a child process (:mod:`main_worker.links.article`): the libraries are large, and hostile
pages make them slow.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

from trafilatura import bare_extraction, extract_metadata
from trafilatura.utils import load_html

from main_worker.links.addresses import quoted
from main_worker.links.article import OUT_OF_MEMORY
from main_worker.links.charset import decode
from main_worker.links.chunks import count_words
from main_worker.links.obstacle import obstacle_of
from shared.domain.errors import DropRefused, Rejection

_MEMORY_BYTES = 2 << 30  # of address space; the libraries alone take a quarter of it
_FEWEST_CHARACTERS = 50
_LOOSE_TEXT = 20
_BLOCK_TAGS = ("div", "h1", "h2", "h3", "h4", "h5", "h6")
_INLINE_TAGS = frozenset({"a", "abbr", "b", "br", "cite", "em", "i", "q", "small", "span", "strong", "sub", "sup", "u"})
_FEW_WORDS = 150  # of a text that may be only a part of the story
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
# What closes a page and no story: a line of copyright, a menu of four entries or more.
_FOOTER = re.compile(
    r"^(?:©|(?:copyright|\(c\))\W*\d{4}).{0,200}$|^[^|.!?\n]{1,40}(?: \| [^|.!?\n]{1,40}){3,}$", re.IGNORECASE
)
_NO_CHARACTER = re.compile("[\N{ZERO WIDTH NO-BREAK SPACE}\N{SOFT HYPHEN}]")
_MANY_BREAKS = re.compile(r"(?:<br\s*/?>\s*){3,}", re.IGNORECASE)  # say no more than two, and each costs
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")


def print_story(page: str, content_type: str, address: str) -> None:
    """What the child does: read the file *page* and print title and text, or the refusal, as JSON."""
    if sys.platform == "linux":  # others do not limit it, or in other units
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        title, text = extract(Path(page).read_bytes(), content_type or None, address)
        answer: dict[str, Any] = {"title": title, "text": text}
    except DropRefused as refused:
        if _is_short_of_memory():  # a parser that gets no memory finds no story, and does not say why
            sys.exit(OUT_OF_MEMORY)
        answer = {"refused": asdict(refused.rejection)}
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    sys.stdout.write(json.dumps(answer))


def _is_short_of_memory() -> bool:
    unit = 1024 if sys.platform == "linux" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit * 2 > _MEMORY_BYTES


def extract(body: bytes, content_type: str | None, address: str) -> tuple[str | None, str]:
    """Return title and text of the page in *body*; plain text is taken as it is, without a title.

    Raises:
        DropRefused: ``link_empty`` when no story of at least 50 characters is found, or a short text that stands in
            the place of one.
    """
    decoded = decode(body, content_type)
    if (content_type or "").strip().lower().startswith("text/plain"):
        text = re.sub(r"\r\n?", "\n", decoded).strip()
        if not text:
            raise _empty(address, "holds no text", "Use the address of the story itself.", text)
        return None, text
    title, text = _story(decoded, address)
    obstacle = obstacle_of(title or "", text, decoded)
    if obstacle is not None:
        raise _empty(address, obstacle.sentence, obstacle.advice, text)
    if len(text) < _FEWEST_CHARACTERS:
        advice = (
            "Use the address of the story itself: a page that lists stories, or shows pictures or a film, holds none."
        )
        raise _empty(address, "holds no story that can be read", advice, text)
    return title, text


def _empty(address: str, what: str, advice: str, text: str) -> DropRefused:
    sentence = f"The page at {quoted(address)} {what}."
    return DropRefused(Rejection("link_empty", sentence, advice, {"address": address, "characters": len(text)}))


def _story(page: str, address: str) -> tuple[str | None, str]:
    # The declaration speaks of bytes that are text by now, and the parser would believe it.
    markup = _XML_DECLARATION.sub("", _SIGNS.sub(" ", _NO_CHARACTER.sub("", page)), count=1)
    markup = _MANY_BREAKS.sub("<br><br>", markup)
    title = _ventured(lambda: _title(markup, address))
    return title or None, _ventured(lambda: _text_of(markup, address))


def _ventured(work: Callable[[], str]) -> str:
    try:
        return work()
    except MemoryError:
        raise  # it says that the page is too complex, not that it is empty
    except Exception:  # noqa: BLE001 - broken pages break the libraries in ways that these do not list
        return ""


def _title(markup: str, address: str) -> str:
    found: Any = extract_metadata(markup, default_url=address, extensive=False)
    return " ".join((found.title or "").split())


def _text_of(markup: str, address: str) -> str:
    found = _found(markup, address, fast=True)
    if count_words(found) < _FEW_WORDS:
        found = max(found, _found(markup, address, fast=False), key=count_words)
    return found


def _found(markup: str, address: str, *, fast: bool) -> str:
    """Return the story that trafilatura finds: *fast* by its own rules only, else compared with what others find."""
    tree = load_html(markup)
    if tree is None:
        return ""
    _free_layout_tables(tree)
    _wrap_loose_text(tree)
    _mark_double_breaks(tree)
    # Recall, because a lost first paragraph is worse in a narration than a line too many.
    found: Any = bare_extraction(
        tree, url=address, fast=fast, favor_recall=True, include_comments=False, include_tables=False
    )
    return "" if found is None else _paragraphs(found.body)


def _free_layout_tables(tree: Any) -> None:
    """Turn tables that only arrange a page into plain blocks, lest their stories go with the tables."""
    headed = _tables_around(tree.iter("th", "caption"))
    nesting = _tables_around(tree.iter("table"))
    layout = {table for table in tree.iter("table") if table not in headed and (table in nesting or _is_layout(table))}
    parts = tree.iter("tbody", "thead", "tfoot", "tr", "td")
    loose = [part for part in parts if next(part.iterancestors("table"), None) in layout]
    for element in (*layout, *loose):
        element.tag = "div"


def _tables_around(elements: Iterator[Any]) -> set[Any]:
    """All tables that hold any of these elements; each is looked at once, however deep they nest."""
    found: set[Any] = set()
    for element in elements:
        for table in element.iterancestors("table"):
            if table in found:
                break
            found.add(table)
    return found


def _is_layout(table: Any) -> bool:
    """Tell a table that arranges prose (one cell beside a picture, long cells) from a grid of figures."""
    rows = [[_length(cell) for cell in row.iter("td")] for row in table.iter("tr")]
    if any(length >= _LONG_CELL for row in rows for length in row):
        return True
    return sum(sum(map(bool, row)) >= _CELLS_OF_A_ROW for row in rows) < _ROWS_OF_A_GRID


def _wrap_loose_text(tree: Any) -> None:
    """Make paragraphs of text that stands bare after a block, lest it go with that block."""
    for block in list(tree.iter(*_BLOCK_TAGS)):
        if len((block.tail or "").strip()) >= _LOOSE_TEXT:
            paragraph = block.makeelement("p")
            paragraph.text, block.tail = block.tail, None
            following = list(takewhile(lambda element: element.tag in _INLINE_TAGS, block.itersiblings()))
            paragraph.extend(following)
            block.addnext(paragraph)


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
    paragraphs = [paragraph for paragraph in map(_lines, blocks) if paragraph]
    while paragraphs and _FOOTER.search(paragraphs[-1]):
        paragraphs.pop()
    return "\n\n".join(paragraphs)


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
