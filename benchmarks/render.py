"""What a video costs here, against the specification's command: the same inputs, encoder and preset, in one run.

The command is run exactly as the specification writes it, with libx264 for the hardware encoder. Reelmill's time is
that from claim to output, inside a running render worker: checking inputs, conforming what is missing, sound,
join, gate, poster, fsync, publishing. Every task has a voice of its own, of random length; figures are medians.

    warm_1080p, warm_2160p   the command's time over that of a task of about a minute whose clips are conformed already
    cold_unique              a task's time over the command's, with nothing conformed and each clip used once
    cold_reuse4              the same with each clip used four times
    hour_over_limit          the time of an hour of warm 1080p over its limit: one and a half times what copying the
                             output's bytes (with fsync) and the same audio filters without encoding take together

    python -m benchmarks.render                          all of it; takes an hour on two cores
    python -m benchmarks.render --only warm_1080p        one figure
    python -m benchmarks.render --small                  tiny pictures: a quick check that all of it works
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.init import lay_out
from render_worker.commands.sounds import mix
from render_worker.render import plan_of
from shared.config import load_config
from shared.domain.layout import FINAL, METADATA, Layout
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.store import Store

_DEADLINE = 3600.0
_POLL_SECONDS = 0.005
_QUALITY = 23  # what x264 does when it is told nothing, as the specification's command does
_CLIP_SECONDS, _CLIPS = 10.0, 7
_RATE = 30
_HOUR = 3600.0
FIGURES = ("warm_1080p", "warm_2160p", "hour_over_limit", "cold_unique", "cold_reuse4")


@dataclass(frozen=True)
class Scale:
    """How large everything is: size of the sources and of both canvases, seconds of a video and of a long one."""

    source: str = "1920x1080"
    canvases: Mapping[str, str] = field(default_factory=lambda: {"1080p": "1920x1080", "2160p": "3840x2160"})
    seconds: tuple[float, float] = (57.0, 63.0)
    hour: float = _HOUR


SMALL = Scale("320x180", {"1080p": "320x180", "2160p": "640x360"}, (20.0, 25.0), 150.0)


class Media:
    """Clips with motion and grain, syllables for a voice, music; all made once."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg, scale: Scale) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._scale = scale
        self.clips = [self._clip(number) for number in range(_CLIPS)]
        self.music = self._sound("music.mp3", "anoisesrc=c=pink:r=44100:a=0.3,tremolo=f=2", 180.0, "-b:a", "192k")
        self.logo = self._made("logo.png", "-f", "lavfi", "-i", "color=white:s=160x90", "-frames:v", "1")
        self._given = 0

    def voice(self, seconds: float) -> Path:
        """A voice that no task has had before."""
        self._given += 1
        spoken = "aevalsrc='0.2*sin(2*PI*150*t)*pow(0.52-0.48*cos(8*PI*t),2)':s=44100"
        return self._sound(f"voice{self._given}.mp3", spoken, seconds, "-metadata", f"title={self._given}")

    def _clip(self, number: int) -> Path:
        size, seconds = self._scale.source, _CLIP_SECONDS
        moving = f"mandelbrot=s={size}:r={_RATE}:start_scale={3 - 0.3 * number}:end_scale=0.2,trim=duration={seconds}"
        graph = f"{moving},noise=alls=3:allf=t,format=yuv420p"
        options = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-t", f"{seconds}"]
        return self._made(f"clip{number}.mp4", "-f", "lavfi", "-i", graph, *options)

    def _sound(self, name: str, source: str, seconds: float, *options: str) -> Path:
        return self._made(name, "-f", "lavfi", "-i", source, "-t", f"{seconds:.3f}", "-c:a", "libmp3lame", *options)

    def _made(self, name: str, *arguments: str) -> Path:
        path = self._folder / name
        if not path.exists():
            command = [self._ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments, str(path)]
            subprocess.run(command, check=True, timeout=_DEADLINE)
        return path


@dataclass(frozen=True)
class Wish:
    """A video to be made: its canvas, the length of its voice, its clips in order."""

    canvas: str
    voice: Path
    seconds: float
    clips: tuple[Path, ...]


