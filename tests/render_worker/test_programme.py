"""Voice and music as one programme, measured on what is really encoded: loudness, peaks, ducking, fades, loops."""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker import soundtrack
from render_worker.commands.sounds import mix_down, samples_of
from render_worker.soundtrack import Sound, make_sound, mixed_right
from render_worker.tool import Tool
from shared.domain.media import LoudnessFacts
from shared.domain.mix import Broadcast, levels
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track

RunFfmpeg = Callable[..., bytes]
Samples = Callable[..., "array.array[float]"]
Programme = Callable[..., tuple[RenderPlan, Sound, Path]]

RATE = 48_000
# Three seconds of syllables at 220 Hz, three of nothing, and so on.
TALK = "aevalsrc='0.3*sin(2*PI*220*t)*pow(0.52-0.48*cos(8*PI*t),2)*lt(mod(t,6),3)':s=44100"
TONE = "sine=frequency=1000:sample_rate=44100"
HARDLY = "aevalsrc='0.1*sin(2*PI*100*t)*lt(mod(t,18),0.5)':s=44100"  # half a second of a voice, then nothing
CLICKS = "aevalsrc='0.02*sin(2*PI*300*t)*pow(0.52-0.48*cos(8*PI*t),2)+0.9*lt(mod(t,0.7),0.0005)':s=44100"


@pytest.fixture
def programme(tmp_path: Path, tool: Tool, run_ffmpeg: RunFfmpeg, measure: Callable[[Path], LoudnessFacts]) -> Programme:
    """Make a programme of a voice and of music that are measured first, as drops are."""

    def make(
        voice: str,
        music: str | None = TONE,
        *,
        seconds: float = 18.0,
        wanted: Broadcast | None = None,
        options: tuple[str, ...] = (),
        music_seconds: float = 7.0,
    ) -> tuple[RenderPlan, Sound, Path]:
        run_ffmpeg("-f", "lavfi", "-i", voice, "-t", seconds, *options, tmp_path / "voice.mp3")
        tracks = ["voice.mp3"]
        if music:
            run_ffmpeg("-f", "lavfi", "-i", music, "-t", music_seconds, "-ac", "2", tmp_path / "music.mp3")
            tracks.append("music.mp3")
        spoken, *played = (measure(tmp_path / track) for track in tracks)
        *gains, master = levels(spoken, played[0] if played else None, wanted or Broadcast())
        frames = round(seconds * 30)
        plan = RenderPlan(
            Canvas(320, 180, Fraction(30)),
            Profile("libx264", 21, "medium", 192),
            seconds,
            frames,
            (Shot("clip.mp4", frames, frames),),
            (),
            tuple(
                Track(name, 10 ** (gain / 20), 2, loops=name == "music.mp3")
                for name, gain in zip(tracks, gains, strict=False)
            ),
            master=master,
        )
        target = tmp_path / "sound.aac"
        return *mixed_right(plan, lambda plan: make_sound(plan, tmp_path, target, tool)), target

    return make


def decibels(values: array.array[float]) -> float:
    return 10 * math.log10(max(1e-12, sum(value * value for value in values) / len(values)))


def between(values: array.array[float], start: float, end: float) -> array.array[float]:
    return values[round(start * RATE) : round(end * RATE)]


MUSIC_ONLY = "highpass=f=700,highpass=f=700,highpass=f=700"


@pytest.mark.parametrize(
    "options",
    [
        ("-ac", "1", "-ar", "8000"),
        ("-ac", "1", "-ar", "16000"),
        ("-ac", "2", "-ar", "22050"),
        ("-ac", "2", "-ar", "48000"),
    ],
    ids=" ".join,
)
def test_every_voice_comes_out_at_one_loudness(
    programme: Programme, measure: Callable[[Path], LoudnessFacts], options: tuple[str, ...]
) -> None:
    """Mono or stereo, at any rate; and what was heard while it was encoded is what anybody measures."""
    _, sound, target = programme(TALK, options=options)
    found = measure(target)
    assert found.integrated == pytest.approx(-14.0, abs=0.5)
    assert found.true_peak <= -1.0
    assert sound.heard.loudness == pytest.approx(found.integrated, abs=0.1)
    assert sound.heard.true_peak == pytest.approx(found.true_peak, abs=0.1)


@pytest.mark.parametrize("lufs", [-23.0, -16.0])
def test_the_loudness_is_the_configured_one(
    programme: Programme, measure: Callable[[Path], LoudnessFacts], lufs: float
) -> None:
    """Broadcasters ask for other figures than the web does."""
    _, _, target = programme(TALK, wanted=Broadcast(loudness_lufs=lufs))
    assert measure(target).integrated == pytest.approx(lufs, abs=0.5)


def test_peaks_are_held(programme: Programme, measure: Callable[[Path], LoudnessFacts]) -> None:
    """A quiet voice with loud clicks stays under the highest true peak, also behind the encoder."""
    plan, sound, target = programme(CLICKS)
    assert measure(target).true_peak <= -1.0
    assert sound.heard.true_peak <= -1.0
    assert plan.master
    assert plan.master.gain_db > 0


