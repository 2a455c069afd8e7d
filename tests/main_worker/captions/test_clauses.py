"""What a text is cut into: clauses a speaker says in one go, of any script, whatever the page looked like."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.captions.clauses import MOST_COLUMNS, After, clauses_of, columns, letters_in


def texts(text: str) -> list[str]:
    return [clause.text for clause in clauses_of(text)]


def test_signs_end_clauses() -> None:
    """Commas and colons end one, and the ends of sentences a larger one."""
    found = clauses_of("When it rained, they stayed: all of them. Mr. Fox left.")
    assert [(clause.text, clause.after) for clause in found] == [
        ("When it rained,", After.CLAUSE),
        ("they stayed:", After.CLAUSE),
        ("all of them.", After.SENTENCE),
        ("Mr. Fox left.", After.SENTENCE),
    ]


def test_lines_of_a_page_flow() -> None:
    """A line that was broken for want of room goes on in the next one; \r\n is a line end too."""
    assert texts("The quick brown fox jumps\r\nover the lazy dog and goes\r\non to the next field.") == [
        "The quick brown fox jumps over the lazy dog and goes on to the next field."
    ]


def test_a_heading_and_verses_stand_alone() -> None:
    """A line much shorter than the others ends something, and so does one that ends with a sign."""
    poem = "1\nFrom fairest creatures we desire increase,\nThat thereby beauty's rose, once, might never die,"
    assert [(clause.text, clause.after) for clause in clauses_of(poem)] == [
        ("1", After.LINE),
        ("From fairest creatures we desire increase,", After.LINE),
        ("That thereby beauty's rose,", After.CLAUSE),
        ("once,", After.CLAUSE),
        ("might never die,", After.SENTENCE),
    ]


def test_the_end_of_a_paragraph_ends_a_sentence() -> None:
    """Even without a sign, as under a heading."""
    found = clauses_of("Chapter One\n\nIt rained")
    assert [(clause.text, clause.after) for clause in found] == [
        ("Chapter One", After.SENTENCE),
        ("It rained", After.SENTENCE),
    ]


def test_scripts_without_blanks_are_cut_at_their_signs() -> None:
    """And their lines are put together without a blank."""
    assert texts("雨が降った、そして\nやんだ。彼は笑った。") == ["雨が降った、", "そしてやんだ。", "彼は笑った。"]


def test_rulers_are_not_said() -> None:
    """Neither stars nor dashes between scenes; a dash between words stays with them."""
    text = "She slept.\n\n* * *\n\n" + "-" * 70 + "\nHe woke — slowly."
    assert texts(text) == ["She slept.", "He woke —", "slowly."]


@pytest.mark.parametrize("text", ["a، b", "a፣ b", "a؛ b", "a՝ b"])
def test_commas_of_other_scripts_end_clauses(text: str) -> None:
    """Before a blank, as they are written."""
    assert len(clauses_of(text)) == 2


@pytest.mark.parametrize(
    "text", ["word " * 50_000, "漢" * 100_000, "a" + " " * 50_000 + "b", "a" + "." * 50_000 + "b", "abc\n" * 50_000]
)
def test_odd_texts_are_soon_cut(text: str) -> None:
    """In a time that grows with them and no faster: each would take minutes otherwise, beyond any patience."""
    assert all(columns(clause.text) <= MOST_COLUMNS for clause in clauses_of(text)[1:])


def test_numbers_are_not_cut() -> None:
    """A sign within a number ends nothing."""
    assert texts("It cost 1,250.50 at 12:30 then.") == ["It cost 1,250.50 at 12:30 then."]


@pytest.mark.parametrize(
    ("text", "letters"),
    [("abc", 4.0), ("a b-c!", 4.0), ("12", 8.0), ("日本", 6.0), ("…", 1.0), ("été", 4.0), ("e\u0301", 2.0)],
)
def test_words_are_measured_by_how_long_they_take_to_say(text: str, letters: float) -> None:
    """Digits and wide characters take longer than a letter; signs and marks take no time."""
    assert letters_in(text) == letters


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_nothing_that_is_said_is_lost(text: str) -> None:
    """Every letter and digit comes back in its order, in clauses that are not too wide."""
    found = clauses_of(text)
    said = [sign for sign in unicodedata.normalize("NFC", text) if sign.isalnum()]
    assert [sign for clause in found for sign in clause.text if sign.isalnum()] == said
    assert all(clause.letters > 1.0 for clause in found)
    assert all(columns(clause.text) <= MOST_COLUMNS * 2 for clause in found)


def test_a_long_clause_is_cut_at_blanks() -> None:
    """Into parts of about the same width, and nobody pauses between them."""
    words = " ".join(["word"] * 50)
    found = clauses_of(words + ".")
    assert all(columns(clause.text) <= MOST_COLUMNS for clause in found)
    assert {clause.after for clause in found[:-1]} == {After.NOTHING}
    assert " ".join(clause.text for clause in found) == words + "."
