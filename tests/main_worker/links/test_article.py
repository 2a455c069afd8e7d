"""Pages are fetched from a real server, within limits, and read without mojibake."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from main_worker.links.article import OUT_OF_MEMORY, Article, answer_of, fetch_article, read_page
from main_worker.links.fetch import Page
from shared.child import Ended
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped, ToolError

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


# Reading, in a child


@pytest.mark.parametrize("body", [b"<table><tr><td>x</td></tr></table>" * 150_000], ids=["tables"])
def test_a_page_that_takes_too_long_to_read_is_refused(tmp_path: Path, body: bytes) -> None:
    """The child is killed at the limit, and the page it was given is removed."""
    with pytest.raises(DropRefused) as refused:
        read_page(Page("http://a.example/", "http://a.example/", "text/html", body), 0.5, lambda: False, tmp_path)
    assert refused.value.rejection.code == "link_too_complex"
    assert "0.5 s" in refused.value.rejection.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_stop_ends_the_reading_of_a_page(tmp_path: Path) -> None:
    """Nobody waits for a page when the worker is asked to end."""
    slow = Page("http://a.example/", "http://a.example/", "text/html", b"<p>a<table><td>x</table>" * 150_000)
    with pytest.raises(Stopped):
        read_page(slow, 600, lambda: any(tmp_path.iterdir()), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"), [(OUT_OF_MEMORY, "too much memory"), (-signal.SIGSEGV, "crash"), (-signal.SIGABRT, "crash")]
)
def test_a_child_that_broke_on_a_page_blames_the_page(code: int, words: str) -> None:
    """Out of memory, or a crash of the parser."""
    with pytest.raises(DropRefused) as refused:
        answer_of(Ended(code, b"", "", 1.0), "http://a.example/")
    assert refused.value.rejection.code == "link_too_complex"
    assert words in refused.value.rejection.sentence


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        (Ended(1, b"", "ModuleNotFoundError: No module named 'trafilatura'", 0.1), ToolError),
        (Ended(-signal.SIGKILL, b"", "", 0.1), MachineTrouble),
        (Ended(1, b"", "OSError: [Errno 28] No space left on device", 0.1), MachineTrouble),
    ],
)
def test_a_reader_that_does_not_work_blames_no_page(ended: Ended, error: type[Exception]) -> None:
    """A broken install, or a machine short of memory."""
    with pytest.raises(error):
        answer_of(ended, "http://a.example/")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_page_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """Its reader meets the limit, and not the machine."""
    program = (
        "import sys, main_worker.links.story as story; story._MEMORY_BYTES = 400 << 20;"
        "story.print_story(sys.argv[1], 'text/html', 'http://a.example/')"
    )
    page_file = tmp_path / "page"
    page_file.write_bytes(b"<p>" + b"<span>a</span>" * 600_000)
    run = subprocess.run([sys.executable, "-c", program, page_file], check=False, capture_output=True)
    assert run.returncode == OUT_OF_MEMORY or run.returncode < 0
