"""Pages are fetched from a real server, within limits, and read without mojibake."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from main_worker.article import Article, fetch_article
from main_worker.story import extract
from shared.domain.errors import DropRefused, Rejection, Stopped

REALMEDIA = Path(os.environ.get("REELMILL_REALMEDIA") or Path(__file__).resolve().parents[3] / "shared/realmedia")
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


@dataclass(frozen=True)
class Settings:
    allow_loopback: bool = True
    timeout_seconds: float = 5.0
    max_bytes: int = 200_000
    retries: int = 0
    retry_seconds: float = 0.01
    extract_seconds: float = 60.0
    chunk_words: int = 10_000


class Site:
    """A web server of this machine whose pages are functions of the request."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.hits: list[str] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.hits.append(self.path)
                try:
                    site.pages.get(self.path, missing)(self)
                except OSError:
                    self.close_connection = True  # the client hung up, as many of these tests want

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def port(self) -> int:
        return self.server.server_port

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def serve(self, path: str, body: bytes, *, kind: str | None = "text/html", status: int = 200) -> str:
        self.pages[path] = lambda handler: answer(handler, body, kind=kind, status=status)
        return self.at(path)

    def redirect(self, path: str, target: str) -> str:
        def act(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.end_headers()

        self.pages[path] = act
        return self.at(path)

    def drip(self, path: str, start: bytes, piece: bytes, seconds: float) -> str:
        """Answer with *start*, then with *piece* again and again until the client or the test ends."""

        def act(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(start)
            while not self.closing.wait(seconds):
                handler.wfile.write(piece)
                handler.wfile.flush()

        self.pages[path] = act
        return self.at(path)

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def answer(handler: BaseHTTPRequestHandler, body: bytes, *, kind: str | None, status: int = 200) -> None:
    handler.send_response(status)
    if kind is not None:
        handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


HTML_START = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><p>"


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


def fetched(address: str, settings: Settings | None = None) -> Article:
    with tempfile.TemporaryDirectory() as scratch:
        article = fetch_article(address, settings or Settings(), lambda: False, Path(scratch))
        assert list(Path(scratch).iterdir()) == []
    return article


def rejection_of(address: str, settings: Settings | None = None) -> Rejection:
    with pytest.raises(DropRefused) as caught:
        fetched(address, settings)
    return caught.value.rejection


# Fetching


def test_a_good_page_becomes_a_story_with_a_title_and_paragraphs(site: Site) -> None:
    address = site.serve("/hare", page(*PARAGRAPHS).encode())
    assert fetched(address) == Article(address, address, "The Hare", "\n\n".join(PARAGRAPHS))


def test_a_compressed_page_is_unpacked(site: Site) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        body = gzip.compress(page(*PARAGRAPHS).encode())
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.pages["/packed"] = act
    assert fetched(site.at("/packed")).text == "\n\n".join(PARAGRAPHS)


def test_a_redirect_is_followed_and_the_final_address_kept(site: Site) -> None:
    site.serve("/hare", page(*PARAGRAPHS).encode())
    site.redirect("/b", site.at("/hare"))
    article = fetched(site.redirect("/a", "b"))
    assert (article.address, article.final_address) == (site.at("/a"), site.at("/hare"))


def test_plain_text_is_taken_as_it_is(site: Site) -> None:
    address = site.serve("/hare.txt", b"Chapter <1>\r\n\r\nShort & good.\r\n", kind="text/plain; charset=ascii")
    assert fetched(address) == Article(address, address, None, "Chapter <1>\n\nShort & good.")


def test_a_page_without_a_type_is_read_when_it_looks_like_text(site: Site) -> None:
    address = site.serve("/hare", page(*PARAGRAPHS).encode(), kind=None)
    assert fetched(address).title == "The Hare"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://me:secret@127.0.0.1/"])
def test_a_redirect_to_what_may_not_be_fetched_is_refused(site: Site, target: str) -> None:
    rejection = rejection_of(site.redirect("/a", target))
    assert rejection.code == "link_refused"
    assert "redirects to" in rejection.sentence
    assert "secret" not in str(rejection)


def test_a_redirect_into_a_private_network_is_refused_even_when_loopback_is_allowed(site: Site) -> None:
    rejection = rejection_of(site.redirect("/a", "http://169.254.169.254/latest/meta-data/"))
    assert rejection.code == "link_refused"
    assert "169.254.169.254" in rejection.sentence
    assert site.at("/a") in rejection.sentence


def test_a_circle_of_redirects_ends(site: Site) -> None:
    rejection = rejection_of(site.redirect("/a", "/a"))
    assert rejection.code == "link_failed"
    assert "redirects" in rejection.sentence


def test_the_endless_body_of_a_redirect_is_never_read(site: Site) -> None:
    site.serve("/hare", page(*PARAGRAPHS).encode())
    start = b"HTTP/1.0 302 Found\r\nLocation: /hare\r\n\r\n"
    assert fetched(site.drip("/a", start, b"x" * 1000, 0.001)).title == "The Hare"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "127.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_unless_allowed(site: Site, host: str) -> None:
    site.serve("/hare", page(*PARAGRAPHS).encode())
    address = f"http://{host}:{site.port}/hare"
    rejection = rejection_of(address, Settings(allow_loopback=False))
    assert rejection.code == "link_refused"
    assert address in rejection.sentence
    assert "links.allow_loopback" in rejection.advice
    assert site.hits == []


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "[fe80::1]", "[::ffff:10.0.0.1]"]
)
def test_other_private_addresses_are_refused_even_when_loopback_is_allowed(host: str) -> None:
    rejection = rejection_of(f"http://{host}/")
    assert rejection.code == "link_refused"
    assert "private or reserved" in rejection.sentence


