"""Music has one loudness in the library, whatever it had before; nothing else of the file is kept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from main_worker.checks.loudness import Adjustment, first_adjustment, next_adjustment
from shared.child import Limits
from shared.domain.drop import Kind
from shared.domain.media import LoudnessFacts
from shared.ffmpeg import file_url
from shared.mediainfo import read_declared
from shared.settings import Music

if TYPE_CHECKING:
    from pathlib import Path

    from main_worker.checks.examination import Examined
    from tests.main_worker.conftest import Desk, Media

TUNE = "aevalsrc='0.3*sin(2*PI*220*t)*(1+sin(t))/2+0.2*sin(2*PI*554*t)|0.4*sin(2*PI*330*t)':d=8:s=44100"


CHAPTERS = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=4000\ntitle=secret chapter\n"
APE_TAG = b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16)
FOUND = LoudnessFacts(integrated=-20.0, range=5.0, true_peak=-8.0)
MUSIC = Music()


def test_one_gain_is_enough_where_the_peaks_stay_below() -> None:
    """Four LU louder, and what the encoder takes."""
    assert first_adjustment(MUSIC, FOUND) == Adjustment(gain=4.2)


def test_peaks_that_would_rise_too_high_are_limited() -> None:
    """A little under what is allowed, since encoding adds to them."""
    assert first_adjustment(MUSIC, replace(FOUND, true_peak=-4.0)) == Adjustment(gain=4.2, limit=-1.8)


def test_a_track_of_nothing_but_peaks_is_not_lifted_without_end() -> None:
    """18 dB of limiting and no more."""
    clicks = LoudnessFacts(integrated=-50.0, range=0.0, true_peak=-1.0)
    assert first_adjustment(MUSIC, clicks) == Adjustment(gain=17.5, limit=-1.8)


def test_a_file_that_came_out_right_is_not_written_again() -> None:
    """Within a third of a unit, and the peaks below the limit."""
    assert next_adjustment(MUSIC, Adjustment(4.2), FOUND, LoudnessFacts(-16.2, 5.0, -1.5)) is None


def test_a_file_that_missed_is_corrected_by_what_it_missed() -> None:
    """The limiter took a unit; the gain makes up for it."""
    done = Adjustment(4.2, limit=-1.8)
    assert next_adjustment(MUSIC, done, FOUND, LoudnessFacts(-17.0, 5.0, -1.8)) == Adjustment(5.2, limit=-1.8)


def test_peaks_that_the_encoder_lifted_are_held_lower() -> None:
    """By as much as they are too high, under the limit that was or would have been."""
    for limit in (None, -1.8):
        again = next_adjustment(MUSIC, Adjustment(4.2, limit), FOUND, LoudnessFacts(-16.0, 5.0, -1.0))
        assert again is not None
        assert again.limit == pytest.approx(-2.3)


def test_what_cannot_be_corrected_is_left() -> None:
    """All the limiting there may be is done already."""
    clicks = LoudnessFacts(integrated=-50.0, range=0.0, true_peak=-1.0)
    assert next_adjustment(MUSIC, Adjustment(17.5, -1.8), clicks, LoudnessFacts(-30.0, 0.0, -1.8)) is None


def test_the_limiter_looks_between_the_samples() -> None:
    """At four times the rate; without a limit nothing but the gain is done."""
    shape = "aresample=48000,aformat=channel_layouts=stereo,volume=4.200dB:precision=double"
    assert Adjustment(4.2).audio_filter == shape
    assert Adjustment(4.2, -1.8).audio_filter == (
        f"{shape},aresample=192000,alimiter=limit=-1.800dB:level=0:attack=5:release=50:latency=1,aresample=48000"
    )


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
def test_music_ends_at_the_target_within_half_a_unit(desk: Desk, media: Media, change: str) -> None:
    """Quiet, right or overdriven: in the library it is -16 LUFS, and its true peak stays below the limit."""
    examined, made = normalised(desk, media.sound(f"tune{change}.mp3", source=f"{TUNE},volume={change}"))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert peak <= -1.5
    assert examined.loudness is not None
    assert (examined.loudness.integrated, examined.loudness.true_peak) == (loudness, peak)


def test_the_target_is_the_configured_one(desk: Desk, media: Media) -> None:
    """Another house has another loudness."""
    _, made = normalised(desk, media.sound("tune0dB.mp3", source=TUNE), target_lufs=-23.0, true_peak_db=-3.0)
    assert measured(desk, made)[0] == pytest.approx(-23.0, abs=0.5)


def test_music_with_sharp_peaks_keeps_its_true_peak(desk: Desk, media: Media) -> None:
    """Where one gain would lift the peaks over the limit, they are held down, and the loudness is still reached."""
    source = "aevalsrc='0.05*sin(2*PI*300*t)+0.9*sin(2*PI*900*t)*lt(mod(t,2),0.01)':d=20:s=48000"
    examined, made = normalised(desk, media.sound("peaks.mp3", "-b:a", "192k", source=source))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert peak <= -1.5

    assert examined.loudness is not None
    assert examined.loudness.limited
    assert examined.loudness.held_below == 0


SHORT_AND_PEAKY = {
    "pluck": "aevalsrc='0.9*sin(2*PI*440*t)*exp(-20*mod(t,1))':d=2.5",
    "jingle": "aevalsrc='0.1*sin(2*PI*440*t)+0.8*sin(2*PI*880*t)*exp(-60*mod(t,0.5))':d=1.2",
    "beep": "sine=duration=0.45",
    "noise": "anoisesrc=c=pink:a=0.2:d=2:seed=1",
}


@pytest.mark.parametrize("name", list(SHORT_AND_PEAKY))
@pytest.mark.parametrize("change", ["-30dB", "0dB"])
def test_short_and_peaky_music_reaches_the_target_too(desk: Desk, media: Media, name: str, change: str) -> None:
    """Three seconds are too little for loudnorm; one gain and a limiter know no such bound."""
    _, made = normalised(desk, media.sound(f"{name}.mp3", source=f"{SHORT_AND_PEAKY[name]},volume={change}"))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert peak <= -1.5


def test_music_that_cannot_be_loud_enough_says_so(desk: Desk, media: Media) -> None:
    """Clicks and nothing between: the true peak is kept, and the record says how much is missing."""
    clicks = media.sound("clicks.mp3", "-b:a", "192k", source="aevalsrc='0.9*lt(mod(t,1),0.0005)':d=6")
    examined, made = normalised(desk, clicks)
    loudness, peak = measured(desk, made)
    assert peak <= -1.5
    assert examined.loudness is not None
    assert examined.loudness.held_below == pytest.approx(-16.0 - loudness, abs=0.01)
    assert examined.loudness.held_below > 1


def test_mono_music_is_as_loud_as_stereo_music(desk: Desk, media: Media) -> None:
    """The library plays it on both sides, and what it says of itself is what lies in the library."""
    examined, made = normalised(desk, media.sound("mono-tune.mp3", source="sine=f=300:r=22050:d=3,volume=-3dB"))
    assert measured(desk, made)[0] == pytest.approx(-16.0, abs=0.5)
    assert examined.audio is not None
    assert (examined.audio.channels, examined.audio.sample_rate, examined.audio.seconds) == (2, 48_000, 3.0)
    again = desk.examine(made, Kind.MUSIC).audio
    assert again is not None
    assert (again.channels, again.sample_rate, again.seconds) == (2, 48_000, 3.0)


def test_music_shorter_than_the_meter_sees_is_too_short(desk: Desk, media: Media) -> None:
    """It is not silent."""
    rejection = desk.refusal(media.sound("blip-music.mp3", source="sine=duration=0.35"), Kind.MUSIC)
    assert rejection.code == "too_short"
    assert "0.35 s" in rejection.sentence
    assert list(desk.staging.iterdir()) == []


def test_music_longer_than_allowed_is_refused_before_it_is_written(desk: Desk, media: Media) -> None:
    """A small file of silence and one beep could become half a terabyte."""
    rejection = desk.refusal(media.sound("tune0dB.mp3", source=TUNE), Kind.MUSIC, {"music": {"max_seconds": 5}})
    assert rejection.code == "too_long"
    assert "music.max_seconds" in rejection.sentence


def test_music_louder_than_full_scale_is_accepted(desk: Desk, media: Media) -> None:
    """loudnorm takes no measurement above 0 LUFS, but such a file is no damaged file."""
    square = "if(gt(sin(2*PI*1000*t),0),1,-1)"
    source = f"aevalsrc='{square}|{square}':d=5:s=44100"
    _, made = normalised(desk, media.sound("wall.mp3", "-b:a", "320k", source=source))
    loudness, peak = measured(desk, made)
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert peak <= -1.5


def test_covers_and_tags_do_not_come_along(desk: Desk, media: Media) -> None:
    """A cover would be a video track to every later tool."""
    cover = media.made("cover.png", "-f", "lavfi", "-i", "color=red:size=300x200", "-frames:v", "1", "-update", "1")
    tune = media.sound("tune0dB.mp3", source=TUNE)
    dressed = media.made(
        "dressed.mp3",
        *("-i", tune, "-i", cover, "-i", media.text("chapters.txt", CHAPTERS), "-map", "0", "-map", "1", "-c", "copy"),
        *("-metadata", "title=A secret title", "-metadata", "odd=secret", "-disposition:v", "attached_pic"),
        *("-map_chapters", "2", "-write_id3v1", "1"),
    )
    dressed.write_bytes(dressed.read_bytes() + APE_TAG)
    examined, made = normalised(desk, dressed)
    content = made.read_bytes()
    assert b"PNG" in dressed.read_bytes()
    assert all(word in dressed.read_bytes() for word in (b"secret", b"CHAP", b"TAG", b"APETAGEX"))
    assert not any(word in content for word in (b"PNG", b"APIC", b"secret", b"CHAP", b"TAGA", b"APETAGEX"))
    declared = read_declared(made, lambda: False)
    assert declared is not None
    assert (len(declared.audio), len(declared.video)) == (1, 0)
    assert examined.audio is not None
    assert examined.audio.seconds == pytest.approx(8.0, abs=0.01)


def test_normalising_keeps_the_length_to_the_sample(desk: Desk, media: Media) -> None:
    """A loop made for its beat stays on it."""
    tune = media.sound("tune0dB.mp3", source=TUNE)
    examined, made = normalised(desk, tune)
    assert examined.audio is not None
    assert examined.audio.seconds == pytest.approx(8.0, abs=0.001)
    again = desk.examine(made, Kind.MUSIC).audio
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
