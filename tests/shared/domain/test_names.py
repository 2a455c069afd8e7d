"""Names from outside become safe names of the library."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.names import duration_text, readable, safe_folder, safe_stem, short_hash

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=150)
SAFE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def blanks_folded(name: str) -> str:
    return re.sub(r"\s", "_", name)


@given(ANY_TEXT)
@example("")
@example(".")
@example("龍")
@example("\udcff")
def test_a_stem_is_always_a_safe_name(original: str) -> None:
    """Whatever was dropped, the library name is short, never empty and has no separator."""
    assert SAFE.fullmatch(safe_stem(original))


@given(st.from_regex(SAFE, fullmatch=True))
def test_a_stem_that_is_safe_already_stays_as_it_is(original: str) -> None:
    """Operators find their own names again."""
    assert safe_stem(original) == original


@given(ANY_TEXT)
@example("")
@example("..")
@example(" ")
@example("\ud800")
def test_a_folder_is_always_one_safe_component(original: str) -> None:
    """No category leads out of its folder, hides, or vanishes."""
    folder = safe_folder(original)
    assert SAFE.fullmatch(folder)
    assert not folder.startswith(".")


@given(st.lists(ANY_TEXT, min_size=2, max_size=12))
@example(["龍", "鬼"])
@example(["é", "è"])
@example(["\udcc3\udca9", "é"])
@example([".a", "a", "..a"])
@example(["x" * 150, "x" * 149])
def test_folders_of_different_originals_differ(originals: list[str]) -> None:
    """Two categories share a folder only if they differ in nothing but how a blank is written."""
    folders: dict[str, str] = {}
    for original in originals:
        folders.setdefault(safe_folder(original), blanks_folded(original))
        assert folders[safe_folder(original)] == blanks_folded(original)


@given(ANY_TEXT)
def test_a_folder_name_is_stable(original: str) -> None:
    """A safe name made once is not changed when it is made safe again."""
    assert safe_folder(safe_folder(original)) == safe_folder(original)


def test_blanks_in_a_folder_become_underscores() -> None:
    """The common case stays readable."""
    assert safe_folder("Dragon Flight") == "Dragon_Flight"


def test_a_foreign_folder_keeps_what_latin_letters_it_has() -> None:
    """A marked name is still recognised by people."""
    assert re.fullmatch(r"Cafe_Zurich-[0-9a-f]{8}", safe_folder("Café Zürich"))


@pytest.mark.parametrize(("seconds", "text"), [(12.44, "12.4"), (0, "0.0"), (3600, "3600.0"), (0.96, "1.0")])
def test_a_duration_has_one_decimal(seconds: float, text: str) -> None:
    """The form that stands in library file names."""
    assert duration_text(seconds) == text


def test_a_short_hash_has_eight_digits() -> None:
    """The form that tells two files of one name apart."""
    assert short_hash("0123456789abcdef") == "01234567"


@given(ANY_TEXT)
def test_a_readable_name_can_be_printed(name: str) -> None:
    """No control character, line break or broken byte of a name reaches a terminal."""
    assert readable(name).isprintable()
    readable(name).encode("utf-8")


def test_a_readable_name_is_left_alone() -> None:
    """Only what could do harm is spelled out."""
    assert readable("Café 龍.mp4") == "Café 龍.mp4"
    assert readable("a\nb\x1b") == "a\\nb\\x1b"