def test_a_proxy_from_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would fetch private addresses on our behalf; here it would also break the good fetch."""
    proxy = Site()
    try:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.at(""))
        assert rejection_of("http://10.0.0.1/").code == "link_refused"
        assert fetched(site.serve("/hare", page(*PARAGRAPHS).encode())).title == "The Hare"
        assert proxy.hits == []
    finally:
        proxy.close()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "https://me:secret@a.example/", "no address"])
def test_an_address_that_no_link_file_may_hold_is_refused_here_too(address: str) -> None:
    assert rejection_of(address).code == "link_refused"


def test_a_missing_page_fails_at_once(site: Site) -> None:
    rejection = rejection_of(site.at("/nothing"), Settings(retries=3))
    assert rejection.code == "link_failed"
    assert "404" in rejection.sentence
    assert len(site.hits) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_tried_again(site: Site, status: int) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        if len(site.hits) < 3:
            handler.send_error(status)
        else:
            answer(handler, page(*PARAGRAPHS).encode(), kind="text/html")

    site.pages["/hare"] = act
    assert fetched(site.at("/hare"), Settings(retries=2)).title == "The Hare"


def test_a_lasting_trouble_fails_after_all_tries(site: Site) -> None:
    rejection = rejection_of(site.serve("/hare", b"", status=503), Settings(retries=2))
    assert rejection.code == "link_failed"
    assert "503" in rejection.sentence
    assert rejection.measured["tries"] == len(site.hits) == 3


def test_a_closed_port_fails() -> None:
    gone = Site()
    gone.close()
    rejection = rejection_of(gone.at("/"), Settings(retries=1))
    assert rejection.code == "link_failed"
    assert "cannot be reached" in rejection.sentence


def test_an_answer_that_breaks_off_is_no_story(site: Site) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        body = page(*PARAGRAPHS).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body)

    site.pages["/half"] = act
    rejection = rejection_of(site.at("/half"))
    assert rejection.code == "link_failed"
    assert "broke off" in rejection.sentence


def test_an_endless_body_is_cut_at_the_size_limit(site: Site) -> None:
    rejection = rejection_of(site.drip("/endless", HTML_START, b"word " * 2000, 0.0))
    assert rejection.code == "link_too_large"


def test_a_body_declared_too_large_is_not_read(site: Site) -> None:
    start = HTML_START.replace(b"\r\n\r\n", b"\r\nContent-Length: 99999999999999999999\r\n\r\n")
    assert rejection_of(site.drip("/huge", start, b"x", 0.05)).code == "link_too_large"


def test_a_body_that_grows_when_unpacked_is_cut_at_the_size_limit(site: Site) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        body = gzip.compress(b"word " * 2_000_000)
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.pages["/bomb"] = act
    assert rejection_of(site.at("/bomb")).code == "link_too_large"


@pytest.mark.parametrize("start", [HTML_START, b"HTTP/1.0 200 OK\r\nX-Slow: "], ids=["slow body", "slow headers"])
def test_a_slow_drip_is_cut_at_the_time_limit(site: Site, start: bytes) -> None:
    """Each byte comes well within any read timeout, so only a total limit ends this."""
    rejection = rejection_of(site.drip("/drip", start, b"x", 0.02), Settings(timeout_seconds=0.4))
    assert rejection.code == "link_failed"
    assert "within 0.4 seconds" in rejection.sentence


def test_redirects_share_one_time_limit(site: Site) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        site.closing.wait(0.15)
        handler.send_response(302)
        handler.send_header("Location", "/slow")
        handler.end_headers()

    site.pages["/slow"] = act
    rejection = rejection_of(site.at("/slow"), Settings(timeout_seconds=0.4))
    assert rejection.code == "link_failed"
    assert len(site.hits) < 6


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "video/mp4"])
def test_what_declares_itself_no_text_is_refused(site: Site, kind: str) -> None:
    rejection = rejection_of(site.serve("/x", b"words", kind=kind))
    assert rejection.code == "link_not_text"
    assert kind in rejection.sentence


@pytest.mark.parametrize("kind", ["text/html", "text/plain", None])
def test_a_binary_body_is_refused_whatever_it_is_called(site: Site, kind: str | None) -> None:
    body = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20
    assert rejection_of(site.serve("/x", body, kind=kind)).code == "link_not_text"


@pytest.mark.parametrize("body", [b"", b"   ", page("Too short.").encode(), page().encode()])
def test_a_page_without_a_story_is_refused(site: Site, body: bytes) -> None:
    rejection = rejection_of(site.serve("/x", body))
    assert rejection.code == "link_empty"
    assert site.at("/x") in rejection.sentence


def test_a_stop_ends_the_wait_for_the_next_try(site: Site, tmp_path: Path) -> None:
    address = site.serve("/x", b"", status=500)
    with pytest.raises(Stopped):
        fetch_article(address, Settings(retries=5, retry_seconds=600), lambda: len(site.hits) > 0, tmp_path)


def test_a_stop_ends_a_fetch_in_the_middle_of_an_answer(site: Site, tmp_path: Path) -> None:
    address = site.drip("/x", HTML_START, b"x", 0.02)
    with pytest.raises(Stopped):
        fetch_article(address, Settings(timeout_seconds=600), lambda: len(site.hits) > 0, tmp_path)


def test_after_a_stop_nothing_is_asked_for(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fetch_article(site.at("/x"), Settings(), lambda: True, tmp_path)
    assert site.hits == []


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


# Real pages


def real(name: str) -> str:
    return text_of((REALMEDIA / "html" / name / "page.html").read_bytes(), "text/html")


def tokens(text: str) -> Counter[str]:
    return Counter(re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|\w+", text))


def f1(text: str, expected: str) -> float:
    ours, theirs = tokens(text), tokens(expected)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


@needs_pages
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ar-newspaper", 0.85),
        ("cnn-markets", 0.99),
        ("guardian", 0.99),
        ("gutenberg-peter-rabbit", 0.98),
        ("gutenberg-yellow-wallpaper", 0.98),
        ("kr-entermedia", 0.97),
        ("lwn", 0.92),
        ("oregonlive-dear-abby", 0.99),
        ("royal-road", 0.99),
        ("ru-vse-diety", 0.98),
        ("thespacereview", 0.97),
        ("zh-newspaper", 0.99),
    ],
)
def test_a_real_page_gives_its_story(name: str, least: float) -> None:
    """The bounds lie a little under what was measured, so that a changed library is noticed."""
    assert f1(real(name), (REALMEDIA / "html" / name / "expected.txt").read_text(encoding="utf-8")) >= least


@needs_pages
@pytest.mark.parametrize("name", ["de-winfuture-latin1", "pl-rp-windows1250", "zh-xinhuanet-gb2312"])
def test_a_real_page_in_an_old_charset_is_read_without_mojibake(name: str) -> None:
    snippets = json.loads((REALMEDIA / "html" / name / "expected-snippets.json").read_text(encoding="utf-8"))
    text = real(name)
    assert [snippet for snippet in snippets["with"] if snippet not in text] == []
    assert "\ufffd" not in text


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