class Bench:
    """A root, and its one render worker."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg, media: Media) -> None:
        settings: dict[str, dict[str, Any]] = {
            "render": {"quality": _QUALITY, "preset": "medium", "encoder": "libx264"},
            "worker": {"conform_when_idle": False, "poll_seconds": 0.05, "min_free_bytes": 0},
        }
        self.layout: Layout = lay_out(folder / "root", settings)
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._media = media
        self._store = Store(self.layout)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A render worker at work."""
        command = [sys.executable, "-m", "render_worker", "--root", os.fspath(self.layout.root)]
        with self._log.open("ab") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)

    @property
    def _log(self) -> Path:
        return self._folder / "worker.log"

    def forget(self) -> None:
        """Nothing is conformed any more."""
        shutil.rmtree(self.layout.segments, ignore_errors=True)
        self.layout.segments.mkdir()

    def render(self, wish: Wish) -> tuple[float, Path]:
        """Seconds from a task's claim to its output, and the output."""
        task_id = str(uuid.uuid4())
        self._store.add(self._staged(task_id, wish), task_id)
        processing = self.layout.task(TaskState.PROCESSING, task_id)
        output = self.layout.task(TaskState.FINISHED, task_id)
        self._until(lambda: processing.is_dir() or output.is_dir())
        started = time.monotonic()
        self._until(output.is_dir)
        return time.monotonic() - started, output / FINAL

    def command(self, wish: Wish) -> float:
        """Seconds that the specification's command takes."""
        listing, target = self._folder / "video_list.txt", self._folder / "final.mp4"
        listing.write_text("".join(f"file '{clip}'\n" for clip in wish.clips), "utf-8")
        width, height = wish.canvas.split("x")
        graph = (
            "[3:v]scale=iw:-1[logo];"
            f"[0:v]scale={width}:{height}:flags=fast_bilinear:force_original_aspect_ratio=decrease,"
            f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:color=black,format=yuv420p[base];"
            "[base][logo]overlay=20:20[vout];"
            "[1:a]volume=0.25[bg];[2:a]volume=1.0[vc];[bg][vc]amix=inputs=2:duration=longest[aout]"
        )
        inputs = ["-f", "concat", "-safe", "0", "-i", str(listing), "-i", str(self._media.music), "-i", str(wish.voice)]
        outputs = ["-map", "[vout]", "-map", "[aout]", "-c:v", "libx264", "-preset", "medium", "-r", f"{_RATE}"]
        command = ["-y", "-hide_banner", "-nostdin", *inputs, "-i", str(self._media.logo), "-filter_complex", graph]
        return self._timed([*command, *outputs, "-t", f"{wish.seconds}", target])

    def filters(self, output: Path) -> float:
        """Seconds that the audio filters of an output take without encoding."""
        metadata = Metadata.read(output.with_name(METADATA))
        plan = plan_of(metadata, load_config(self.layout.config, {}).render, "libx264")
        folder = self._folder / "again"
        self._link(folder, metadata)
        graph = mix(plan, folder).output("-", f="null").compile()[1:]
        return self._timed([str(word) for word in graph])

    def copy(self, output: Path) -> float:
        """Seconds that copying an output's bytes takes, until they are on the disk."""
        started = time.monotonic()
        target = self._folder / "copy.mp4"
        with output.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            os.fsync(sink.fileno())
        took = time.monotonic() - started
        target.unlink()
        return took

    def _timed(self, arguments: Sequence[str | Path]) -> float:
        started = time.monotonic()
        command = [self._ffmpeg.path, *map(str, arguments)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=_DEADLINE)
        return time.monotonic() - started

    def _staged(self, task_id: str, wish: Wish) -> Path:
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
            render=RenderRequest(resolution=wish.canvas, frame_rate=_RATE, logo="logo.png"),
            chapter=task_id,
            seed=1,
            created_at="2026-11-20T18:03:44Z",
        )
        staged = self.layout.staging / task_id
        self._link(staged, metadata)
        metadata.write(staged / METADATA)
        return staged

    def _link(self, folder: Path, metadata: Metadata) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, wanted in metadata.inputs.items():
            (folder / name).symlink_to(self.layout.root / wanted.path)

    def _input(self, name: str, source: Path, wish: Wish) -> Input:
        place = self.layout.scanned / source.name
        if not place.exists():
            shutil.copyfile(source, place)
        seconds = {".mp4": _CLIP_SECONDS, ".png": None}.get(source.suffix, wish.seconds)
        return Input(
            path=str(self.layout.relative(place)),
            sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            size=source.stat().st_size,
            seconds=seconds,
            channels=1 if name == "voice.mp3" else 2,
        )

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            if time.monotonic() > deadline or self._store.has(TaskState.FAILED):
                raise SystemExit(self._log.read_text("utf-8"))
            time.sleep(_POLL_SECONDS)


