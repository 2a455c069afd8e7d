"""What benchmarks of rendering are made of: clips, sounds, and tasks of them, as the main worker would make them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from main_worker.checks.cage import Cage
from main_worker.checks.limiting import with_limiting
from main_worker.checks.loudness import measure
from main_worker.checks.pictures import examine_clip
from main_worker.checks.sounds import measure_voice
from shared.config import Config
from shared.domain.layout import METADATA, Layout
from shared.domain.media import VideoFacts
from shared.domain.plan import Cut
from shared.ffmpeg import Ffmpeg
from shared.records.metadata import Input, Metadata, RenderRequest

DEADLINE = 3600.0
RATE = 30
CLIP_SECONDS, CLIPS = 10.0, 7
_HOUR = 3600.0
_GRAINS = 4


@dataclass(frozen=True)
class Scale:
    """How large everything is: size of the sources and of both canvases, seconds of a video and of a long one."""

    source: str = "1920x1080"
    canvases: Mapping[str, str] = field(default_factory=lambda: {"1080p": "1920x1080", "2160p": "3840x2160"})
    seconds: tuple[float, float] = (57.0, 63.0)
    hour: float = _HOUR


SMALL = Scale("320x180", {"1080p": "320x180", "2160p": "640x360"}, (20.0, 25.0), 150.0)


class Media:
    """Clips with motion, and with grain from none to much; syllables for a voice, music; all made once."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg, scale: Scale) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._scale = scale
        self.clips = [self._clip(number) for number in range(CLIPS)]
        self._cage = Cage(Config(), ffmpeg, lambda: False)
        self.facts = {clip: examine_clip(self._cage, clip) for clip in self.clips}
        """What the main worker knows of the clips, which are untagged as most clips are."""
        self.music = self._sound("music.mp3", "anoisesrc=c=pink:r=44100:a=0.3,tremolo=f=2", 180.0, "-b:a", "192k")
        self.logo = self._made("logo.png", "-f", "lavfi", "-i", "color=white:s=160x90", "-frames:v", "1")
        self.sounds = {self.music: measure(self._cage, self.music)}
        """What it knows of voices and music."""
        self._given = 0

    def voice(self, seconds: float) -> Path:
        """A voice that no task has had before."""
        self._given += 1
        spoken = "aevalsrc='0.2*sin(2*PI*150*t)*pow(0.52-0.48*cos(8*PI*t),2)':s=44100"
        path = self._sound(f"voice{self._given}.mp3", spoken, seconds, "-metadata", f"title={self._given}")
        audio, loudness = measure_voice(self._cage, path)
        self.sounds[path] = audio, with_limiting(self._cage, path, loudness)
        return path

    def _clip(self, number: int) -> Path:
        size, seconds = self._scale.source, CLIP_SECONDS
        moving = f"mandelbrot=s={size}:r={RATE}:start_scale={3 - 0.3 * number}:end_scale=0.2,trim=duration={seconds}"
        graph = f"{moving},noise=alls={number % _GRAINS}:allf=t,format=yuv420p"
        options = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-t", f"{seconds}"]
        return self._made(f"clip{number}.mp4", "-f", "lavfi", "-i", graph, *options)

    def _sound(self, name: str, source: str, seconds: float, *options: str) -> Path:
        return self._made(name, "-f", "lavfi", "-i", source, "-t", f"{seconds:.3f}", "-c:a", "libmp3lame", *options)

    def _made(self, name: str, *arguments: str) -> Path:
        path = self._folder / name
        if not path.exists():
            command = [self._ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments, str(path)]
            subprocess.run(command, check=True, timeout=DEADLINE)
        return path


@dataclass(frozen=True)
class Wish:
    """A video to be made: its canvas, its voice and that one's length, its clips in order and what is known of them."""

    canvas: str
    voice: Path
    seconds: float
    clips: tuple[Path, ...]
    facts: Mapping[Path, VideoFacts] = field(default_factory=dict)
    transition: Cut = "cut"


class Tasks:
    """Makes tasks of one root."""

    def __init__(self, layout: Layout, media: Media) -> None:
        self._layout = layout
        self._media = media

    def stage(self, task_id: str, wish: Wish) -> Path:
        """The folder of a task, where it can be renamed into place."""
        parts = {f"video_part{number}.mp4": clip for number, clip in enumerate(wish.clips, start=1)}
        sources = {"voice.mp3": wish.voice, "music.mp3": self._media.music, "logo.png": self._media.logo, **parts}
        inputs = {name: self._input(name, source, wish) for name, source in sources.items()}
        metadata = Metadata(
            task_id=task_id,
            category="bench",
            story_name="bench",
            voice_file="voice.mp3",
            voice_duration=wish.seconds,
            music_file="music.mp3",
            inputs=inputs,
            video_files=tuple(parts),
            render=RenderRequest(resolution=wish.canvas, frame_rate=RATE, logo="logo.png", transition=wish.transition),
            chapter=task_id,
            seed=1,
            created_at="2026-11-20T18:03:44Z",
        )
        staged = self._layout.staging / task_id
        self.link(staged, metadata)
        metadata.write(staged / METADATA)
        return staged

    def link(self, folder: Path, metadata: Metadata) -> None:
        """Make a folder with the links of a task."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, wanted in metadata.inputs.items():
            (folder / name).symlink_to(self._layout.root / wanted.path)

    def _input(self, name: str, source: Path, wish: Wish) -> Input:
        place = self._layout.scanned / source.name
        if not place.exists():
            shutil.copyfile(source, place)
        facts = wish.facts.get(source)
        lasts = facts.seconds if facts else CLIP_SECONDS
        seconds = None if name == "logo.png" else lasts if name.startswith("video_part") else wish.seconds
        audio, loudness = self._media.sounds.get(source, (None, None))
        return Input(
            path=str(self._layout.relative(place)),
            sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            size=source.stat().st_size,
            seconds=seconds,
            video=facts,
            channels=audio.channels if audio else None,
            loudness=loudness,
            pauses=audio.pauses if audio else None,
        )
