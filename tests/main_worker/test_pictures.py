"""What is learnt of a clip, as a viewer sees it, and which clips are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.domain.drop import Kind
from shared.domain.media import VideoFacts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.main_worker.conftest import Desk, Media


def facts_of(desk: Desk, path: Path) -> VideoFacts:
    facts = desk.examine(path, Kind.VIDEO).video
    assert facts is not None
    return facts


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mov", "plain.m4v", "PLAIN.MOV", "-plain.MP4"])
def test_a_good_clip_is_accepted_in_every_container_of_the_family(desk: Desk, media: Media, name: str) -> None:
    """The suffix does not matter to what is measured."""
    muxer = {"mov": "mov", "m4v": "ipod"}.get(name[-3:].lower(), "mp4")
    path = media.clip(f"in-{muxer}{name[-4:]}", "-f", muxer, seconds=1.5)
    named = path.with_name(name)
    if not named.exists():
        named.hardlink_to(path)
    assert facts_of(desk, named) == VideoFacts(
        width=64,
        height=48,
        display_width=64,
        display_height=48,
        rotation=0,
        pixel_aspect=1.0,
        frame_rate=10.0,
        seconds=1.5,
        frames=15,
        codec="AVC",
    )


@pytest.mark.parametrize(("turned", "rotation"), [(-90, 90), (90, 270), (180, 180)])
def test_a_turned_clip_is_measured_as_it_is_shown(desk: Desk, media: Media, turned: int, rotation: int) -> None:
    """Phones store pictures lying and write beside them how to hold them; rotation is clockwise."""
    path = media.made(f"turned{turned}.mp4", "-display_rotation", str(turned), "-i", media.clip(), "-c", "copy")
    facts = facts_of(desk, path)
    assert (facts.width, facts.height, facts.rotation) == (64, 48, rotation)
    assert (facts.display_width, facts.display_height) == ((64, 48) if rotation == 180 else (48, 64))


def test_pixels_that_are_not_square_widen_the_picture(desk: Desk, media: Media) -> None:
    """The displayed size counts square pixels."""
    facts = facts_of(desk, media.clip("wide.mp4", "-vf", "setsar=4/3"))
    assert (facts.width, facts.display_width, facts.display_height) == (64, 85, 48)
    assert facts.pixel_aspect == pytest.approx(4 / 3, abs=0.001)


def test_wide_pixels_of_a_turned_clip_end_up_tall(desk: Desk, media: Media) -> None:
    """The aspect belongs to the stored picture, which is then turned."""
    wide = media.clip("wide.mp4", "-vf", "setsar=4/3")
    facts = facts_of(desk, media.made("wide-turned.mp4", "-display_rotation", "-90", "-i", wide, "-c", "copy"))
    assert (facts.display_width, facts.display_height) == (48, 85)


def test_broadcast_rates_keep_their_fraction(desk: Desk, media: Media) -> None:
    """29.97 frames a second are not 30."""
    facts = facts_of(desk, media.clip("ntsc.mp4", source="testsrc2=size=64x48:rate=30000/1001:duration=2.002"))
    assert facts.frame_rate == pytest.approx(29.97, abs=0.001)
    assert facts.frames == 60
    assert facts.seconds == pytest.approx(2.002, abs=0.001)


def test_a_varying_rate_is_averaged(desk: Desk, media: Media) -> None:
    """Ten frames of the first second and two of the next are six a second."""
    source = "testsrc2=size=64x48:rate=10:duration=2,select='lt(n,10)+not(mod(n,5))'"
    facts = facts_of(desk, media.clip("varying.mp4", "-fps_mode", "vfr", source=source))
    assert facts.frames == 12
    assert facts.frame_rate == pytest.approx(facts.frames / facts.seconds, rel=0.1)


def test_sound_and_covers_do_not_count_as_the_picture(desk: Desk, media: Media) -> None:
    """A clip with sound first and an attached cover is measured by its film."""
    cover = media.made("cover.png", "-f", "lavfi", "-i", "color=red:size=300x200", "-frames:v", "1", "-update", "1")
    dressed = media.made(
        "dressed.mp4",
        *("-f", "lavfi", "-i", "sine=duration=3", "-i", media.clip(), "-i", cover),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-disposition:v:1", "attached_pic"),
    )
    facts = facts_of(desk, dressed)
    assert (facts.width, facts.height, facts.frames, facts.seconds) == (64, 48, 10, 1.0)


def test_a_fragmented_clip_is_accepted(desk: Desk, media: Media) -> None:
    """Cameras and browsers write such files so that a power cut loses little."""
    facts = facts_of(desk, media.clip("fragments.mp4", "-movflags", "frag_keyframe+empty_moov", "-g", "5", seconds=2))
    assert (facts.frames, facts.seconds) == (20, 2.0)


def test_a_clip_cut_in_half_behind_its_index_is_truncated(desk: Desk, media: Media) -> None:
    """With the index in front everything is declared, but half of it does not play."""
    whole = media.clip("fast-start.mp4", "-movflags", "+faststart", seconds=6)
    rejection = desk.refusal(media.half(whole), Kind.VIDEO)
    assert rejection.code == "truncated"
    assert rejection.measured["declared_seconds"] == 6
    assert 0 < float(str(rejection.measured["decoded_seconds"])) < 5


def test_a_clip_cut_before_its_index_is_unreadable(desk: Desk, media: Media) -> None:
    """With the index at the end nothing plays, and the sentence says what is missing."""
    rejection = desk.refusal(media.half(media.clip("late-index.mp4", seconds=6)), Kind.VIDEO)
    assert rejection.code == "unreadable"
    assert "index (moov) is missing" in rejection.sentence


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.FRAME])
def test_a_text_named_mp4_is_unreadable(desk: Desk, media: Media, kind: Kind) -> None:
    """The same rules hold for clips and for frames."""
    assert desk.refusal(media.text("novel.mp4", "It was a dark night. " * 500), kind).code == "unreadable"


def test_a_clip_with_sound_only_has_no_picture(desk: Desk, media: Media) -> None:
    """An audio book in an MP4 file is no background."""
    sound_only = media.made("sound-only.mp4", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac")
    assert desk.refusal(sound_only, Kind.VIDEO).code == "no_picture"


def test_another_container_named_mp4_is_refused(desk: Desk, media: Media) -> None:
    """A good Matroska film is still no MP4 file: nothing but the MP4 reader is let near it."""
    matroska = media.clip("matroska.mp4", "-f", "matroska")
    rejection = desk.refusal(matroska, Kind.VIDEO)
    assert rejection.code == "wrong_content"
    assert "is Matroska" in rejection.sentence


def test_a_picture_larger_than_allowed_is_refused_unseen(desk: Desk, media: Media) -> None:
    """The declared size decides, before anything is decoded; the limit itself is allowed."""
    rejection = desk.refusal(media.clip(), Kind.VIDEO, {"ingest": {"max_pixels": 64 * 48 - 1}})
    assert rejection.code == "bad_size"
    assert rejection.measured == {"width": 64, "height": 48}
    assert desk.examine(media.clip(), Kind.VIDEO, {"ingest": {"max_pixels": 64 * 48}}).video


def test_a_picture_that_lies_about_its_size_is_refused_by_the_decoder(desk: Desk, media: Media) -> None:
    """The container says 16x16, the film in it is larger than allowed."""
    honest = media.clip("honest.mp4", source="testsrc2=size=640x480:rate=10:duration=1").read_bytes()
    liar = media.text("liar.mp4", "")
    size = (640).to_bytes(2) + (480).to_bytes(2)
    liar.write_bytes(honest.replace(size, (16).to_bytes(2) + (16).to_bytes(2)))
    assert liar.read_bytes() != honest
    assert desk.refusal(liar, Kind.VIDEO, {"ingest": {"max_pixels": 64 * 48}}).code in ("unreadable", "bad_size")


def test_a_crowd_of_tracks_is_refused(desk: Desk, media: Media) -> None:
    """Each track would cost a decoder."""
    tracks = [word for _ in range(65) for word in ("-map", "0:v")]
    crowd = media.made("crowd.mp4", "-i", media.clip(), *tracks, "-c", "copy")
    rejection = desk.refusal(crowd, Kind.VIDEO)
    assert (rejection.code, rejection.measured) == ("too_many_tracks", {"tracks": 65})
