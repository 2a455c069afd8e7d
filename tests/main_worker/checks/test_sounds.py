"""Whether a voice is a voice: its length, its channels, how much of it is silence, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.checks.sounds import Pauses, Silence, Speech, rises_and_falls
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
    assert silence("frame:0 pts:0", "out_time_us=5", "progress=end", "lavfi.other=3", "").found(9.0).total == 0


def test_silences_add_up() -> None:
    """Each start is ended by the next end; blanks around a line do not matter."""
    heard = silence(
        "lavfi.silence_start=1", " lavfi.silence_end=2.5\n", "lavfi.silence_start=4.25", "lavfi.silence_end=5"
    )
    assert heard.found(10.0).total == 2.25


def test_a_silence_up_to_the_end_has_no_end_mark() -> None:
    """It counts to the end of the sound, and a start beyond the end counts nothing."""
    assert silence("lavfi.silence_start=6").found(10.0).total == 4
    assert silence("lavfi.silence_start=11").found(10.0).total == 0


def test_a_start_before_the_beginning_counts_from_the_beginning() -> None:
    """silencedetect may say that a silence began a little before zero."""
    assert silence("lavfi.silence_start=-0.02", "lavfi.silence_end=3").found(10.0).total == 3


def test_an_end_without_a_start_counts_nothing() -> None:
    """Nothing is guessed."""
    assert silence("lavfi.silence_end=3", "lavfi.silence_duration=3").found(10.0).total == 0


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
    assert heard.found(now).total == pytest.approx(sum(lengths[1::2]), abs=0.002)


def test_silences_are_told_apart_by_where_they_are() -> None:
    """Before the first word, after the last one, and the longest between."""
    heard = silence(
        *("lavfi.silence_start=0.03", "lavfi.silence_end=1.5", "lavfi.silence_start=3", "lavfi.silence_end=3.6"),
        *("lavfi.silence_start=5", "lavfi.silence_end=7", "lavfi.silence_start=9"),
    )
    assert heard.found(12.0) == Pauses(total=7.07, leading=1.47, trailing=3.0, longest=2.0)


def test_a_silence_that_ends_with_the_sound_is_at_its_end() -> None:
    """The encoder's last frame may be louder than silence."""
    assert silence("lavfi.silence_start=6", "lavfi.silence_end=9.95").found(10.0).trailing == 3.95


def test_silence_from_beginning_to_end_is_counted_once() -> None:
    """It is at the beginning, and nothing else."""
    assert silence("lavfi.silence_start=0").found(4.0) == Pauses(total=4.0, leading=4.0)


def speech(levels: list[float], floor: float = -60.0, depth: float = 4.0) -> float:
    heard = Speech(floor, depth)
    for level in levels:
        heard.read(f"lavfi.astats.Overall.RMS_level={level}")
    return heard.seconds()


def test_syllables_are_speech() -> None:
    """A level that opens and closes four times a second, in windows of 50 ms."""
    assert speech([-30, -25, -20, -25, -40] * 20) == 5.0


@pytest.mark.parametrize("levels", [[-20.0] * 100, [-20.0, -21.5] * 50, [-20.0 - n for n in range(30)], []])
def test_a_level_that_stays_or_only_falls_is_no_speech(levels: list[float]) -> None:
    """Tones, noise, and what fades away."""
    assert speech(levels) == 0


def test_a_tone_between_silences_is_no_speech() -> None:
    """Its beginning and its end are too far apart for a syllable."""
    assert speech([-100.0] * 20 + [-20.0] * 20 + [-100.0] * 20) == 0


def test_what_lies_below_the_floor_is_no_speech() -> None:
    """The rhythm of what nobody hears is not counted, and neither are the gaps between words."""
    assert speech([-90.0, -70.0] * 40) == 0
    assert speech([-90.0, -30.0] * 40) == 2.0


@pytest.mark.parametrize("level", ["-inf", "nan", "-nan"])
def test_levels_that_are_no_numbers_are_silence(level: str) -> None:
    """Digital silence has no level."""
    heard = Speech(-60.0, 4.0)
    for _ in range(30):
        heard.read(f"lavfi.astats.Overall.RMS_level={level}")
        heard.read("lavfi.astats.Overall.RMS_level=-20")
        heard.read("frame:3 pts:2400")
    assert heard.seconds() == 1.5


@given(st.lists(st.floats(-120, 0), max_size=60))
def test_speech_is_never_more_than_what_is_above_the_floor(levels: list[float]) -> None:
    """And quieter by the same measure everywhere is as much like speech, as long as it is heard."""
    found = speech(levels)
    assert 0 <= found <= sum(level >= -60 for level in levels) * 0.05 + 1e-9
    whole = [max(-100.0, level) for level in levels]
    assert speech([level - 20 for level in whole], floor=-125) <= speech(whole, floor=-105) + 1e-9


