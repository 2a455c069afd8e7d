"""The text of real web pages stays as good as it was measured to be, where those pages are at hand."""

from __future__ import annotations

import pytest

from benchmarks.articles import LEAST_MEAN, PAGES, Measured, mean_f1, measure, measure_all, table

needs_pages = pytest.mark.skipif(not PAGES.is_dir(), reason="no real web pages: set REELMILL_REALMEDIA to their folder")

# A little under what was measured, so that a changed library is noticed.
FLOORS = {
    "ar-newspaper": 0.89,
    "cnn-markets": 0.99,
    "guardian": 0.99,
    "gutenberg-peter-rabbit": 0.98,
    "gutenberg-yellow-wallpaper": 0.98,
    "hukumusume-fairytale": 0.62,
    "kr-entermedia": 0.97,
    "lwn": 0.97,
    "oregonlive-dear-abby": 0.99,
    "royal-road": 0.99,
    "ru-vse-diety": 0.98,
    "thespacereview": 0.97,
    "zh-newspaper": 0.99,
}


@needs_pages
def test_the_mean_over_all_pages_is_high_enough() -> None:
    """Over those with a full expected text."""
    assert mean_f1(measure_all()) >= LEAST_MEAN


@needs_pages
@pytest.mark.parametrize("name", list(FLOORS))
def test_a_page_gives_its_story(name: str) -> None:
    """News, tales, books and letters in eight languages."""
    f1 = measure(PAGES / name).f1
    assert f1 is not None
    assert f1 >= FLOORS[name]


@needs_pages
@pytest.mark.parametrize(
    "name", ["de-winfuture-latin1", "pl-rp-windows1250", "zh-xinhuanet-gb2312", "es-elmundo-wrong-charset"]
)
def test_a_page_in_an_old_or_wrong_charset_is_read_without_mojibake(name: str) -> None:
    """All that is wanted is there, letter by letter."""
    page = measure(PAGES / name)
    assert page.broken == 0
    assert page.wanted is None or page.wanted[0] == page.wanted[1]
    assert page.recall is None or page.recall == 1


def test_the_table_shows_what_was_measured() -> None:
    """Pages with a partial expectation count for nothing in the mean."""
    pages = [
        Measured("one", precision=0.5, recall=1.0),
        Measured("es-elmundo-wrong-charset", precision=0.01, recall=1.0),
        Measured("three", wanted=(2, 3), unwanted=(0, 4)),
    ]
    assert mean_f1(pages) == pytest.approx(2 / 3)
    text = table(pages)
    assert "| one | 0.667 | 0.500 | 1.000 |  |  |  |" in text
    assert "| three |  |  |  | 2 of 3 | 0 of 4 |  |" in text
    assert "over the 1 pages with a full expected text: **0.667**" in text
