"""What a video costs here, against the specification's command: the same inputs, encoder and preset, in one run.

The command is run exactly as the specification writes it, with libx264 for the hardware encoder. Reelmill's time is
that from claim to output, inside a running render worker: checking inputs, conforming what is missing, sound,
join, gate, poster, fsync, publishing. Every task has a voice of its own, of random length; figures are medians.

    warm_1080p, warm_2160p   the command's time over that of a task of about a minute whose clips are conformed already
    warm_crossfades          the same of a longer one, of 1080p, with ten crossfades; the command cuts hard
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
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.tasks import CLIP_SECONDS, CLIPS, DEADLINE, RATE, SMALL, Media, Scale, Tasks, Wish
from console.init import lay_out
from render_worker.commands.sounds import Encoded, encode_whole, mix
from render_worker.planning import plan_of
from shared.config import load_config
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.plan import Cut, RenderPlan
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.records.metadata import Metadata, RenderRequest
from shared.records.render import RenderRecord
from shared.store import Store

_POLL_SHARE = 0.001  # of the time that is measured; looking more often takes processor time from what is measured
_POLL_SECONDS = 0.005  # at least
_QUALITY = 23  # what x264 does when it is told nothing, as the specification's command does
_CROSSFADES = 10
FIGURES = ("warm_1080p", "warm_2160p", "warm_crossfades", "hour_over_limit", "cold_unique", "cold_reuse4")


class Bench:
    """A root, and its one render worker."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg, media: Media) -> None:
        settings: dict[str, dict[str, Any]] = {
            "render": {"quality": _QUALITY, "preset": "medium", "encoder": "software"},
            "worker": {"conform_when_idle": False, "poll_seconds": 0.05, "min_free_bytes": 0},
        }
        self.layout: Layout = lay_out(folder / "root", settings)
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._media = media
        self._tasks = Tasks(self.layout, media)
        self._store = Store(self.layout)
        self._worker = 0

    def processor(self) -> tuple[float, float]:
        """Seconds of processor time that the worker with its tools, and the commands here, have taken (proc(5))."""
        fields = Path(f"/proc/{self._worker}/stat").read_text("utf-8").rpartition(")")[2].split()
        commands = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), commands.ru_utime + commands.ru_stime

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A render worker at work."""
        command = [sys.executable, "-m", "render_worker", "--root", os.fspath(self.layout.root)]
        with self._log.open("ab") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log) as process:
            self._worker = process.pid
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
        self.layout.segments.mkdir(parents=True, exist_ok=True)

    def render(self, wish: Wish) -> tuple[float, Path]:
        """Seconds from a task's claim to its output, and the output."""
        task_id = str(uuid.uuid4())
        self._store.add(self._tasks.stage(task_id, wish), task_id)
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
        outputs = ["-map", "[vout]", "-map", "[aout]", "-c:v", "libx264", "-preset", "medium", "-r", f"{RATE}"]
        command = ["-y", "-hide_banner", "-nostdin", *inputs, "-i", str(self._media.logo), "-filter_complex", graph]
        return self._timed([*command, *outputs, "-t", f"{wish.seconds}", target])

    def filters(self, output: Path) -> float:
        """Seconds that the audio filters of an output take without encoding."""
        plan, folder = self._again(output)
        graph = mix(plan, folder).output("-", f="null").compile()[1:]
        return self._timed([str(word) for word in graph])

    def sound(self, output: Path) -> float:
        """Seconds that the sound of a short output takes: filters, encoder, decoder and meter in one command."""
        plan, folder = self._again(output)
        encoded = Encoded(self._folder / "sound.aac", self._folder / "packets.txt")
        return self._timed(encode_whole(plan, folder, encoded))

    def _again(self, output: Path) -> tuple[RenderPlan, Path]:
        """The plan of an output, and a folder with what it needs."""
        metadata = Metadata.read(output.with_name(METADATA))
        folder = self._folder / "again"
        self._tasks.link(folder, metadata)
        return plan_of(metadata, load_config(self.layout.config, {}), "libx264"), folder

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
        nothing = subprocess.DEVNULL
        subprocess.run(command, check=True, stdin=nothing, stdout=nothing, stderr=nothing, timeout=DEADLINE)
        return time.monotonic() - started

    def _until(self, condition: Callable[[], bool]) -> None:
        started = time.monotonic()
        while not condition():
            waited = time.monotonic() - started
            if waited > DEADLINE or self._store.has(TaskState.FAILED):
                raise SystemExit(self._log.read_text("utf-8"))
            time.sleep(max(_POLL_SECONDS, _POLL_SHARE * waited))


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
            (ours, output), command = self._bench.render(wish), self._bench.command(wish)
            ratios.append(command / ours)
            timings = RenderRecord.read(output.with_name(RENDER_RECORD)).timings
            parts = ", ".join(f"{phase} {took:.2f} s ({took / ours:.0%})" for phase, took in timings.items())
            filters, copy = self._bench.filters(output), self._bench.copy(output)
            before, sound = self._bench.processor()[1], self._bench.sound(output)
            used = self._bench.processor()[1] - before
            _say(
                f"warm {name}: {wish.seconds:.1f} s of video, the command {command:.1f} s, here {ours:.2f} s: {parts}; "
                f"by themselves the sound takes {sound:.2f} s ({used:.2f} s of processor time), its filters alone "
                f"{filters:.2f} s, and copying the output {copy:.2f} s"
            )
        return statistics.median(ratios)

    def crossfades(self) -> float:
        """The command's time, with hard cuts, over that of a task with ten crossfades and nothing to conform."""
        canvas = self._scale.canvases["1080p"]
        clips = (self._media.clips * 2)[: _CROSSFADES + 1]
        whole = (
            CLIP_SECONDS * len(clips)
            - _CROSSFADES * RenderRequest(resolution=canvas, frame_rate=RATE).transition_seconds
        )
        ratios = []
        for number in range(self._runs + 1):
            wish = self._wish(canvas, clips, whole - self._random.uniform(0.1, 3.0), "crossfade")
            ours, output = self._bench.render(wish)
            if number == 0:  # that one conforms
                continue
            command, record = self._bench.command(wish), RenderRecord.read(output.with_name(RENDER_RECORD))
            ratios.append(command / ours)
            _say(
                f"warm with {_CROSSFADES} crossfades: {wish.seconds:.1f} s of video, the command {command:.1f} s, here "
                f"{ours:.2f} s, of which {record.counts['encoded_frames']} frames encoded anew"
            )
        return statistics.median(ratios)

    def cold(self, times: int) -> float:
        """A task's time over the command's with nothing conformed and each clip used so many times."""
        clips = self._media.clips[: -(-len(self._media.clips) // times)] * times
        whole = CLIP_SECONDS * len(clips)
        ratios = []
        for _ in range(self._runs):
            self._bench.forget()
            length = whole - self._random.uniform(0.1, 0.8) * CLIP_SECONDS
            wish = self._wish(self._scale.canvases["1080p"], clips, length)
            before = self._bench.processor()
            ours, command = self._bench.render(wish)[0], self._bench.command(wish)
            here, there = (now - then for now, then in zip(self._bench.processor(), before, strict=True))
            ratios.append(ours / command)
            _say(
                f"cold, clips used {times} times: the command {command:.1f} s ({there:.0f} s of processor time), "
                f"here {ours:.1f} s ({here:.0f} s)"
            )
        return statistics.median(ratios)

    def hour(self) -> float:
        """The time of a long video over its limit."""
        canvas, seconds = self._scale.canvases["1080p"], self._scale.hour
        self._warm_up(canvas)
        clips = self._media.clips * (1 + int(seconds / CLIP_SECONDS / len(self._media.clips)))
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
        self._bench.render(self._wish(canvas, self._media.clips, CLIP_SECONDS * CLIPS - 0.5))

    def _wish(self, canvas: str, clips: Sequence[Path], seconds: float | None = None, transition: Cut = "cut") -> Wish:
        length = seconds or self._random.uniform(*self._scale.seconds)
        voice = self._media.voice(length)
        return Wish(canvas, voice, round(length, 3), tuple(clips), self._media.facts, transition)


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the worker has to end with it
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
            "warm_crossfades": measuring.crossfades,
            "cold_unique": lambda: measuring.cold(1),
            "cold_reuse4": lambda: measuring.cold(4),
        }
        with bench.worker():
            wanted = {figure: way for figure, way in ways.items() if figure in (options.only or FIGURES)}
            print(f"RESULT {json.dumps({figure: round(way(), 3) for figure, way in wanted.items()})}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