@given(st.lists(st.floats(-100, 0), min_size=1, max_size=20), st.floats(1, 20))
def test_a_row_rises_and_falls_whichever_way_it_is_read(levels: list[float], depth: float) -> None:
    """Backwards, each rise is a fall."""
    assert rises_and_falls(levels, depth) == rises_and_falls(levels[::-1], depth)


def voice(desk: Desk, path: str, media: Media, source: str, *output: str) -> AudioFacts:
    facts = desk.examine(media.sound(path, *output, source=source), Kind.VOICE).audio
    assert facts is not None
    return facts


def test_a_mono_voice_is_measured_to_the_sample(desk: Desk, media: Media) -> None:
    """Padding of the encoder is no part of its length."""
    facts = voice(desk, "mono.mp3", media, media.syllables(2.5, sample_rate=24_000))
    assert (facts.seconds, facts.channels, facts.sample_rate) == (2.5, 1, 24000)
    assert (facts.codec, facts.silent_seconds) == ("MPEG Audio", 0)


@pytest.mark.parametrize(("channels", "lufs"), [("1", -23.0), ("2", -20.0)])
def test_a_voice_has_its_loudness(desk: Desk, media: Media, channels: str, lufs: float) -> None:
    """1 kHz with a peak of -20 dBFS, half of each 0.4 s, which is what EBU R128 measures at a time: 3 LU less.

    Mono is spread over both sides, and has there 3 dB less.
    """
    tone = "0.1*sin(2*PI*997*t)*lt(mod(t,0.4),0.2)"
    source = f"aevalsrc='{'|'.join([tone] * int(channels))}':d=20:s=44100"
    found = desk.examine(media.sound("loud.mp3", "-ac", channels, "-b:a", "192k", source=source), Kind.VOICE)
    assert found.loudness is not None
    assert found.loudness.integrated == pytest.approx(lufs - 3.0, abs=0.4)  # LAME takes a little
    assert found.loudness.true_peak == pytest.approx(lufs, abs=1.0)


def test_a_stereo_voice_with_a_pause_is_accepted(desk: Desk, media: Media) -> None:
    """The pause is measured; a short breath is not one."""
    beat = "pow(0.52-0.48*cos(8*PI*t),2)"
    source = f"aevalsrc='{beat}*if(between(t,1,2),0,sin(3000*t))|0.5*{beat}*if(between(t,1,2),0,sin(2500*t))':d=4"
    facts = voice(desk, "stereo.mp3", media, source)
    assert (facts.channels, facts.sample_rate) == (2, 44100)
    assert facts.seconds == pytest.approx(4.0, abs=0.001)
    assert facts.silent_seconds == pytest.approx(1.0, abs=0.1)
    assert facts.longest_pause == facts.silent_seconds
    assert (facts.leading_silence, facts.trailing_silence) == (0, 0)
    assert facts.speech_seconds == pytest.approx(2.5, abs=0.6)


def test_a_voice_without_a_length_in_its_header_is_accepted(desk: Desk, media: Media) -> None:
    """Without a Xing header its length can only be found by decoding."""
    facts = voice(desk, "no-xing.mp3", media, media.syllables(2), "-write_xing", "0")
    assert facts.seconds == pytest.approx(2.0, abs=0.1)


def test_a_silent_voice_is_refused(desk: Desk, media: Media) -> None:
    """A muted microphone is found before anything is rendered."""
    rejection = desk.refusal(media.sound("mute.mp3", source="anullsrc=duration=3"), Kind.VOICE)
    assert rejection.code == "silent"
    assert rejection.sentence.startswith("Only 0% of the voice")
    assert "All of it is silence." in rejection.sentence
    assert (rejection.measured["sound_share"], rejection.measured["leading_silence"]) == (0, 3)


def test_a_voice_of_mostly_silence_is_refused(desk: Desk, media: Media) -> None:
    """A tenth of sound is too little, unless the configuration is content with it."""
    mostly = media.sound("mostly-mute.mp3", source=f"{media.syllables(0.5)},adelay=1s,apad=whole_dur=5")
    rejection = desk.refusal(mostly, Kind.VOICE)
    assert rejection.code == "silent"
    assert "begins with 1.0 s and ends with 3.5 s of silence" in rejection.sentence
    assert desk.examine(mostly, Kind.VOICE, {"voice": {"min_sound_share": 0.05}}).audio


def test_a_faint_voice_is_refused_by_its_level(desk: Desk, media: Media) -> None:
    """Sound below voice.silence_db is silence."""
    faint = media.sound("faint.mp3", source=f"{media.syllables(2)},volume=-45dB")
    assert desk.refusal(faint, Kind.VOICE).code == "silent"
    assert desk.examine(faint, Kind.VOICE, {"voice": {"silence_db": -70}}).audio


