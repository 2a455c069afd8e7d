"""What the meter writes is read, and a sound is judged by it."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest

from render_worker.heard import UNKNOWN, Spoken, check_heard
from shared.domain.loudness import Block
from shared.domain.mix import Broadcast, Master
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track
from shared.meter import SILENT, Heard, Listening, put_together

PLAN = RenderPlan(
    Canvas(320, 180, Fraction(30)),
    Profile("libx264", quality=21, preset="ultrafast", audio_kbps=192),
    seconds=10.0,
    frames=300,
    shots=(Shot("clip.mp4", 300, 300),),
    layers=(),
    tracks=(Track("voice.mp3", 1.0, channels=1), Track("music.mp3", 0.1, channels=2, loops=True)),
    master=Master(Broadcast(), gain_db=1.0, limit_db=-2.0, most_gain_db=20.0, speech_db=-34.0),
)
VOICE = Spoken(((0.0, 1.0), (4.0, 6.0)), lead=30.0)


def sound(speech: float, pause: float, peak: float = -1.5) -> Heard:
    """Ten seconds of a voice with two pauses."""
    ends = [(number + 1) / 10 for number in range(3, 100)]
    paused = [any(start < end - 0.1 < stop for start, stop in VOICE.pauses or ()) for end in ends]
    blocks = [Block(end, pause if is_pause else speech) for end, is_pause in zip(ends, paused, strict=True)]
    return Heard(tuple(blocks), peak)


def failed(heard: Heard, plan: RenderPlan = PLAN, voice: Spoken = VOICE) -> set[str]:
    return {check.name for check in check_heard(heard, plan, voice) if not check.passed}


def test_the_meter_is_read() -> None:
    """Loudness and the highest peak; not what lies before the first whole block, and nothing of other lines."""
    listening = Listening(start=100.0)
    for line in (
        "frame:0    pts:0       pts_time:0",
        "lavfi.r128.M=-120.691",
        "lavfi.r128.I=-70.000",
        "lavfi.r128.true_peak=0.500",
        "frame:3    pts:14400   pts_time:0.3",
        "lavfi.r128.M=-20.500",
        "lavfi.r128.true_peak=0.400",
        "out_time_us=400000",
        "frame:4    pts:19200   pts_time:0.4",
        "lavfi.r128.M=-inf",
        "progress=end",
    ):
        listening.read(line)
    heard = listening.heard()
    assert [round(block.end, 3) for block in heard.blocks] == [100.4, 100.5]
    assert [block.level for block in heard.blocks] == [-20.5, -70.0]
    assert heard.true_peak == pytest.approx(-6.02)


def test_silence_has_no_peak() -> None:
    """It is minus infinity, not an error."""
    assert Listening().heard() == SILENT
    assert SILENT.loudness == -70.0


def test_parts_are_one_sound() -> None:
    """All their blocks, and the highest of their peaks."""
    one, other = sound(-14.0, -30.0), Heard((Block(11.0, -20.0),), -0.5)
    whole = put_together([one, other])
    assert whole.blocks == (*one.blocks, *other.blocks)
    assert whole.true_peak == -0.5
    assert put_together([]) == Heard((), -math.inf)


def test_a_good_sound_passes() -> None:
    """Every figure is told with its limit."""
    checks = check_heard(sound(-14.0, -28.0), PLAN, VOICE)
    assert all(check.passed for check in checks)
    assert [check.name for check in checks] == [
        "loudness, LUFS",
        "true peak, dBTP",
        "seconds heard",
        "seconds of silence where somebody speaks",
        "voice over its pauses, dB",
    ]


@pytest.mark.parametrize(
    ("heard", "names"),
    [
        (SILENT, {"loudness, LUFS", "seconds heard"}),
        (
            sound(-70.0, -70.0),
            {"loudness, LUFS", "seconds of silence where somebody speaks", "voice over its pauses, dB"},
        ),
        (sound(-15.0, -28.0), {"loudness, LUFS"}),
        (sound(-13.0, -28.0), {"loudness, LUFS"}),
        (sound(-14.0, -28.0, peak=-0.9), {"true peak, dBTP"}),
        (sound(-14.0, -14.0), {"voice over its pauses, dB"}),
    ],
    ids=["no sound", "silent", "too quiet", "too loud", "clipped", "music in the voice's place"],
)
def test_a_bad_sound_does_not(heard: Heard, names: set[str]) -> None:
    """Each is found by the check that is there for it."""
    assert failed(heard) == names


def test_a_word_that_is_missing_is_found() -> None:
    """Half a second of silence within speech."""
    blocks = [replace(block, level=-70.0) if 7.0 < block.end < 7.5 else block for block in sound(-14.0, -28.0).blocks]
    assert failed(Heard(tuple(blocks), -1.5)) == {"seconds of silence where somebody speaks"}


def test_a_voice_whose_peaks_forbid_more_may_stay_quieter() -> None:
    """But never louder than wanted, nor unheard."""
    assert PLAN.master
    held = replace(PLAN, master=replace(PLAN.master, gain_db=20.0))
    assert not failed(sound(-18.0, -32.0), held)
    assert failed(sound(-13.0, -28.0), held) == {"loudness, LUFS"}
    assert failed(sound(-40.0, -60.0), held) == {"loudness, LUFS"}


def test_fixed_gains_promise_no_loudness() -> None:
    """What the specification's mix comes to is told; only silence in the place of speech is a fault."""
    spec = replace(PLAN, master=None)
    assert not failed(sound(-30.0, -30.0, peak=0.5), spec)
    assert failed(sound(-70.0, -30.0), spec) == {"seconds of silence where somebody speaks"}


def test_what_is_too_short_to_be_measured_passes() -> None:
    """A block lasts 400 ms; voices that short are refused at ingest, unless somebody configures otherwise."""
    assert not failed(SILENT, replace(PLAN, seconds=0.3))


def test_without_pauses_the_figures_alone_are_judged() -> None:
    """Records of old voices do not tell them."""
    assert [check.name for check in check_heard(sound(-14.0, -14.0), PLAN, UNKNOWN)] == [
        "loudness, LUFS",
        "true peak, dBTP",
        "seconds heard",
    ]


def test_a_voice_in_a_noisy_room_is_not_taken_for_music() -> None:
    """What was hardly louder than its pauses when it was dropped cannot be told by them; nor what nobody measured."""
    assert not failed(sound(-14.0, -15.0), voice=replace(VOICE, lead=6.0))
    assert not failed(sound(-14.0, -15.0), voice=replace(VOICE, lead=None))


def test_a_knock_in_a_pause_changes_nothing() -> None:
    """As a rule pauses are quiet."""
    blocks = [replace(block, level=-10.0) if 5.0 < block.end <= 5.5 else block for block in sound(-14.0, -28.0).blocks]
    assert not failed(Heard(tuple(blocks), -1.5))
