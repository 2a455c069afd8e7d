"""The gate proves itself on sounds: each fault is planted in a real film, and the check that is there closes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.commands.direct import direct
from render_worker.gate import GateClosed, Judged, check, look
from render_worker.heard import Spoken
from render_worker.soundtrack import make_sound
from render_worker.tool import Tool
from shared.domain.media import LoudnessFacts
from shared.domain.mix import Broadcast, levels
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track
from shared.meter import Heard

RunFfmpeg = Callable[..., bytes]

SECONDS = 9.0
# A voice of syllables that speaks for three seconds, is silent for three, and speaks again; music that never pauses.
TALK = "aevalsrc='0.3*sin(2*PI*220*t)*pow(0.52-0.48*cos(8*PI*t),2)*lt(mod(t,6),3)':s=44100"
PAUSES = ((3.0, 6.0),)
MUSIC = "anoisesrc=color=pink:sample_rate=44100:amplitude=0.2:seed=1,tremolo=f=2:d=0.3"


@dataclass(frozen=True)
class Film:
    """A film, and its sound as it was heard when that was encoded."""

    path: Path
    judged: Judged


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, media: Callable[[str], Path], run_ffmpeg: RunFfmpeg) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    run_ffmpeg("-f", "lavfi", "-i", TALK, "-t", SECONDS, "-c:a", "libmp3lame", folder / "voice.mp3")
    run_ffmpeg("-f", "lavfi", "-i", MUSIC, "-t", SECONDS, "-ac", "2", "-c:a", "libmp3lame", folder / "music.mp3")
    (folder / "clip.mp4").symlink_to(media("long.mp4"))
    return folder


@pytest.fixture(scope="module")
def plan(task: Path, measure: Callable[[Path], LoudnessFacts]) -> RenderPlan:
    """A programme, by what is measured of its sounds."""
    facts = [measure(task / name) for name in ("voice.mp3", "music.mp3")]
    voice_db, music_db, master = levels(facts[0], facts[1], Broadcast())
    tracks = (Track("voice.mp3", 10 ** (voice_db / 20), 2), Track("music.mp3", 10 ** (music_db / 20), 2, loops=True))
    frames = round(SECONDS * 30)
    profile = Profile("libx264", quality=30, preset="ultrafast", audio_kbps=192)
    shots = (Shot("clip.mp4", frames, 360),)
    return RenderPlan(Canvas(160, 90, Fraction(30)), profile, SECONDS, frames, shots, (), tracks, master=master)


@pytest.fixture(scope="module")
def made(task: Path, tool_of: Callable[[Path], Tool], run_ffmpeg: RunFfmpeg) -> Callable[[RenderPlan, str], Film]:
    """Make a film of a plan in one command, and its sound once more as a join does."""

    def make(wanted: RenderPlan, name: str) -> Film:
        film = task / f"{name}.mp4"
        run_ffmpeg(*direct(wanted, task, film, task / "clips.luma"))
        sound = make_sound(wanted, task, task / "sound.aac", tool_of(task))
        seen = look(film, tool_of(task), task, decode=False)
        picture = seen.stream("h264")
        packets = [(packet.size, packet.checksum) for packet in picture.packets]
        return Film(film, Judged(packets, picture.facts["extradata"], sound.packets, sound.heard))

    return make


@pytest.fixture(scope="module")
def good(made: Callable[[RenderPlan, str], Film], plan: RenderPlan) -> Film:
    return made(plan, "good")


@pytest.fixture
def failed(tool: Tool, plan: RenderPlan) -> Callable[..., set[str]]:
    """The checks that a film fails: decoded, or by its packets where something was judged before."""

    def names(film: Path, judged: Judged | None = None) -> set[str]:
        try:
            check(look(film, tool, tool.scratch, decode=judged is None), plan, judged, voice=Spoken(PAUSES, lead=30.0))
        except GateClosed as closed:
            return {found.name for found in closed.checks if not found.passed}
        return set()

    return names


LOUDNESS, PEAK, LEADS = "loudness, LUFS", "true peak, dBTP", "voice over its pauses, dB"
SILENT, OTHERS = "seconds of silence where somebody speaks", "packets of sound that are not those heard before"
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-map", "0:v", "-map", "1:a", "-t", str(SECONDS))
AAC = ("-c:a", "aac", "-b:a", "192k")
# What is done to the sound of a good film, and the check that must find it where the sound is decoded.
SOUNDS: dict[str, tuple[tuple[str, ...], str]] = {
    "it is silent": ((*SILENCE, *AAC), LOUDNESS),
    "a word is missing": (("-af", "volume=0:enable='between(t,7,7.6)'", *AAC), SILENT),
    "it clips": (("-af", "volume=8dB,alimiter=limit=0.999:level=0,volume=0.5dB", *AAC), PEAK),
    "it is too quiet": (("-af", "volume=-2dB", *AAC), LOUDNESS),
    "one side is missing": (("-af", "pan=stereo|c0=c0|c1=0*c0", *AAC), LOUDNESS),
    "it comes in pauses": (("-af", "adelay=3000:all=1,atrim=end=9", *AAC), LEADS),
}


def test_a_good_film_has_no_fault(good: Film, failed: Callable[..., set[str]]) -> None:
    """Neither way; else the faults would prove nothing."""
    assert failed(good.path) == failed(good.path, good.judged) == set()


@pytest.mark.parametrize("fault", SOUNDS)
def test_a_planted_sound_is_found(
    fault: str, good: Film, failed: Callable[..., set[str]], run_ffmpeg: RunFfmpeg, tmp_path: Path
) -> None:
    """By what is heard where it is decoded, by its packets where it was joined."""
    arguments, name = SOUNDS[fault]
    bad = tmp_path / "bad.mp4"
    run_ffmpeg("-i", good.path, *arguments, "-c:v", "copy", "-movflags", "+faststart", bad)
    assert name in failed(bad)
    assert OTHERS in failed(bad, good.judged)


def test_exchanged_inputs_are_found(
    made: Callable[[RenderPlan, str], Film], plan: RenderPlan, failed: Callable[..., set[str]]
) -> None:
    """Music in the place of the voice, as loud as the voice should be, does not pause where that does."""
    voice, music = plan.tracks
    exchanged = (replace(music, gain=1.5 * voice.gain), replace(voice, gain=music.gain, loops=True))
    film = made(replace(plan, tracks=exchanged), "exchanged")
    assert LEADS in failed(film.path)
    assert LEADS in failed(film.path, film.judged)


def test_a_join_is_judged_by_how_its_sound_was_heard(good: Film, failed: Callable[..., set[str]]) -> None:
    """A mix that came out wrong is found although its packets are the right ones."""
    clipped = replace(good.judged, heard=Heard(good.judged.heard.blocks, 0.4))
    assert failed(good.path, clipped) == {PEAK}
