"""The story of a page is found whatever its character set, its mark-up and what stands around it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest

from benchmarks.realmedia import REALMEDIA
from main_worker.links.story import extract
from shared.domain.errors import DropRefused, Rejection

needs_pages = pytest.mark.skipif(
    not (REALMEDIA / "html").is_dir(), reason="the real web pages (realmedia/html) are not on this machine"
)

PARAGRAPHS = (
    "Once upon a time a small brown hare lived at the edge of a very large and very quiet forest.",
    "Every morning it counted the trees, and every evening it was sure that one of them had moved.",
    "In the end it asked the owl, who said that trees walk only when nobody is counting them.",
)


def page(*paragraphs: str, head: str = "<title>The Hare</title>") -> str:
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in paragraphs)
    return f"<!DOCTYPE html><html><head>{head}</head><body><article>{body}</article></body></html>"


# Character sets

STORIES = {
    "cp1251": "Жили-были старик со старухой у самого синего моря, и ловил старик неводом рыбу каждый день.",
    "cp1250": "Zażółć gęślą jaźń, powiedział wilk, a dziewczynka w czerwonym kapturku poszła dalej ścieżką.",
    "cp1252": "Der „Bär“ fraß süße Beeren über dem Fluß – und die Öfen glühten für das große Frühstück.",
    "gb18030": "从前有一只小兔子住在大森林的旁边，它每天早上都要数一数树木，每天晚上都觉得有一棵树走动过了，"
    "于是它去问猫头鹰，猫头鹰回答说树木只有在没有人数的时候才会走路。",
    "cp932": "むかしむかし、あるところに、おじいさんとおばあさんが住んでいました。おじいさんは山へ柴刈りに、"
    "おばあさんは川へ洗濯に行きました。ももがどんぶらこと流れてきました。",
    "cp949": "옛날 옛적에 깊은 산속에 호랑이 한 마리가 살았습니다. 호랑이는 날마다 배가 고파서 마을로 내려가 "
    "떡 하나 주면 안 잡아먹지 하고 말했습니다.",
}


def text_of(body: bytes, content_type: str | None) -> str:
    return extract(body, content_type, "http://a.example/")[1]


@pytest.mark.parametrize(("encoding", "story"), STORIES.items(), ids=STORIES)
def test_a_charset_declared_by_the_server_is_used(encoding: str, story: str) -> None:
    body = page(story).encode(encoding)
    assert text_of(body, f'text/html; charset="{encoding}"') == story


@pytest.mark.parametrize(("encoding", "story"), STORIES.items(), ids=STORIES)
def test_a_charset_declared_by_the_page_is_used(encoding: str, story: str) -> None:
    declared = f'<meta http-equiv="Content-Type" content="text/html; charset={encoding}">'
    body = page(story, head=declared).encode(encoding)
    assert text_of(body, "text/html") == story


@pytest.mark.parametrize(("encoding", "story"), STORIES.items(), ids=STORIES)
def test_the_page_is_believed_where_the_server_only_says_its_default(encoding: str, story: str) -> None:
    body = page(story, head=f"<meta charset='{encoding}'>").encode(encoding)
    assert text_of(body, "text/html; charset=ISO-8859-1") == story


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "cp932", "cp949"])
def test_an_undeclared_charset_is_found_from_the_bytes(encoding: str) -> None:
    story = STORIES[encoding]
    assert text_of(page(story).encode(encoding), None) == story


@pytest.mark.parametrize("declared", ["iso-8859-15", "windows-1252", "gb2312", "us-ascii", "no-such-set", "utf-7"])
def test_utf8_is_utf8_whatever_was_declared(declared: str) -> None:
    story = STORIES["cp1252"]
    body = page(story, head=f'<meta charset="{declared}">').encode()
    assert text_of(body, f"text/html; charset={declared}") == story


@pytest.mark.parametrize("declared", ["hex", "rot13", "idna", "undefined", "utf-7", "x" * 500])
def test_a_declared_charset_that_is_none_is_ignored(declared: str) -> None:
    story = STORIES["cp1251"]
    assert text_of(page(story).encode("cp1251"), f"text/html; charset={declared}") == story


def test_a_page_that_wrongly_says_utf8_is_read_by_its_bytes() -> None:
    story = STORIES["cp1251"]
    body = page(story, head='<meta charset="utf-8">').encode("cp1251")
    assert text_of(body, "text/html; charset=utf-8") == story


def test_one_broken_byte_does_not_change_the_charset() -> None:
    story = STORIES["cp1251"]
    body = page(f"{story} \u2588").encode().replace("\u2588".encode(), b"\xff")
    assert text_of(body, "text/html; charset=windows-1251") == f"{story} \ufffd"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding: str) -> None:
    story = STORIES["cp932"]
    assert text_of(page(story).encode(encoding), "text/html; charset=iso-8859-1") == story


def test_an_xml_declaration_does_not_bring_back_the_wrong_charset() -> None:
    story = STORIES["cp1252"]
    body = '<?xml version="1.0" encoding="iso-8859-1"?>\n' + page(story)
    assert text_of(body.encode(), "application/xhtml+xml") == story


# Paragraphs and tables


def test_lines_wrapped_in_the_markup_become_one_line() -> None:
    wrapped = [paragraph.replace(" ", "\n   ") for paragraph in PARAGRAPHS]
    assert text_of(page(*wrapped).encode(), "text/html") == "\n\n".join(PARAGRAPHS)


def test_a_line_break_stays_and_two_make_a_paragraph() -> None:
    body = page("<br>".join(PARAGRAPHS[:2]) + "<br><br>\n" + PARAGRAPHS[2])
    expected = f"{PARAGRAPHS[0]}\n{PARAGRAPHS[1]}\n\n{PARAGRAPHS[2]}"
    assert text_of(body.encode(), "text/html") == expected


def test_a_story_inside_a_table_that_arranges_the_page_is_kept() -> None:
    rows = "".join(f"<table><tr><td><img src=x></td><td><p>{p}</p></td></tr></table>" for p in PARAGRAPHS)
    body = f"<html><body><table><tr><td>{rows}</td></tr></table></body></html>"
    assert text_of(body.encode(), "text/html") == "\n\n".join(PARAGRAPHS)


def test_a_table_of_figures_is_not_read_out() -> None:
    rows = "".join(f"<tr><td>Year {n}</td><td>{n * 1000}</td></tr>" for n in range(5))
    body = page(*PARAGRAPHS).replace("</article>", f"<table>{rows}</table></article>")
    assert text_of(body.encode(), "text/html") == "\n\n".join(PARAGRAPHS)


def test_a_very_deep_page_ends_in_words_or_in_a_refusal() -> None:
    body = ("<div>" * 20_000 + PARAGRAPHS[0] + "</div>" * 20_000).encode()
    with suppress(DropRefused):
        assert PARAGRAPHS[0] in text_of(b"<html><body>" + body + b"</body></html>", "text/html")


def test_text_that_stands_bare_after_a_block_is_kept() -> None:
    """A byline is no story, but what follows it in the same breath is."""
    bare = f"{PARAGRAPHS[0][:40]}<a href='/x'>{PARAGRAPHS[0][40:50]}</a>{PARAGRAPHS[0][50:]}"
    body = page(*PARAGRAPHS[1:]).replace("<article>", f"<article><div class='byline'>By A. Hare</div>{bare}")
    assert "\n\n".join(PARAGRAPHS) in text_of(body.encode(), "text/html")


def test_a_heap_of_breaks_says_no_more_than_two() -> None:
    """A million of them take half a minute and two gigabytes otherwise."""
    body = page(("<br />\n" * 5000).join(PARAGRAPHS[:2]))
    assert text_of(body.encode(), "text/html") == "\n\n".join(PARAGRAPHS[:2])


def test_tables_in_tables_are_read_once() -> None:
    """Old pages nest them, and a table of figures within stays out."""
    grid = "".join(f"<tr><th>Year {n}</th><td>{n * 1000}</td></tr>" for n in range(4))
    inner = f"<table><tr><td><p>{PARAGRAPHS[0]}</p></td></tr></table><table>{grid}</table>"
    nested = "<table><tr><td>" * 40 + inner + "</td></tr></table>" * 40
    body = f"<html><body>{nested}<p>{PARAGRAPHS[1]}</p><p>{PARAGRAPHS[2]}</p></body></html>"
    text = text_of(body.encode(), "text/html")
    assert [text.count(paragraph) for paragraph in PARAGRAPHS] == [1, 1, 1]


@pytest.mark.parametrize(
    "footer", ["© 2013 A Publisher. All Rights Reserved.", "Copyright 2020", "Home | World | Sports | About us"]
)
def test_the_line_that_closes_a_page_is_no_part_of_the_story(footer: str) -> None:
    """Copyright and menus are not read out; the same words inside a story are."""
    assert text_of(page(*PARAGRAPHS, footer).encode(), "text/html") == "\n\n".join(PARAGRAPHS)
    inside = (PARAGRAPHS[0], footer, *PARAGRAPHS[1:])
    assert text_of(page(*inside).encode(), "text/html") == "\n\n".join(inside)


def test_characters_that_show_nothing_are_dropped() -> None:
    """Soft hyphens and a byte order mark in the middle would be stumbled over."""
    hyphened = PARAGRAPHS[0].replace("forest", "for\u00adest")
    body = page(f"\ufeff{hyphened}", *PARAGRAPHS[1:])
    assert text_of(body.encode(), "text/html") == "\n\n".join(PARAGRAPHS)


# Pages without a story


def refusal(body: str, content_type: str = "text/html") -> Rejection:
    with pytest.raises(DropRefused) as refused:
        extract(body.encode(), content_type, "http://a.example/story")
    rejection = refused.value.rejection
    assert rejection.code == "link_empty"
    assert "http://a.example/story" in rejection.sentence
    return rejection


SCRIPT_ONLY = """<!DOCTYPE html><html><head><title>A Tale</title></head><body><div id="root"></div>
<noscript>You need to enable JavaScript to run this app.</noscript><script src="/app.js"></script></body></html>"""
NOT_FOUND = page(
    "Sorry, we could not find the page that you were looking for. It may have been moved or deleted.",
    "Go back to the front page, or search for something else.",
    head="<title>404 - Page not found | The Daily Hare</title>",
)
CONSENT = page(
    "We value your privacy. We and our partners use cookies to store and access information on your device.",
    "With your consent we may use precise location data. You can accept or reject all of this below.",
)
STUB = page(PARAGRAPHS[0], "Subscribe to continue reading this story. Already a subscriber? Sign in.")
STUB_BY_MARKUP = page(
    PARAGRAPHS[0], head='<title>x</title><script type="application/ld+json">{"isAccessibleForFree": "False"}</script>'
)
ROBOT = page(
    "Checking your browser before accessing this site. Please wait a few seconds.",
    head="<title>Just a moment...</title>",
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (SCRIPT_ONLY, "only by script"),
        (NOT_FOUND, "is an error page"),
        (CONSENT, "request for consent"),
        (STUB, "subscribers"),
        (STUB_BY_MARKUP, "subscribers"),
        (ROBOT, "robot"),
        (page("Too short."), "holds no story"),
    ],
    ids=["script", "error", "consent", "stub", "stub-by-markup", "robot", "short"],
)
def test_what_stands_in_the_place_of_a_story_is_named(body: str, words: str) -> None:
    """Each with the advice that helps."""
    rejection = refusal(body)
    assert words in rejection.sentence
    assert rejection.advice.endswith(".")


def test_a_text_file_of_blanks_is_empty() -> None:
    """There is nothing to read out."""
    assert "holds no text" in refusal("  \n ", "text/plain").sentence


@pytest.mark.parametrize(
    "line",
    [
        "The cookie monster asked for consent, and the hare would not accept: privacy matters.",
        "Subscribe to continue reading, said the owl, who was already a subscriber.",
        "You need to enable JavaScript, said the tree.",
    ],
)
def test_a_story_may_speak_of_such_things(line: str) -> None:
    """Only a short text is suspected."""
    story = [line, *(PARAGRAPHS * 3)]
    assert text_of(page(*story).encode(), "text/html").startswith(line)


def test_the_worker_itself_does_not_load_the_libraries_that_read_pages() -> None:
    """They cost memory and time, and only the child needs them."""
    program = "import sys, main_worker.daemon; sys.exit('trafilatura' in sys.modules or 'lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Real pages


def real(name: str) -> str:
    return text_of((REALMEDIA / "html" / name / "page.html").read_bytes(), "text/html")


@needs_pages
def test_a_real_page_with_a_wrong_charset_is_read_without_mojibake() -> None:
    text = real("es-elmundo-wrong-charset")
    expected = REALMEDIA / "html" / "es-elmundo-wrong-charset" / "expected.txt"
    assert expected.read_text(encoding="utf-8").strip() in text
    assert "kilómetros de Lyon" in text
    assert "Ã" not in text


@needs_pages
def test_the_whole_fairy_tale_of_a_table_page_is_there() -> None:
    text = real("hukumusume-fairytale")
    assert "肉をくわえたイヌが、橋を渡っていました。" in text
    assert text.index("おしまい") > text.index("欲張るとけっきょく損をするというお話しです。")


@needs_pages
def test_a_hard_wrapped_book_comes_in_paragraphs() -> None:
    paragraphs = real("gutenberg-yellow-wallpaper").split("\n\n")
    opening = "It is very seldom that mere ordinary people like John and myself secure ancestral halls"
    assert any(paragraph.startswith(opening) and "\n" not in paragraph for paragraph in paragraphs)
