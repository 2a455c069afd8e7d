"""What is learnt of a clip, as a viewer sees it, and which clips are refused."""

from __future__ import annotations

import subprocess
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
        variable_frame_rate=False,
        scan="progressive",
        bit_depth=8,
        chroma="4:2:0",
        track=0,
        video_tracks=1,
        audio_tracks=0,
        data_tracks=0,
        attached_pictures=0,
        has_sound=False,
    )


@pytest.mark.parametrize(("turned", "rotation"), [(-90, 90), (90, 270), (180, 180)])
def test_a_turned_clip_is_measured_as_it_is_shown(desk: Desk, media: Media, turned: int, rotation: int) -> None:
    """Phones store pictures lying and write beside them how to hold them; rotation is clockwise."""
    path = media.made(f"turned{turned}.mp4", "-display_rotation", str(turned), "-i", media.clip(), "-c", "copy")
    facts = facts_of(desk, path)
    assert (facts.width, facts.height, facts.rotation) == (64, 48, rotation)
    assert (facts.display_width, facts.display_height) == ((64, 48) if rotation == 180 else (48, 64))


def test_a_picture_that_comes_after_its_sound_says_how_late_it_is(desk: Desk, media: Media) -> None:
    """As recorders write it whose microphone is on first; what may be played is the picture."""
    sound = ("-f", "lavfi", "-i", "sine=d=2")
    tracks = ("-map", "0", "-map", "1", "-c:v", "copy")
    path = media.made("late.mp4", "-itsoffset", "0.4", "-i", media.clip(seconds=1.5), *sound, *tracks)
    facts = facts_of(desk, path)
    assert (facts.late_seconds, facts.seconds, facts.frames) == (0.4, 1.5, 15)


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


# -- how a film is held ---------------------------------------------------------------------------

CORNERS = "color=red:size=64x48:rate=10:duration=0.5,drawbox=0:0:32:24:blue:fill,drawbox=32:0:32:24:lime:fill"
HELD = [(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True)]


