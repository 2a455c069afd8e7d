"""Link files are read line by line, and every fault of one is told at once."""

from __future__ import annotations

import pytest

from main_worker.links.addresses import fault_of, parse_link_file, quoted
from shared.domain.errors import DropRefused, Rejection


def rejection_of(data: bytes) -> Rejection:
    with pytest.raises(DropRefused) as caught:
        parse_link_file(data)
    return caught.value.rejection


def test_addresses_come_in_order_and_each_once() -> None:
    data = b"https://b.example/2\nhttp://a.example/1\nhttps://b.example/2\n"
    assert parse_link_file(data) == ("https://b.example/2", "http://a.example/1")


def test_a_file_written_on_windows_is_read_like_any_other() -> None:
    data = b"\xef\xbb\xbf# stories\r\n\r\n  https://a.example/x?y=1#z  \r\nHTTPS://B.example/\r\n"
    assert parse_link_file(data) == ("https://a.example/x?y=1#z", "HTTPS://B.example/")


@pytest.mark.parametrize(
    "address", ["http://localhost:8000/a", "http://[::1]/", "https://münchen.example/straße", "https://a.example:443"]
)
def test_an_address_is_judged_by_its_spelling_only(address: str) -> None:
    """Where a name leads is the fetching guard's business, so loopback passes here."""
    assert parse_link_file(address.encode()) == (address,)


@pytest.mark.parametrize(
    "line",
    [
        "just words",
        "example.com/story",
        "example.com:8080/story",
        "C:/stories/a.html",
        "localhost:8000/a",
        "http://[::1",
        "http://a.example:port/",
        "http://a.example:99999/",
        "http://good.example\\@evil.example/",
        "http://a.example/" + "x" * 3000,
    ],
)
def test_a_line_that_is_no_address_is_named(line: str) -> None:
    rejection = rejection_of(f"https://a.example/\n\n{line}\n".encode())
    assert rejection.code == "bad_link_file"
    assert "line 3" in rejection.sentence
    assert line[:7] in rejection.sentence


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("file:///etc/passwd", "file:"),
        ("ftp://a.example/x", "ftp:"),
        ("javascript:alert(1)", "javascript:"),
        ("https://user:secret@a.example/", "user name or password"),
        ("https://user@a.example/", "user name or password"),
        ("http:///story", "no host"),
        ("http://:80/", "no host"),
    ],
)
def test_an_address_that_may_not_be_used_is_refused(line: str, reason: str) -> None:
    rejection = rejection_of(line.encode())
    assert rejection.code == "link_refused"
    assert reason in rejection.sentence


def test_a_password_is_not_repeated_in_the_report() -> None:
    rejection = rejection_of(b"https://me:hunter2@a.example/story")
    assert "hunter2" not in rejection.sentence
    assert "a.example/story" in rejection.sentence


def test_all_faults_are_told_at_once_and_the_worse_word_wins() -> None:
    rejection = rejection_of(b"file:///a\nhttps://a.example/\nnonsense\n")
    assert rejection.code == "bad_link_file"
    assert "line 1" in rejection.sentence
    assert "line 3" in rejection.sentence
    assert rejection.measured == {"problems": 2, "addresses": 1}


def test_a_long_list_of_faults_is_cut_short() -> None:
    rejection = rejection_of(b"nonsense\n" * 50)
    assert "and 40 more" in rejection.sentence
    assert rejection.measured["problems"] == 50


@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"# only a remark\n", b"\xef\xbb\xbf"])
def test_a_file_without_an_address_is_refused(data: bytes) -> None:
    rejection = rejection_of(data)
    assert rejection.code == "bad_link_file"
    assert "no address" in rejection.sentence


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0", "https://a.example/".encode("utf-16"), b"a\0b"])
def test_what_is_not_text_is_refused(data: bytes) -> None:
    rejection = rejection_of(data)
    assert rejection.code == "bad_link_file"
    assert "not" in rejection.sentence


def test_a_hundred_addresses_are_taken_and_one_more_is_refused() -> None:
    lines = [f"https://a.example/{number}" for number in range(101)]
    assert len(parse_link_file("\n".join(lines[:100] + lines[:100]).encode())) == 100
    rejection = rejection_of("\n".join(lines).encode())
    assert rejection.code == "bad_link_file"
    assert "101" in rejection.sentence


def test_a_quoted_value_is_short_and_shows_what_is_invisible() -> None:
    assert quoted("a\u202eb\x1b") == "'a\\u202eb\\x1b'"
    assert len(quoted("x" * 1000)) < 100


def test_a_good_address_has_no_fault() -> None:
    assert fault_of("https://a.example/") is None
