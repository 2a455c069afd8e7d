"""Whether a voice is a voice: its length, its channels, how much of it is silence, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.sounds import Silence
from shared.domain.drop import Kind
from shared.domain.media import AudioFacts

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media


def silence(*lines: str) -> Silence:
    heard = Silence()
    for line in lines:
        heard.read(line)
    return heard


def test_no_silence_is_no_seconds() -> None:
    """Lines about other things, also progress, change nothing."""
    assert silence("frame:0 pts:0", "out_time_us=5", "progress=end", "lavfi.other=3", "").total(9.0) == 0


def test_silences_add_up() -> None:
    """Each start is ended by the next end; blanks around a line do not matter."""
    heard = silence(
        "lavfi.silence_start=1", " lavfi.silence_end=2.5\n", "lavfi.silence_start=4.25", "lavfi.silence_end=5"
    )
    assert heard.total(10.0) == 2.25


def test_a_silence_up_to_the_end_has_no_end_mark() -> None:
    """It counts to the end of the sound, and a start beyond the end counts nothing."""
    assert silence("lavfi.silence_start=6").total(10.0) == 4
    assert silence("lavfi.silence_start=11").total(10.0) == 0


def test_a_start_before_the_beginning_counts_from_the_beginning() -> None:
    """silencedetect may say that a silence began a little before zero."""
    assert silence("lavfi.silence_start=-0.02", "lavfi.silence_end=3").total(10.0) == 3


def test_an_end_without_a_start_counts_nothing() -> None:
    """Nothing is guessed."""
    assert silence("lavfi.silence_end=3", "lavfi.silence_duration=3").total(10.0) == 0


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=12))
def test_silence_and_sound_make_up_the_whole(lengths: list[float]) -> None:
    """For turns of sound and silence, the silent turns and no others are counted."""
    heard, now = Silence(), 0.0
    for turn, length in enumerate(lengths):
        if turn % 2:
            heard.read(f"lavfi.silence_start={now}")
        elif turn:
            heard.read(f"lavfi.silence_end={now}")
        now += length
    assert heard.total(now) == pytest.approx(sum(lengths[1::2]), abs=0.002)


def voice(desk: Desk, path: str, media: Media, source: str, *output: str) -> AudioFacts:
    facts = desk.examine(media.sound(path, *output, source=source), Kind.VOICE).audio
    assert facts is not None
    return facts


def test_a_mono_voice_is_measured_to_the_sample(desk: Desk, media: Media) -> None:
    """Padding of the encoder is no part of its length."""
    facts = voice(desk, "mono.mp3", media, "sine=frequency=300:sample_rate=24000:duration=2.5")
    assert (facts.seconds, facts.channels, facts.sample_rate) == (2.5, 1, 24000)
    assert (facts.codec, facts.silent_seconds) == ("MPEG Audio", 0)


def test_a_stereo_voice_with_a_pause_is_accepted(desk: Desk, media: Media) -> None:
    """The pause is measured; a short breath is not one."""
    source = "aevalsrc='if(between(t,1,2)+between(t,3,3.2),0,sin(2000*t))|0.5*if(between(t,1,2),0,sin(1500*t))':d=4"
    facts = voice(desk, "stereo.mp3", media, source)
    assert (facts.channels, facts.sample_rate) == (2, 44100)
    assert facts.seconds == pytest.approx(4.0, abs=0.001)
    assert facts.silent_seconds == pytest.approx(1.0, abs=0.1)


def test_a_voice_without_a_length_in_its_header_is_accepted(desk: Desk, media: Media) -> None:
    """Without a Xing header its length can only be found by decoding."""
    facts = voice(desk, "no-xing.mp3", media, "sine=duration=2", "-write_xing", "0")
    assert facts.seconds == pytest.approx(2.0, abs=0.1)


def test_a_silent_voice_is_refused(desk: Desk, media: Media) -> None:
    """A muted microphone is found before anything is rendered."""
    rejection = desk.refusal(media.sound("mute.mp3", source="anullsrc=duration=3"), Kind.VOICE)
    assert rejection.code == "silent"
    assert rejection.sentence.startswith("Only 0% of the voice")
    assert rejection.measured == {"sound_share": 0}


def test_a_voice_of_mostly_silence_is_refused(desk: Desk, media: Media) -> None:
    """A tenth of sound is too little, unless the configuration is content with it."""
    mostly = media.sound("mostly-mute.mp3", source="aevalsrc='if(lt(t,0.5),sin(2000*t),0)':d=5")
    assert desk.refusal(mostly, Kind.VOICE).code == "silent"
    assert desk.examine(mostly, Kind.VOICE, {"voice": {"min_sound_share": 0.05}}).audio


def test_a_faint_voice_is_refused_by_its_level(desk: Desk, media: Media) -> None:
    """Sound below voice.silence_db is silence."""
    faint = media.sound("faint.mp3", source="sine=duration=2,volume=-40dB")
    assert desk.refusal(faint, Kind.VOICE).code == "silent"
    assert desk.examine(faint, Kind.VOICE, {"voice": {"silence_db": -70}}).audio


def test_a_voice_shorter_than_the_least_is_refused(desk: Desk, media: Media) -> None:
    """A click of the recorder is no chapter."""
    blip = media.sound("blip.mp3", seconds=0.4)
    rejection = desk.refusal(blip, Kind.VOICE)
    assert rejection.code == "too_short"
    assert rejection.measured == {"seconds": 0.4}
    assert desk.examine(blip, Kind.VOICE, {"voice": {"min_seconds": 0.2}}).audio


def test_a_voice_cut_in_half_is_refused(desk: Desk, media: Media) -> None:
    """Its Xing header still declares the full length."""
    rejection = desk.refusal(media.half(media.sound("whole.mp3", seconds=8)), Kind.VOICE)
    assert rejection.code == "truncated"
    assert rejection.measured["declared_seconds"] == pytest.approx(8.0, abs=0.1)
    assert rejection.measured["decoded_seconds"] == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize("kind", [Kind.VOICE, Kind.MUSIC])
def test_a_page_named_mp3_is_refused(desk: Desk, media: Media, kind: Kind) -> None:
    """What a download button of a lost session gives."""
    page = media.text("page.mp3", "<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n" * 20)
    assert desk.refusal(page, kind).code in ("unreadable", "wrong_content")


def test_another_container_named_mp3_is_refused_by_its_name(desk: Desk, media: Media) -> None:
    """A video without sound says what it is."""
    rejection = desk.refusal(media.made("clip.mp3", "-i", media.clip(), "-c", "copy", "-f", "mp4"), Kind.VOICE)
    assert (rejection.code, rejection.sentence) == ("wrong_content", "The file is named .mp3 but is MPEG-4.")


def test_a_memo_in_another_format_named_mp3_is_refused(desk: Desk, media: Media) -> None:
    """AAC in an MP4 is sound, but no MP3."""
    memo = media.made("memo.mp3", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", "-f", "mp4")
    assert desk.refusal(memo, Kind.VOICE).code == "unreadable"


def test_every_pause_of_a_long_voice_is_counted(desk: Desk, media: Media) -> None:
    """Hundreds of pauses fill ffmpeg's buffers; none of their lines may be cut by its progress lines."""
    pulsing = "aevalsrc='if(lt(mod(t,4),3),sin(880*t),0)':s=8000:d=2400"
    voice = media.made("long.mp3", "-f", "lavfi", "-i", pulsing, "-c:a", "libmp3lame", "-b:a", "16k")
    audio = desk.examine(voice, Kind.VOICE).audio
    assert audio is not None
    assert audio.silent_seconds == pytest.approx(600, abs=30)