def first_picture(ffmpeg: str, path: Path, *options: str) -> bytes:
    """The first picture of a clip as RGB, as ffmpeg shows it."""
    output = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    command = [ffmpeg, "-v", "error", *options, "-i", str(path), *output]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def corner(picture: bytes, width: int, height: int, right: bool, low: bool) -> tuple[bool, ...]:
    """Which of red, green and blue shine a little inside a corner."""
    x, y = (width * 3 // 4 if right else width // 4), (height * 3 // 4 if low else height // 4)
    at = 3 * (y * width + x)
    return tuple(value > 128 for value in picture[at : at + 3])


@pytest.mark.parametrize(("turn", "mirrored"), HELD)
def test_turn_and_mirror_are_what_ffmpeg_shows(desk: Desk, media: Media, turn: int, mirrored: bool) -> None:
    """Exchanging top and bottom where it is mirrored, then turning clockwise, gives the picture ffmpeg gives."""
    plain = media.clip("corners.mp4", source=CORNERS)
    flip = ["-display_vflip"] if mirrored else []
    held = media.made(f"held{turn}{mirrored}.mp4", "-display_rotation", str(-turn), *flip, "-i", plain, "-c", "copy")
    facts = facts_of(desk, held)
    size = (facts.display_width, facts.display_height)
    shown, stored = first_picture(media.ffmpeg.path, held), first_picture(media.ffmpeg.path, held, "-noautorotate")
    assert len(shown) == 3 * size[0] * size[1]
    places = [(False, False), (True, False), (True, True), (False, True)]  # clockwise from the upper left corner
    as_stored = [corner(stored, 64, 48, *place) for place in places]
    if facts.mirrored:
        as_stored = [as_stored[3], as_stored[2], as_stored[1], as_stored[0]]
    steps = facts.rotation // 90
    assert [corner(shown, *size, *place) for place in places] == as_stored[-steps:] + as_stored[:-steps]
    assert (facts.rotation, facts.mirrored) in HELD


def test_the_eight_ways_to_hold_a_film_are_told_apart(desk: Desk, media: Media) -> None:
    """Each gives other facts, so that a renderer can undo it."""
    plain = media.clip("corners.mp4", source=CORNERS)
    found = set()
    for turn, mirrored in HELD:
        flip = ["-display_vflip"] if mirrored else []
        held = media.made(
            f"held{turn}{mirrored}.mp4", "-display_rotation", str(-turn), *flip, "-i", plain, "-c", "copy"
        )
        facts = facts_of(desk, held)
        found.add((facts.rotation, facts.mirrored))
    assert found == set(HELD)


# -- colours, fields and rates -------------------------------------------------------------------

COLOURS = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
PQ = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"


def test_the_film_is_believed_over_its_container(desk: Desk, media: Media) -> None:
    """A decoder goes by the bitstream: HDR that an editor labelled as ordinary comes out as HDR."""
    honest = media.clip("pq.mp4", "-pix_fmt", "yuv420p10le", "-x264-params", PQ)
    liar = media.made("pq-called-sdr.mp4", "-i", honest, "-c", "copy", *COLOURS, "-movflags", "+write_colr")
    assert b"colrnclx\0\x01\0\x01\0\x01" in liar.read_bytes()
    for path in (honest, liar):
        facts = facts_of(desk, path)
        assert (facts.hdr, facts.transfer, facts.primaries) == ("PQ", "PQ", "BT.2020")
        assert (facts.bit_depth, facts.chroma) == (10, "4:2:0")
    said = subprocess.run(
        [media.ffmpeg.path, "-i", liar, "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stderr
    assert b"color_trc:smpte2084" in said


def test_ordinary_colours_are_no_hdr(desk: Desk, media: Media) -> None:
    """And full range is told from that of television."""
    named = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    facts = facts_of(desk, media.clip("full.mp4", "-vf", named, "-pix_fmt", "yuvj420p"))
    assert (facts.hdr, facts.dolby_vision, facts.transfer, facts.full_range) == (None, False, "BT.709", True)


@pytest.mark.parametrize(("order", "scan"), [("tff", "top field first"), ("bff", "bottom field first")])
def test_fields_are_told_in_their_order(desk: Desk, media: Media, order: str, scan: str) -> None:
    """A renderer must part them in the right order, or everything that moves trembles."""
    fields = media.made(
        f"fields-{order}.mov",
        *("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=1"),
        *("-vf", f"setfield={order}", "-c:v", "mpeg2video", "-flags", "+ildct+ilme"),
    )
    assert facts_of(desk, fields).scan == scan


def test_the_rates_of_a_varying_clip_are_kept(desk: Desk, media: Media) -> None:
    """Its longest and its shortest frame."""
    source = "testsrc2=size=64x48:rate=10:duration=2,select='lt(n,10)+not(mod(n,5))'"
    facts = facts_of(desk, media.clip("varying.mp4", "-fps_mode", "vfr", source=source))
    assert (facts.variable_frame_rate, facts.min_frame_rate, facts.max_frame_rate) == (True, 2, 10)


def test_the_tracks_of_a_clip_are_counted(desk: Desk, media: Media) -> None:
    """Sound comes first here, so the film is track 1; time codes, one for each picture, are data."""
    cover = media.made("cover.png", "-f", "lavfi", "-i", "color=red:size=300x200", "-frames:v", "1", "-update", "1")
    dressed = media.made(
        "dressed-with-time.mp4",
        *("-f", "lavfi", "-i", "sine=duration=3", "-i", media.clip(), "-i", cover, "-timecode", "01:00:00:00"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-disposition:v:1", "attached_pic"),
    )
    facts = facts_of(desk, dressed)
    assert (facts.track, facts.video_tracks, facts.audio_tracks) == (1, 1, 1)
    assert (facts.data_tracks, facts.attached_pictures, facts.has_sound) == (2, 1, True)


# -- codecs, damage and stills -------------------------------------------------------------------

ACCEPTED = {
    "prores_ks": ("-pix_fmt", "yuv422p10le"),
    "dnxhd": ("-profile:v", "dnxhr_lb", "-pix_fmt", "yuv422p"),
    "mjpeg": ("-pix_fmt", "yuvj422p"),
    "qtrle": (),
    "png": (),
    "cfhd": (),
    "mpeg4": (),
    "mpeg2video": (),
    "libx265": ("-x265-params", "log-level=error"),
}


@pytest.mark.parametrize("encoder", ACCEPTED)
def test_what_cameras_and_editors_write_is_accepted(desk: Desk, media: Media, encoder: str) -> None:
    """From a phone's HEVC to an editor's overlay with an alpha channel."""
    source = "testsrc2=size=320x240:rate=10:duration=0.5"
    path = media.made(f"{encoder}.mov", "-f", "lavfi", "-i", source, "-c:v", encoder, *ACCEPTED[encoder])
    assert facts_of(desk, path).frames == 5


@pytest.mark.parametrize(("encoder", "codec"), [("jpeg2000", "JPEG 2000"), ("svq1", "Sorenson 1"), ("gif", "M-GIF")])
def test_a_codec_that_nobody_films_in_is_refused_by_name(desk: Desk, media: Media, encoder: str, codec: str) -> None:
    """Rare decoders are where the holes are, and a render node may lack them."""
    source = "testsrc2=size=320x240:rate=10:duration=0.5"
    rejection = desk.refusal(media.made(f"{encoder}.mov", "-f", "lavfi", "-i", source, "-c:v", encoder), Kind.VIDEO)
    assert (rejection.code, rejection.measured) == ("wrong_codec", {"codec": codec})
    assert codec in rejection.sentence
    assert "H.264" in rejection.advice


def test_ffmpeg_itself_is_kept_to_those_codecs(desk: Desk, media: Media) -> None:
    """Should MediaInfo be deceived, the decoder is still not there."""
    source = "testsrc2=size=320x240:rate=10:duration=0.5"
    path = media.made("jpeg2000.mov", "-f", "lavfi", "-i", source, "-c:v", "jpeg2000")
    subprocess.run([media.ffmpeg.path, "-v", "error", "-i", path, "-f", "null", "-"], timeout=60, check=True)
    ended, progress = desk.cage().run("mov", path, ["-map", "0:V:0", "-f", "null", "-"])
    assert (ended.code != 0, progress.frame) == (True, 0)


def test_a_clip_with_spoilt_pictures_is_damaged(desk: Desk, media: Media) -> None:
    """Each picture that cannot be decoded spoils those after it, though ffmpeg ends well and the length is right."""
    whole = media.clip("to-spoil.mp4", "-movflags", "+faststart", seconds=6)
    content = bytearray(whole.read_bytes())
    start = content.index(b"mdat") + 4
    for at in range(start + 2_000, len(content) - 40, 1_000):
        content[at : at + 40] = b"\xff" * 40
    spoilt = whole.with_name("spoilt.mp4")
    spoilt.write_bytes(content)
    rejection = desk.refusal(spoilt, Kind.VIDEO)
    assert rejection.code == "damaged"
    assert "1% of its pictures" in rejection.sentence


def test_a_clip_that_breaks_off_within_a_picture_is_truncated_and_not_damaged(desk: Desk, media: Media) -> None:
    """The sentence names what the operator can mend."""
    whole = media.clip("fast-start.mp4", "-movflags", "+faststart", seconds=6)
    assert desk.refusal(media.half(whole, 0.61), Kind.VIDEO).code == "truncated"


def test_a_single_picture_is_no_clip_but_may_be_a_decoration(desk: Desk, media: Media) -> None:
    """As a background it would flash by."""
    still = media.clip("still.mp4", "-frames:v", "1")
    assert desk.refusal(still, Kind.VIDEO).code == "too_short"
    assert desk.examine(media.frame("still-frame.mp4", seconds=0.1), Kind.FRAME).video
