"""Texts are split where a reader would pause, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.links.chunks import count_words, split

TEXTS = st.text(alphabet="ab1é.!?…。！？「」“” \n\r語かカ한글กำ่ที-—", max_size=200)
SPACED = st.text(alphabet="abcXY.!?…“” \n'-", max_size=200)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n ", 0),
        ("One two three.", 3),
        ("don't well-known 3.14", 3),
        ("one — two ... three", 3),
        ("Привет, мир! ¿Qué tal?", 4),
        ("مرحبا بالعالم", 2),
        ("你好，世界。", 4),
        ("ワン！！と吠えた。", 6),
        ("한글은 띄어 쓴다.", 3),
        ("iPhone手机abc。def", 5),
        ("𠮷野家", 3),
    ],
)
def test_words_are_counted_by_script(text: str, words: int) -> None:
    assert count_words(text) == words


def test_thai_counts_about_a_word_for_every_four_letters() -> None:
    """Thai has no blanks between words, so a whole phrase must not count as one."""
    assert 5 <= count_words("กาลครั้งหนึ่งนานมาแล้ว มีกระต่ายน้อยตัวหนึ่ง") <= 14


def test_a_short_text_stays_whole() -> None:
    assert split("  One two.\n\nThree.  ", 3) == ("One two.\n\nThree.",)


def test_a_blank_text_gives_no_chunk() -> None:
    assert split(" \n\n ", 5) == ()


def test_a_chunk_ends_at_the_last_paragraph_that_fits() -> None:
    text = "A b. C d.\n\nE f.\n\nG h. I j."
    assert split(text, 7) == ("A b. C d.\n\nE f.", "G h. I j.")


@pytest.mark.parametrize("blank", ["\r\n\r\n", "\n \t\n", "\r\r", "\n\n\n\n"])
def test_paragraphs_are_seen_with_any_line_ends(blank: str) -> None:
    assert split(f"A b. C d.{blank}E f. G h.", 5) == ("A b. C d.", "E f. G h.")


@pytest.mark.parametrize("blank", ["\n", "\r\n"])
def test_a_single_line_end_is_not_a_paragraph(blank: str) -> None:
    assert split(f"Aa bb{blank}cc. Dd ee", 4) == (f"Aa bb{blank}cc.", "Dd ee")


def test_a_long_paragraph_is_cut_at_a_sentence() -> None:
    text = "He came. “Did he?” She asked! Nobody knew… So it ended."
    assert split(text, 5) == ("He came. “Did he?”", "She asked! Nobody knew…", "So it ended.")


def test_a_title_or_a_dialogue_tag_does_not_end_a_sentence() -> None:
    text = "We met. Then came Mr. Fox and J. Doe. “Why?” he said."
    assert split(text, 4) == ("We met.", "Then came Mr. Fox", "and J. Doe.", "“Why?” he said.")


def test_chinese_and_japanese_are_cut_after_their_own_signs() -> None:
    assert split("他来了。“真的吗？”她问道。没有人知道！", 8) == ("他来了。“真的吗？”", "她问道。没有人知道！")
    assert split("犬は吠えた。「ワン！」そして去った。", 8) == ("犬は吠えた。「ワン！」", "そして去った。")


def test_a_sentence_longer_than_a_chunk_is_cut_at_a_word() -> None:
    assert split("a b c d e f g", 3) == ("a b c", "d e f", "g")
    assert split("一二三四「五六」七", 4) == ("一二三四", "「五六」七")


@pytest.mark.parametrize("max_words", [0, -1])
def test_a_chunk_of_no_words_is_a_mistake_of_the_caller(max_words: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        split("a", max_words)


@given(TEXTS, st.integers(1, 12))
def test_no_chunk_is_too_long_or_blank(text: str, max_words: int) -> None:
    for chunk in split(text, max_words):
        assert count_words(chunk) <= max_words
        assert chunk == chunk.strip() != ""


@given(TEXTS, st.integers(1, 12))
def test_every_character_but_blanks_survives_in_order(text: str, max_words: int) -> None:
    assert "".join("".join(split(text, max_words)).split()) == "".join(text.split())


@given(SPACED, st.integers(1, 12))
def test_spaced_scripts_are_never_cut_inside_a_word(text: str, max_words: int) -> None:
    assert [word for chunk in split(text, max_words) for word in chunk.split()] == text.split()


@given(TEXTS, st.integers(1, 12))
def test_the_words_of_the_chunks_add_up(text: str, max_words: int) -> None:
    assert sum(map(count_words, split(text, max_words))) == count_words(text)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_sentences_that_fit_are_never_broken(lengths: list[int]) -> None:
    text = " ".join(" ".join(["Word"] * length) + "." for length in lengths)
    assert all(chunk.endswith(".") for chunk in split(text, 6))


def test_a_long_book_fills_its_chunks() -> None:
    """450,000 words come back whole, in chunks of the contract's size."""
    text = "\n\n".join(["The quick brown fox jumps over the lazy dog. " * 10] * 5000)
    chunks = split(text, 10_000)
    assert sum(map(count_words, chunks)) == 450_000
    assert all(9_900 < count_words(chunk) <= 10_000 for chunk in chunks[:-2])
    assert all(5_000 < count_words(chunk) <= 10_000 for chunk in chunks[-2:])


def test_a_heading_is_not_left_alone_before_a_long_paragraph() -> None:
    """The paragraph is begun beside it instead, up to the end of a sentence."""
    text = "One\n\n" + "A b c. " * 6
    assert split(text, 10) == ("One\n\nA b c. A b c. A b c.", "A b c. A b c. A b c.")


def test_a_heading_in_a_script_without_blanks_is_not_left_alone_either() -> None:
    """The same in Japanese."""
    text = "一章\n\n" + "犬は吠えた。" * 4
    assert split(text, 12) == ("一章\n\n犬は吠えた。犬は吠えた。", "犬は吠えた。犬は吠えた。")


def test_a_tiny_rest_is_evened_out_at_a_paragraph() -> None:
    """A last chunk of two words would be a strange thing to read out."""
    paragraphs = ["A b c d e.", "F g h i j.", "K l m n o.", "P q r s t.", "The end."]
    chunks = split("\n\n".join(paragraphs), 20)
    assert chunks == ("\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:]))


def test_a_tiny_rest_is_evened_out_at_a_sentence_where_no_paragraph_ends() -> None:
    """One long paragraph has sentences to choose from."""
    assert split("A b c d e. F g h i j. K l m n o. P q r s t. The end.", 20) == (
        "A b c d e. F g h i j.",
        "K l m n o. P q r s t. The end.",
    )


def test_a_tiny_rest_stays_where_nothing_else_ends() -> None:
    """A sentence is not broken for it."""
    whole = " ".join(["word"] * 19) + " end."
    assert split(f"{whole} It is.", 20) == (whole, "It is.")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=40), st.integers(24, 60))
def test_no_chunk_is_tiny_where_sentences_are_short(lengths: list[int], max_words: int) -> None:
    """Sentences of at most a quarter of a chunk leave no chunk of less than a quarter, unless it is the only one."""
    text = " ".join(" ".join(["Word"] * length) + "." for length in lengths)
    chunks = split(text, max_words)
    if len(chunks) > 1:
        assert all(4 * count_words(chunk) >= max_words for chunk in chunks)


@given(TEXTS, st.integers(1, 12))
def test_splitting_is_settled(text: str, max_words: int) -> None:
    """What came out as one chunk stays one chunk."""
    assert all(split(chunk, max_words) == (chunk,) for chunk in split(text, max_words))
