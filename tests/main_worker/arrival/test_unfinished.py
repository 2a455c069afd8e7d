"""Which damaged drops may be beginnings of good ones, asked of real beginnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from main_worker.arrival.unfinished import HEAD_BYTES, looks_unfinished
from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Media


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("code", ["empty", "truncated", "checksum_mismatch"])
def test_what_is_cut_off_for_sure_may_go_on(kind: Kind, code: str) -> None:
    """Whatever it begins with."""
    assert looks_unfinished(kind, code, b"anything")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("code", ["duplicate", "too_large", "wrong_kind", "no_picture", "silent", "too_short"])
def test_what_more_bytes_do_not_mend_is_not_unfinished(kind: Kind, code: str) -> None:
    """Its owner learns at once."""
    assert not looks_unfinished(kind, code, b"\0\0\0\x18ftypmp42")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart"), ("-movflags", "+frag_keyframe")])
def test_the_beginning_of_a_real_clip_may_go_on(media: Media, name: str, options: tuple[str, ...]) -> None:
    """However it was written."""
    head = media.clip(name, *options).read_bytes()[:HEAD_BYTES]
    assert looks_unfinished(Kind.VIDEO, "unreadable", head)
    assert looks_unfinished(Kind.FRAME, "unreadable", head[:8])
    assert not looks_unfinished(Kind.VOICE, "unreadable", head)


@pytest.mark.parametrize("options", [(), ("-id3v2_version", "0", "-write_xing", "0")])
def test_the_beginning_of_a_real_sound_may_go_on(media: Media, options: tuple[str, ...]) -> None:
    """With tags in front and without."""
    head = media.sound("a.mp3", *options).read_bytes()[:HEAD_BYTES]
    assert looks_unfinished(Kind.VOICE, "unreadable", head)
    assert looks_unfinished(Kind.MUSIC, "unreadable", head[:4])
    assert not looks_unfinished(Kind.VIDEO, "unreadable", head)


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.FRAME, Kind.MUSIC, Kind.VOICE])
def test_what_is_allocated_and_not_written_yet_may_go_on(kind: Kind) -> None:
    """Some copying programs take the whole size first."""
    assert looks_unfinished(kind, "unreadable", bytes(HEAD_BYTES))


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.FRAME, Kind.MUSIC, Kind.VOICE])
@pytest.mark.parametrize("head", [b"<!DOCTYPE html>", b"PK\x03\x04 and more", b"RIFF....WAVEfmt ", b"x"])
def test_other_files_under_a_false_name_stay_what_they_are(kind: Kind, head: bytes) -> None:
    """A web page saved as a film will not become one."""
    assert not looks_unfinished(kind, "unreadable", head)
