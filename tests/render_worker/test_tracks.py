"""What a film says of its tracks is read from the film itself; what is missing or cut is empty, and never an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.tracks import BT709_LIMITED, FilmTrack, tracks_of

RunFfmpeg = Callable[..., bytes]
WORDS = "WEBVTT\n\n00:00.250 --> 00:01.000\nwords\n"
PAINT = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, media: Callable[[str], Path], run_ffmpeg: RunFfmpeg) -> Path:
    """Picture, sound that begins late, and captions."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "words.vtt").write_text(WORDS, "utf-8")
    sound = ["-itsoffset", "0.25", "-i", media("voice_short.mp3"), "-i", folder / "words.vtt"]
    maps = ["-map", "0:v", "-map", "1:a", "-map", "2:s", "-metadata:s:s:0", "language=deu"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-c:s", "mov_text", "-vf", PAINT]
    run_ffmpeg("-i", media("h264.mp4"), *sound, *maps, *codecs, folder / "film.mp4")
    return folder / "film.mp4"


def test_each_track_is_told(film: Path) -> None:
    """Decoders, languages, lengths, colours, in the order of the file."""
    picture, sound, words = tracks_of(film)
    assert (picture.kind, picture.codec, picture.colours) == ("vide", "avc1", BT709_LIMITED)
    assert (sound.kind, sound.codec, sound.colours) == ("soun", "mp4a", "")
    assert (words.codec, words.language) == ("tx3g", "deu")
    assert picture.language == sound.language == "und"
    assert picture.seconds == 2.0
    assert sound.seconds == pytest.approx(1.45, abs=0.03)
    assert picture.late_seconds == 0.0
    assert sound.late_seconds == pytest.approx(0.25, abs=0.03)
    assert picture.is_enabled
    assert sound.is_enabled


def test_a_picture_that_is_turned_or_of_full_range_says_so(film: Path, tmp_path: Path, run_ffmpeg: RunFfmpeg) -> None:
    """What a player does with it depends on that."""
    run_ffmpeg("-display_rotation", "90", "-i", film, "-c", "copy", tmp_path / "turned.mp4")
    assert tracks_of(tmp_path / "turned.mp4")[0].matrix == (0.0, -1.0, 1.0, 0.0)
    full = ["-vf", "scale=out_range=pc,setparams=range=pc", "-c:v", "libx264", "-preset", "ultrafast"]
    run_ffmpeg("-i", film, "-map", "0:v", *full, tmp_path / "full.mp4")
    assert tracks_of(tmp_path / "full.mp4")[0].colours == "1/1/1 full"


def test_a_film_cut_anywhere_is_read_as_far_as_it_goes(film: Path, tmp_path: Path) -> None:
    """Its index lies at its end; of what is cut nothing is told wrongly."""
    whole, cut = film.read_bytes(), tmp_path / "cut.mp4"
    begin = whole.index(b"moov") - 4
    for end in range(begin, len(whole), 37):
        cut.write_bytes(whole[:end])
        assert len(tracks_of(cut)) <= 3
    cut.write_bytes(whole[begin:])
    assert tracks_of(cut) == tracks_of(film)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\x1aE\xdf\xa3 matroska", b"\0\0\0\x10moov\0\0\0\x08trak"])
def test_what_is_no_film_has_no_tracks(content: bytes, tmp_path: Path) -> None:
    """Nor does it raise."""
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    assert set(tracks_of(path)) <= {FilmTrack()}
