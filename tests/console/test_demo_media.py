"""What the demonstration media promise: real, different, moving, and one of them broken."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest
from pymediainfo import MediaInfo, Track

from console.demo_media import BROKEN, CLIPS, LOGO, MUSIC, VOICE, WHOLE, Clip, Sample, clip_arguments, make_samples
from shared.domain.errors import ToolError

FFMPEG: str = imageio_ffmpeg.get_ffmpeg_exe()
TINY = 32 * 18
"""Pixels of the small grey pictures that stand for a clip's frames."""


@pytest.fixture(scope="module")
def told() -> list[Sample]:
    """What ``on_made`` has heard, in order."""
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, told: list[Sample]) -> Path:
    """The folder with every sample, really generated, once."""
    folder = tmp_path_factory.mktemp("demo")
    assert set(make_samples(FFMPEG, folder, told.append)) == set(told)
    return folder


def track(path: Path, kind: str) -> Track:
    """The one track of a kind, as MediaInfo reads it."""
    (found,) = [track for track in MediaInfo.parse(path).tracks if track.track_type == kind]
    return found


def seconds(path: Path) -> float:
    """How long a sound lasts."""
    return float(track(path, "Audio").duration) / 1000


def decoded(path: Path, *filters: str) -> subprocess.CompletedProcess[bytes]:
    """The pictures of a clip as small grey frames, two a second, and what ffmpeg complains of."""
    arguments = ["-nostdin", "-loglevel", "error", "-i", str(path), "-vf", ",".join(filters), "-pix_fmt", "gray"]
    command = [FFMPEG, *arguments, "-f", "rawvideo", "pipe:1"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def frames(path: Path) -> list[bytes]:
    """Small grey frames of a clip, two a second."""
    pixels = decoded(path, "fps=2", "scale=32:18:flags=area").stdout
    return [pixels[start : start + TINY] for start in range(0, len(pixels), TINY)]


def apart(one: bytes, other: bytes) -> float:
    """Mean difference of two frames in grey levels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def test_every_sample_is_there_and_was_told_once(made: Path, told: list[Sample]) -> None:
    on_disk = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    assert on_disk == {Path(sample.relative) for sample in told}
    assert len(on_disk) == len(told) == len(CLIPS) + 5
    assert all(sample.what for sample in told)


def test_the_clips_differ_in_size_shape_rate_and_container(made: Path) -> None:
    assert len({(clip.width, clip.height) for clip in CLIPS}) == len(CLIPS)
    assert len({Fraction(clip.width, clip.height) for clip in CLIPS}) >= 3
    assert len({clip.rate for clip in CLIPS}) >= 5
    assert {clip.relative.suffix for clip in CLIPS} == {".mp4", ".mov"}
    assert len({clip.relative.parent for clip in CLIPS}) == 2
    assert sum(clip.seconds for clip in CLIPS) >= 35


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.relative.stem)
def test_a_clip_measures_what_its_table_says(made: Path, clip: Clip) -> None:
    video = track(made / clip.relative, "Video")
    assert video.format == "AVC"
    assert (video.width, video.height) == (clip.width, clip.height)
    assert float(video.pixel_aspect_ratio) == 1
    assert float(video.frame_rate) == pytest.approx(float(Fraction(clip.rate)), abs=0.001)
    assert video.duration / 1000 == pytest.approx(clip.seconds, abs=0.1)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.relative.stem)
def test_a_clip_decodes_without_complaint(made: Path, clip: Clip) -> None:
    run = decoded(made / clip.relative, "scale=32:18")
    assert (run.returncode, run.stderr) == (0, b"")
    assert len(run.stdout) // TINY == pytest.approx(clip.seconds * Fraction(clip.rate), abs=1)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.relative.stem)
def test_a_clip_is_neither_black_nor_flat_nor_still(made: Path, clip: Clip) -> None:
    shown = frames(made / clip.relative)
    assert all(sum(frame) / TINY > 30 for frame in shown), "too dark"
    assert all(apart(frame, bytes([sum(frame) // TINY]) * TINY) > 6 for frame in shown), "no texture"
    assert all(apart(one, other) > 2 for one, other in pairwise(shown)), "no movement"


def test_a_clip_painted_again_is_the_same(made: Path, tmp_path: Path) -> None:
    clip = min(CLIPS, key=lambda clip: clip.width * clip.height)
    again = tmp_path / clip.relative.name
    subprocess.run([FFMPEG, "-nostdin", "-loglevel", "error", *clip_arguments(clip), again], check=True, timeout=60)
    assert again.read_bytes() == (made / clip.relative).read_bytes()


def test_the_logo_has_its_size_and_is_partly_transparent(made: Path) -> None:
    logo = made / LOGO.relative
    image = track(logo, "Image")
    assert (image.width, image.height, image.format) == (180, 120, "PNG")
    alpha = decoded(logo, "alphaextract").stdout
    assert len(alpha) == 180 * 120
    assert min(alpha) == 0
    assert max(alpha) > 200
    assert 0.2 < sum(value > 128 for value in alpha) / len(alpha) < 0.8


def test_the_broken_copy_is_half_a_file_and_decodes_short(made: Path) -> None:
    whole, broken = made / WHOLE.relative, made / BROKEN.relative
    assert broken.read_bytes() == whole.read_bytes()[: whole.stat().st_size // 2]
    # Its header says the whole length: only decoding finds the loss.
    assert track(broken, "Video").duration == track(whole, "Video").duration
    run = decoded(broken, "scale=32:18")
    assert run.stderr
    assert 0 < len(run.stdout) < 0.8 * len(decoded(whole, "scale=32:18").stdout)


def test_the_music_must_loop_under_the_voice(made: Path) -> None:
    voice, music = made / VOICE.relative, made / MUSIC.relative
    assert 20 <= seconds(voice) <= 40
    assert seconds(music) == pytest.approx(20, abs=0.2)
    assert seconds(music) < seconds(voice)
    assert {track(path, "Audio").format for path in (voice, music)} == {"MPEG Audio"}


def test_a_missing_ffmpeg_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="did not run to make"):
        make_samples(str(tmp_path / "no-such-ffmpeg"), tmp_path / "demo")


def test_a_failing_ffmpeg_is_quoted_with_its_last_line(tmp_path: Path) -> None:
    failing = tmp_path / "ffmpeg"
    failing.write_text("#!/bin/sh\necho 'first of all' >&2\necho 'Unknown encoder libx264' >&2\nexit 8\n")
    failing.chmod(0o755)
    with pytest.raises(ToolError, match=r"\(exit 8\): Unknown encoder libx264\."):
        make_samples(str(failing), tmp_path / "demo")