class Measuring:
    """The figures, one method each."""

    def __init__(self, bench: Bench, media: Media, scale: Scale, runs: int, seed: str) -> None:
        self._bench = bench
        self._media = media
        self._scale = scale
        self._runs = runs
        self._random = random.Random(seed)

    def warm(self, name: str) -> float:
        """The command's time over that of a task with nothing to conform."""
        canvas = self._scale.canvases[name]
        self._warm_up(canvas)
        ratios = []
        for _ in range(self._runs):
            wish = self._wish(canvas, self._media.clips)
            ours, command = self._bench.render(wish)[0], self._bench.command(wish)
            ratios.append(command / ours)
            _say(f"warm {name}: {wish.seconds:.1f} s of video, the command {command:.1f} s, here {ours:.2f} s")
        return statistics.median(ratios)

    def cold(self, times: int) -> float:
        """A task's time over the command's with nothing conformed and each clip used so many times."""
        clips = self._media.clips[: -(-len(self._media.clips) // times)] * times
        ratios = []
        for _ in range(self._runs):
            self._bench.forget()
            wish = self._wish(self._scale.canvases["1080p"], clips)
            ours, command = self._bench.render(wish)[0], self._bench.command(wish)
            ratios.append(ours / command)
            _say(f"cold, clips used {times} times: the command {command:.1f} s, here {ours:.1f} s")
        return statistics.median(ratios)

    def hour(self) -> float:
        """The time of a long video over its limit."""
        canvas, seconds = self._scale.canvases["1080p"], self._scale.hour
        self._warm_up(canvas)
        clips = self._media.clips * (1 + int(seconds / _CLIP_SECONDS / len(self._media.clips)))
        ratios = []
        for _ in range(self._runs):
            ours, output = self._bench.render(self._wish(canvas, clips, seconds - self._random.uniform(1, 5)))
            copy, filters = self._bench.copy(output), self._bench.filters(output)
            ratios.append(ours / 1.5 / (copy + filters))
            _say(f"{seconds:.0f} s warm: here {ours:.1f} s, copy {copy:.1f} s, audio filters {filters:.1f} s")
            shutil.rmtree(output.parent)
        return statistics.median(ratios)

    def _warm_up(self, canvas: str) -> None:
        """Have all clips conformed."""
        self._bench.render(self._wish(canvas, self._media.clips, _CLIP_SECONDS * _CLIPS - 0.5))

    def _wish(self, canvas: str, clips: Sequence[Path], seconds: float | None = None) -> Wish:
        length = seconds or self._random.uniform(*self._scale.seconds)
        return Wish(canvas, self._media.voice(length), round(length, 3), tuple(clips))


def _say(words: str) -> None:
    print(words, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.render", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=FIGURES, help="only this figure (may be repeated)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", default="reelmill", help="of the lengths of voices")
    parser.add_argument("--small", action="store_true", help="tiny pictures, to see that it works")
    parser.add_argument("--into", type=Path, help="where the root is made; else the folder for temporary files")
    options = parser.parse_args(arguments)
    scale, ffmpeg = SMALL if options.small else Scale(), find_ffmpeg("")
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-", dir=options.into) as name:
        folder = Path(name)
        (folder / "media").mkdir()
        media = Media(folder / "media", ffmpeg, scale)
        bench = Bench(folder, ffmpeg, media)
        measuring = Measuring(bench, media, scale, options.runs, options.seed)
        ways: dict[str, Callable[[], float]] = {
            "warm_1080p": lambda: measuring.warm("1080p"),
            "hour_over_limit": measuring.hour,
            "warm_2160p": lambda: measuring.warm("2160p"),
            "cold_unique": lambda: measuring.cold(1),
            "cold_reuse4": lambda: measuring.cold(4),
        }
        with bench.worker():
            wanted = {figure: way for figure, way in ways.items() if figure in (options.only or FIGURES)}
            print(f"RESULT {json.dumps({figure: round(way(), 3) for figure, way in wanted.items()})}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