@pytest.mark.parametrize("depth", [0.0, 6.0, 12.0])
def test_music_goes_down_under_the_voice_and_comes_back(programme: Programme, samples: Samples, depth: float) -> None:
    """By the configured depth, within a decibel and a half; as far under the voice as wanted where nobody speaks."""
    wanted = Broadcast(duck_db=depth, music_lu=-14.0)
    plan, _, target = programme(TALK, wanted=wanted)
    music = samples(target, MUSIC_ONLY)
    under, alone = decibels(between(music, 7.0, 9.0)), decibels(between(music, 10.5, 12.0))
    assert alone - under == pytest.approx(depth, abs=1.5)
    assert plan.master
    voice = decibels(between(samples(target), 6.5, 8.5))
    assert voice - alone > 8


def test_music_comes_back_as_fast_as_wanted(programme: Programme, samples: Samples) -> None:
    """Slowly, and all the way."""
    levels_after = {}
    for release in (0.2, 1.5):
        _, _, target = programme(TALK, wanted=Broadcast(duck_db=12.0, release_seconds=release, music_lu=-14.0))
        music = samples(target, MUSIC_ONLY)
        whole = decibels(between(music, 11.0, 11.9))
        levels_after[release] = decibels(between(music, 9.3, 9.6)) - whole
    assert levels_after[0.2] == pytest.approx(0.0, abs=1.0)
    assert levels_after[1.5] < -4.0


def test_music_is_faded_in_and_out(programme: Programme, samples: Samples) -> None:
    """Over a second and over three, unless configured otherwise; the voice is not."""
    _, _, target = programme(
        "anullsrc=r=44100:cl=mono,aeval='0.1*sin(2*PI*100*t)*lt(mod(t,9),0.5)':c=same", seconds=18.0
    )
    music = samples(target, MUSIC_ONLY)
    whole = decibels(between(music, 12.0, 14.0))
    assert decibels(between(music, 0.0, 0.1)) < whole - 15
    assert decibels(between(music, 16.2, 16.8)) == pytest.approx(whole - 6, abs=2.0)
    assert decibels(between(music, 17.8, 18.0)) < whole - 20


def test_music_repeats_without_a_seam(programme: Programme, samples: Samples) -> None:
    """A tone whose file ends after whole periods goes on as if it had no end: nothing but the tone is heard."""
    quiet = "anullsrc=r=44100:cl=mono,aeval='0.1*sin(2*PI*100*t)*lt(t,0.5)':c=same"
    _, _, target = programme(
        quiet, seconds=16.0, music_seconds=2.5, wanted=Broadcast(fade_in_seconds=0, fade_out_seconds=0)
    )
    tone = between(samples(target, MUSIC_ONLY), 2.0, 15.5)
    step = RATE // 50
    found = [decibels(tone[at : at + step]) for at in range(0, len(tone) - step, step)]
    assert max(found) - min(found) < 1.0
    rest = between(samples(target, "bandreject=f=1000:width_type=h:w=400,highpass=f=1500,highpass=f=1500"), 2.0, 15.5)
    loudest = max(decibels(rest[at : at + step]) for at in range(0, len(rest) - step, step))
    assert loudest < max(found) - 30


def test_a_voice_alone_is_a_programme_too(programme: Programme, measure: Callable[[Path], LoudnessFacts]) -> None:
    """Where music is optional and there is none."""
    _, _, target = programme(TALK, music=None)
    assert measure(target).integrated == pytest.approx(-14.0, abs=0.5)


def test_joins_of_parts_are_no_worse_than_one_pass(
    programme: Programme, tool: Tool, tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In silence, in speech and in music the error against the mix around each join is that of a whole encode."""
    plan, _, _ = programme(TALK, seconds=24.0)
    plan = replace(plan, tracks=(plan.tracks[0], replace(plan.tracks[1], loops=False)))  # it ends after seven seconds
    mixed = tmp_path / "mixed.s16"
    tool.run("mixing", mix_down(plan, tmp_path, mixed))
    raw = array.array("h", mixed.read_bytes())
    source = array.array("f", (value / 32768 for value in raw[::2]))
    assert len(source) == samples_of(plan)
    whole, parts = tmp_path / "whole.aac", tmp_path / "parts.aac"
    once = make_sound(plan, tmp_path, whole, tool)
    monkeypatch.setattr(soundtrack, "_IN_PARTS_SECONDS", 5)
    monkeypatch.setattr(soundtrack, "_PART_SECONDS", (1.0, 1.0))
    in_parts = make_sound(plan, tmp_path, parts, tool)
    assert len(once.packets) == len(in_parts.packets)
    # An ADTS file begins with the encoder's own packet.
    one, other = (samples(path)[1024 : 1024 + len(source)] for path in (whole, parts))
    joins = [number * round(RATE / 1024) * 1024 for number in range(1, 23)]
    for join in joins:  # at 1, 2, 7, 8 … s somebody speaks; at 4 to 6 s there is music alone, from 10 s on nothing
        around = slice(join - 2048, join + 2048)
        errors = [
            sum((value - wanted) ** 2 for value, wanted in zip(decoded[around], source[around], strict=True))
            for decoded in (one, other)
        ]
        assert errors[1] <= 1.25 * errors[0] + 1e-5, f"join at sample {join}"
    total = [sum((v - w) ** 2 for v, w in zip(decoded, source, strict=False)) for decoded in (one, other)]
    assert total[1] <= 1.02 * total[0]
