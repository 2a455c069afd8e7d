"""Sound encoded in parts is the sound encoded at once, to the sample."""

from __future__ import annotations

import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker import soundtrack
from render_worker.commands.sounds import packet_times, packets_of, samples_of
from render_worker.packets import parse_packets
from render_worker.soundtrack import make_sound
from render_worker.tool import RenderFailed, Tool
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track

RunFfmpeg = Callable[..., bytes]
Samples = Callable[..., "array.array[float]"]
SYLLABLES = "aevalsrc='0.3*sin(2*PI*220*t)*pow(0.52-0.48*cos(8*PI*t),2)+0.1*sin(2*PI*3000*t)':s=44100"


def plan_of(seconds: float) -> RenderPlan:
    frames = round(seconds * 30)
    shots = (Shot("video_part1.mp4", frames, frames),)
    tracks = (Track("voice.mp3", 1.0, 1), Track("music.mp3", 0.25, 2, loops=True))
    profile = Profile("libx264", 21, "medium", 192)
    return RenderPlan(Canvas(320, 180, Fraction(30)), profile, seconds, frames, shots, (), tracks)


@pytest.fixture
def task(tmp_path: Path, run_ffmpeg: RunFfmpeg, media: Callable[[str], Path]) -> Path:
    """A folder with a voice of half a minute and a short track of music."""
    folder = tmp_path / "task"
    folder.mkdir()
    run_ffmpeg("-f", "lavfi", "-i", SYLLABLES, "-t", "30", "-c:a", "libmp3lame", folder / "voice.mp3")
    (folder / "music.mp3").symlink_to(media("music_stereo.mp3"))
    return folder


@pytest.fixture
def film_of(tmp_path: Path, run_ffmpeg: RunFfmpeg) -> Callable[[Path, RenderPlan], Path]:
    """Put an ADTS sound into a film, as the join does."""

    def put(sound: Path, plan: RenderPlan) -> Path:
        film = tmp_path / f"{sound.stem}.m4a"
        run_ffmpeg("-f", "aac", "-i", sound, "-c", "copy", "-bsf:a", packet_times(samples_of(plan)), film)
        return film

    return put


@pytest.mark.parametrize("seconds", [29.137, 28.672])
def test_parts_are_the_whole_to_the_sample(
    task: Path,
    tool: Tool,
    film_of: Callable[[Path, RenderPlan], Path],
    samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """The same number of packets and samples, and nothing to hear at the joins: the error there is as elsewhere."""
    plan = plan_of(seconds)
    whole, parts = tool.scratch / "whole.aac", tool.scratch / "parts.aac"
    once = make_sound(plan, task, whole, tool)
    monkeypatch.setattr(soundtrack, "_IN_PARTS_SECONDS", 8)
    monkeypatch.setattr(soundtrack, "_PART_SECONDS", (2, 8))
    in_parts = make_sound(plan, task, parts, tool)
    assert len(once.packets) == len(in_parts.packets) == packets_of(samples_of(plan))
    assert in_parts.heard.loudness == pytest.approx(once.heard.loudness, abs=0.1)
    assert in_parts.heard.true_peak == pytest.approx(once.heard.true_peak, abs=0.2)
    assert {path.name for path in tool.scratch.iterdir()} == {"whole.aac", "parts.aac"}
    one, other = samples(film_of(whole, plan)), samples(film_of(parts, plan))
    assert len(one) == len(other) == samples_of(plan)
    worst = max(abs(left - right) for left, right in zip(one, other, strict=True))
    assert worst < 0.02  # both are within as much of the mix itself


def test_the_packets_are_as_many_as_the_sound_needs(
    task: Path, tool: Tool, run_ffmpeg: RunFfmpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each 1,024 samples and the encoder's own."""
    monkeypatch.setattr(soundtrack, "_IN_PARTS_SECONDS", 5)
    monkeypatch.setattr(soundtrack, "_PART_SECONDS", (2, 8))
    plan, target = plan_of(20.5), tool.scratch / "sound.aac"
    make_sound(plan, task, target, tool)
    table = run_ffmpeg("-f", "aac", "-i", target, "-c", "copy", "-f", "framecrc", "-").decode()
    assert len(parse_packets(table)[0].packets) == packets_of(samples_of(plan))


def test_a_voice_that_ends_early_is_filled_with_silence(
    task: Path, tool: Tool, film_of: Callable[[Path, RenderPlan], Path], samples: Samples
) -> None:
    """The film's length is the plan's."""
    plan, target = plan_of(33.25), tool.scratch / "sound.aac"
    make_sound(plan, task, target, tool)
    assert len(samples(film_of(target, plan))) == samples_of(plan)


@pytest.mark.parametrize("in_parts", [True, False])
def test_a_sound_that_cannot_be_read_is_told(
    task: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    """Whichever way it is encoded, nothing waits for what will not come."""
    (task / "voice.mp3").write_bytes(b"no sound")
    if in_parts:
        monkeypatch.setattr(soundtrack, "_IN_PARTS_SECONDS", 5)
        monkeypatch.setattr(soundtrack, "_PART_SECONDS", (2, 8))
    with pytest.raises(RenderFailed):
        make_sound(plan_of(20.0), task, tool.scratch / "sound.aac", tool)