def test_a_voice_shorter_than_the_least_is_refused(desk: Desk, media: Media) -> None:
    """A click of the recorder is no chapter."""
    blip = media.sound("blip.mp3", seconds=0.4)
    rejection = desk.refusal(blip, Kind.VOICE)
    assert rejection.code == "too_short"
    assert rejection.measured == {"seconds": 0.4}
    assert "lasts 0.4 s" in rejection.sentence
    assert desk.examine(blip, Kind.VOICE, {"voice": {"min_seconds": 0.2}}).audio


def test_a_length_just_under_the_least_is_not_called_it(desk: Desk, media: Media) -> None:
    """0.97 s are not 1.0 s."""
    rejection = desk.refusal(media.sound("nearly.mp3", seconds=0.97), Kind.VOICE)
    assert rejection.sentence == "The voice lasts 0.97 s; at least 1 s are needed."


NO_SPEECH = {
    "tone": "sine=frequency=440:duration=6",
    "tone-between-silences": "sine=frequency=440:duration=3,adelay=1s,apad=whole_dur=5",
    "white-noise": "anoisesrc=amplitude=0.1:duration=6:seed=1",
    "pink-noise": "anoisesrc=color=pink:amplitude=0.3:duration=6:seed=1",
    "brown-noise": "anoisesrc=color=brown:amplitude=0.5:duration=6:seed=1",
    "hum": "aevalsrc='0.3*sin(2*PI*50*t)+0.1*sin(2*PI*150*t)+0.05*sin(2*PI*350*t)':d=6",
    "buzz": "aevalsrc='0.2*(mod(t*60,1)-0.5)':d=6",
    "offset": "aevalsrc=0.3:d=6",
    "sweep": "aevalsrc='0.3*sin(2*PI*(100*t+150*t*t))':d=10",
}


@pytest.mark.parametrize("name", list(NO_SPEECH))
@pytest.mark.parametrize("output", [("-b:a", "128k"), ("-ar", "8000", "-b:a", "8k")], ids=["128k", "8k"])
def test_sound_without_anything_like_speech_is_refused(
    desk: Desk, media: Media, name: str, output: tuple[str, ...]
) -> None:
    """A test tone, an open line, a loose cable; the refusal says that there is sound."""
    rejection = desk.refusal(media.sound(f"{name}.mp3", *output, source=NO_SPEECH[name]), Kind.VOICE)
    assert rejection.code == "no_speech"
    assert "rise and fall as speech does" in rejection.sentence
    assert "voice.min_speech_share" in rejection.advice


def test_the_wanted_share_of_speech_is_the_configured_one(desk: Desk, media: Media) -> None:
    """Who drops singing bowls may say so."""
    tone = media.sound("tone.mp3", "-b:a", "128k", source=NO_SPEECH["tone"])
    assert desk.examine(tone, Kind.VOICE, {"voice": {"min_speech_share": 0}}).audio


def test_two_seconds_of_speech_in_minutes_of_silence_or_hiss_are_refused(desk: Desk, media: Media) -> None:
    """A recorder that was left running, with a good and with a bad microphone."""
    speech = media.syllables(2)
    quiet = media.sound("left-running.mp3", "-b:a", "32k", source=f"{speech},apad=whole_dur=120")
    assert desk.refusal(quiet, Kind.VOICE).code == "silent"
    graph = f"{speech},apad=whole_dur=120[s];anoisesrc=a=0.03:d=120:seed=1:r=44100[n];[s][n]amix=normalize=0"
    hiss = media.made("hiss.mp3", "-filter_complex", graph, "-b:a", "64k", "-c:a", "libmp3lame")
    assert desk.refusal(hiss, Kind.VOICE).code == "no_speech"


def test_speech_in_loud_noise_is_accepted(desk: Desk, media: Media) -> None:
    """A street, a fan: as long as the syllables stand out."""
    graph = f"{media.syllables(5)}[s];anoisesrc=c=pink:a=0.1:d=5:seed=1:r=44100[n];[s][n]amix=normalize=0"
    noisy = media.made("noisy.mp3", "-filter_complex", graph, "-c:a", "libmp3lame")
    assert desk.examine(noisy, Kind.VOICE).audio


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
    pulsing = "aevalsrc='if(lt(mod(t,4),3),sin(6000*t)*pow(0.52-0.48*cos(8*PI*t),2),0)':s=8000:d=1000"
    voice = media.made("long.mp3", "-f", "lavfi", "-i", pulsing, "-c:a", "libmp3lame", "-b:a", "16k")
    audio = desk.examine(voice, Kind.VOICE).audio
    assert audio is not None
    assert audio.silent_seconds == pytest.approx(250, abs=13)
