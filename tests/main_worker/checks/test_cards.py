"""Which title and end cards are taken: real pictures and films, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.drop import Kind
from shared.domain.media import PictureFacts
from tests.main_worker.conftest import Desk, Media


def picture(media: Media, name: str) -> Path:
    return media.made(name, "-f", "lavfi", "-i", "testsrc=size=320x180:rate=1:duration=1", "-frames:v", "1")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.webp", "WebP"), ("a.JPEG", "JPEG")]
)
def test_a_picture_is_taken_with_its_facts(desk: Desk, media: Media, name: str, kind: str) -> None:
    """Decoded, not only looked at."""
    original = picture(media, name.lower())
    path = original.with_name(name)
    path.write_bytes(original.read_bytes())
    assert desk.examine(path, Kind.CARD).picture == PictureFacts(320, 180, kind)


def test_a_film_is_taken_as_a_clip_is(desk: Desk, media: Media) -> None:
    """With the same facts."""
    assert desk.examine(media.clip(), Kind.CARD).video == desk.examine(media.clip(), Kind.VIDEO).video


def test_a_film_of_a_single_picture_is_refused_with_what_to_drop_instead(desk: Desk, media: Media) -> None:
    """It would be over before anybody sees it, and no video would show it."""
    rejection = desk.refusal(media.clip("still.mp4", "-frames:v", "1"), Kind.CARD)
    assert rejection.code == "too_short"
    assert rejection.advice.startswith("Drop it as a picture (.png, .jpg or .webp)")


def test_a_picture_under_a_false_name_is_refused_with_the_right_one(desk: Desk, media: Media) -> None:
    """A render node opens it by its name."""
    wrong = picture(media, "b.png").with_suffix(".jpg")
    wrong.write_bytes(picture(media, "b.png").read_bytes())
    rejection = desk.refusal(wrong, Kind.CARD)
    assert (rejection.code, rejection.sentence) == ("wrong_content", "The file is named as a JPEG picture but is PNG.")


@pytest.mark.parametrize("name", ["c.png", "c.jpg", "c.webp"])
def test_half_a_picture_is_refused(desk: Desk, media: Media, name: str) -> None:
    """What can be decoded of it would be shown with a grey rest."""
    assert desk.refusal(media.half(picture(media, name)), Kind.CARD).code == "unreadable"


@pytest.mark.parametrize("name", ["d.png", "d.jpg", "d.webp"])
def test_text_is_no_picture(desk: Desk, media: Media, name: str) -> None:
    """Whatever its name says."""
    assert desk.refusal(media.text(name, "<!DOCTYPE html>"), Kind.CARD).code in ("unreadable", "wrong_content")


@pytest.mark.parametrize("name", ["e.png", "e.jpg"])
def test_a_picture_of_too_many_pixels_is_refused_with_the_limit(desk: Desk, media: Media, name: str) -> None:
    """Before it is decoded."""
    rejection = desk.refusal(picture(media, name), Kind.CARD, {"ingest": {"max_pixels": 50_000}})
    assert (rejection.code, rejection.measured) == ("bad_size", {"width": 320, "height": 180})
