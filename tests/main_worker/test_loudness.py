"""Music has one loudness in the library, whatever it had before; nothing else of the file is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from shared.child import Limits
from shared.domain.drop import Kind
from shared.ffmpeg import file_url
from shared.mediainfo import read_declared

if TYPE_CHECKING:
    from pathlib import Path

    from main_worker.examination import Examined
    from tests.main_worker.conftest import Desk, Media

TUNE = "aevalsrc='0.3*sin(2*PI*220*t)*(1+sin(t))/2+0.2*sin(2*PI*554*t)|0.4*sin(2*PI*330*t)':d=8:s=44100"


def measured(desk: Desk, path: Path) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBTP) of a file, by the meter of EBU R128."""
    ended, _ = desk.ffmpeg.run(
        ["-loglevel", "info", "-i", file_url(path), "-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"],
        limits=Limits(total_seconds=60),
        stopping=lambda: False,
    )
    summary = ended.errors[ended.errors.rindex("Summary:") :]
    found = [re.search(rf"{word}:\s+(-?[0-9.]+) ", summary) for word in ("I", "Peak")]
    assert all(found), summary
    loudness, peak = (float(match[1]) for match in found if match)
    return loudness, peak


def normalised(desk: Desk, path: Path, **music: float) -> tuple[Examined, Path]:
    examined = desk.examine(path, Kind.MUSIC, {"music": music})
    assert examined.made is not None
    return examined, examined.made[0]


@pytest.mark.parametrize("change", ["-25dB", "0dB", "+8dB"])
def test_music_ends_at_the_target_within_one_unit(desk: Desk, media: Media, change: str) -> None:
    """Quiet, right or overdriven: in the library it is -16 LUFS, and its true peak stays below the limit."""
    examined, made = normalised(desk, media.sound(f"tune{change}.mp3", source=f"{TUNE},volume={change}"))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=1.0)
    assert peak <= -1.0  # -1.5 dBTP, and what the encoder adds
    assert examined.loudness is not None
    assert examined.loudness.integrated == pytest.approx(loudness, abs=0.5)


def test_the_target_is_the_configured_one(desk: Desk, media: Media) -> None:
    """Another house has another loudness."""
    _, made = normalised(desk, media.sound("tune0dB.mp3", source=TUNE), target_lufs=-23.0, true_peak_db=-3.0)
    assert measured(desk, made)[0] == pytest.approx(-23.0, abs=1.0)


def test_music_with_sharp_peaks_keeps_its_true_peak(desk: Desk, media: Media) -> None:
    """Where one gain would lift the peaks over the limit, they are held down, and the loudness is still reached."""
    source = "aevalsrc='0.05*sin(2*PI*300*t)+0.9*sin(2*PI*900*t)*lt(mod(t,2),0.01)':d=20:s=48000"
    _, made = normalised(desk, media.sound("peaks.mp3", "-b:a", "192k", source=source))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=1.0)
    assert peak <= -1.0


def test_music_louder_than_full_scale_is_accepted(desk: Desk, media: Media) -> None:
    """loudnorm takes no measurement above 0 LUFS, but such a file is no damaged file."""
    square = "if(gt(sin(2*PI*1000*t),0),1,-1)"
    source = f"aevalsrc='{square}|{square}':d=5:s=44100"
    _, made = normalised(desk, media.sound("wall.mp3", "-b:a", "320k", source=source))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=1.0)
    assert peak <= -1.0


def test_covers_and_tags_do_not_come_along(desk: Desk, media: Media) -> None:
    """A cover would be a video track to every later tool."""
    cover = media.made("cover.png", "-f", "lavfi", "-i", "color=red:size=300x200", "-frames:v", "1", "-update", "1")
    tune = media.sound("tune0dB.mp3", source=TUNE)
    dressed = media.made(
        "dressed.mp3",
        *("-i", tune, "-i", cover, "-map", "0", "-map", "1", "-c", "copy"),
        *("-metadata", "title=A secret title", "-disposition:v", "attached_pic"),
    )
    examined, made = normalised(desk, dressed)
    content = made.read_bytes()
    assert b"PNG" in dressed.read_bytes()
    assert b"secret" in dressed.read_bytes()
    assert (b"PNG" in content, b"secret" in content) == (False, False)
    declared = read_declared(made, lambda: False)
    assert declared is not None
    assert (len(declared.audio), len(declared.video)) == (1, 0)
    assert examined.audio is not None
    assert examined.audio.seconds == pytest.approx(8.0, abs=0.01)


def test_normalising_keeps_the_length_to_the_sample(desk: Desk, media: Media) -> None:
    """A loop made for its beat stays on it."""
    tune = media.sound("tune0dB.mp3", source=TUNE)
    examined, made = normalised(desk, tune)
    again = desk.examine(made, Kind.VOICE).audio
    assert examined.audio is not None
    assert again is not None
    assert again.seconds == pytest.approx(examined.audio.seconds, abs=0.001)


def test_silent_music_is_refused_and_leaves_nothing(desk: Desk, media: Media) -> None:
    """There is no gain that would make it audible."""
    rejection = desk.refusal(media.sound("mute-music.mp3", source="anullsrc=duration=3"), Kind.MUSIC)
    assert (rejection.code, rejection.sentence) == ("silent", "The music is silent.")
    assert list(desk.staging.iterdir()) == []


def test_music_cut_in_half_is_refused(desk: Desk, media: Media) -> None:
    """It is not even normalised."""
    rejection = desk.refusal(media.half(media.sound("tune0dB.mp3", source=TUNE)), Kind.MUSIC)
    assert rejection.code == "truncated"
    assert list(desk.staging.iterdir()) == []
