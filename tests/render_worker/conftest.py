"""Real media, tasks made of them, and real worker processes for the tests of the render worker."""

from __future__ import annotations

import array
import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pytest

from console.init import lay_out
from render_worker.commands.encoders import Way
from render_worker.job import Job
from render_worker.progress import Report
from render_worker.render import render_task
from render_worker.tool import Tool
from shared.child import Limits
from shared.config import Config
from shared.domain.layout import METADATA, SCRATCH, Layout
from shared.domain.loudness import gate_of
from shared.domain.media import LoudnessFacts, VideoFacts
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.meter import METER_AND_BLOCKS, STEREO, Listening, summary_of
from shared.records.metadata import CaptionsRequest, Input, Metadata, RenderRequest
from shared.records.render import RenderRecord
from shared.segments import SegmentCache
from shared.settings import Mix, Render

REPOSITORY = Path(__file__).parents[2]
DEADLINE = 60.0  # patience with what is bound to happen; never a figure that is measured

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def _clip(source: str, *codec: str) -> list[str]:
    return ["-f", "lavfi", "-i", source, *(codec or X264)]


def _moving(size: str, rate: int, seconds: int = 2, codec: tuple[str, ...] = X264) -> list[str]:
    return _clip(f"testsrc2=size={size}:rate={rate}:duration={seconds}", *codec)


def _halves(width: int, height: int, shape: str) -> list[str]:
    """A still picture: red on the left, blue on the right."""
    paint = f"color=blue:size={width}x{height}:rate=30:duration=2"
    return _clip(f"{paint},drawbox=w={width // 2}:h={height}:color=red:t=fill,setsar={shape}")


def _plain(colour: str, conversion: str, *tags: str) -> list[str]:
    return _clip(f"color={colour}:size=320x180:rate=30:duration=2,scale={conversion}", *X264, *tags)


def _sine(hertz: int, seconds: float, sample_rate: int, channels: int) -> list[str]:
    tone = f"sine=frequency={hertz}:sample_rate={sample_rate}:duration={seconds}"
    return ["-f", "lavfi", "-i", tone, "-ac", str(channels), "-c:a", "libmp3lame", "-b:a", "64k"]


_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
_HALF_CLEAR = "color=0x00ff00:size=40x40,format=rgba,geq=r=0:g=255:b=0:a='if(lt(X,20),255,128)'"

# Every clip lasts two seconds unless its name is in _LENGTHS, which also has the sounds and their channels.
RECIPES: Mapping[str, list[str]] = {
    "h264.mp4": _moving("320x180", 30),
    "long.mp4": _moving("640x360", 30, 12),
    "hevc.mp4": _moving("480x270", 25, 2, ("-c:v", "libx265", "-preset", "ultrafast")),
    "mpeg4.mp4": _moving("320x240", 24, 2, ("-c:v", "mpeg4", "-q:v", "4")),
    "vp9.mp4": _moving("320x180", 50, 2, ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    "yuv444.mp4": _moving("160x180", 60, 2, ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p")),
    "halves.mp4": _halves(320, 180, "1"),
    "four_thirds.mp4": _halves(320, 240, "1"),
    "wide_pixels.mp4": _halves(160, 180, "2"),
    "tall_pixels.mp4": _halves(320, 90, "1/2"),
    "grey.mp4": _plain("0x808080", "out_range=tv"),
    "grey_full_range.mp4": _plain("0x808080", "out_range=pc", "-color_range", "pc"),
    "red.mp4": _plain("red", "out_color_matrix=bt601"),
    "red_bt709.mp4": _plain("red", "out_color_matrix=bt709", *_BT709),
    "white.mp4": _plain("white", "out_range=tv"),
    "voice.mp3": _sine(440, 2.51, 44_100, 1),
    "voice_8000.mp3": _sine(440, 1.5, 8_000, 1),
    "voice_22050.mp3": _sine(440, 1.5, 22_050, 1),
    "voice_44100.mp3": _sine(440, 1.5, 44_100, 2),
    "voice_48000.mp3": _sine(440, 1.5, 48_000, 2),
    "voice_short.mp3": _sine(440, 1.2, 44_100, 1),
    "voice_slow.mp3": _sine(440, 12.0, 44_100, 1),
    "voice_seven.mp3": _sine(440, 7.2, 44_100, 1),
    "voice_ten.mp3": _sine(440, 10.01, 44_100, 1),
    "voice_long.mp3": _sine(440, 47.0, 44_100, 1),
    "voice_silent.mp3": ["-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-t", "3.7", "-c:a", "libmp3lame"],
    "music.mp3": _sine(1000, 1.0, 44_100, 2),
    "music_mono.mp3": _sine(1000, 5.0, 22_050, 1),
    "music_stereo.mp3": _sine(1000, 5.0, 44_100, 2),
    "logo.png": ["-f", "lavfi", "-i", _HALF_CLEAR, "-frames:v", "1"],  # green, its right half half transparent
}
_LENGTHS: Mapping[str, tuple[float, int | None]] = {
    "long.mp4": (12.0, None),
    "voice.mp3": (2.51, 1),
    "voice_8000.mp3": (1.5, 1),
    "voice_22050.mp3": (1.5, 1),
    "voice_44100.mp3": (1.5, 2),
    "voice_48000.mp3": (1.5, 2),
    "voice_short.mp3": (1.2, 1),
    "voice_slow.mp3": (12.0, 1),
    "voice_seven.mp3": (7.2, 1),
    "voice_ten.mp3": (10.01, 1),
    "voice_long.mp3": (47.0, 1),
    "voice_silent.mp3": (3.7, 2),
    "music.mp3": (1.0, 2),
    "music_mono.mp3": (5.0, 1),
    "music_stereo.mp3": (5.0, 2),
}
# What the main worker would have measured of the sounds, which are sines of an eighth of full scale, one side or two.
_LOUDNESS = {1: LoudnessFacts(-21.6, 0.0, -21.0, threshold=-31.6), 2: LoudnessFacts(-18.6, 0.0, -18.0, threshold=-28.6)}


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """The ffmpeg that came with the install."""
    return find_ffmpeg("")


@pytest.fixture(scope="session")
def run_ffmpeg(ffmpeg: Ffmpeg) -> Callable[..., bytes]:
    """Run ffmpeg with some arguments to a good end; returns its standard output."""

    def run(*arguments: str | Path) -> bytes:
        command = [ffmpeg.path, "-nostdin", "-y", "-loglevel", "error", *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=DEADLINE).stdout

    return run


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., bytes]) -> Callable[[str], Path]:
    """Give the file of a name in RECIPES, or the ``rotated.mp4`` clip; each is made when first asked for."""
    folder = tmp_path_factory.mktemp("media")

    def get(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if name == "rotated.mp4":
            run_ffmpeg("-display_rotation", "90", "-i", get("halves.mp4"), "-c", "copy", path)
        else:
            run_ffmpeg(*RECIPES[name], path)
        return path

    return get


@pytest.fixture(scope="session")
def fill_task(media: Callable[[str], Path]) -> Callable[..., Metadata]:
    """Make a task folder as the main worker would: links to media, and metadata.json."""

    def link(place: Path, source: str | Path, library: Path) -> Input:
        original = source if isinstance(source, Path) else media(source)
        target = library / original.name
        if not target.exists():
            target.hardlink_to(original)
        place.symlink_to(os.path.relpath(target, place.parent))
        seconds, channels = _LENGTHS.get(target.name, (2.0, None))
        content = target.read_bytes()
        return Input(
            path=f"scanned/{target.name}",
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            seconds=seconds,
            channels=channels,
            loudness=_LOUDNESS[channels] if channels and "silent" not in target.name else None,
        )

    def fill(
        folder: Path,
        *,
        task_id: str,
        library: Path,
        voice: str = "voice.mp3",
        music: str | None = "music.mp3",
        clips: tuple[str | Path, ...] = ("h264.mp4", "h264.mp4"),
        seconds_each: float | Sequence[float] | None = None,
        logo: str | Path | None = None,
        frame: tuple[Path, VideoFacts] | None = None,
        rate: float = 30,
        resolution: str = "320x180",
        captions: str | None = None,
        language: str = "deu",
        shown: Literal["track", "burned"] = "track",
        title: Path | None = None,
        end: Path | None = None,
        **request: object,
    ) -> Metadata:
        folder.mkdir(parents=True)
        parts = {f"video_part{number}.mp4": clip for number, clip in enumerate(clips, start=1)}
        sources = {"voice.mp3": voice, "music.mp3": music, "logo.png": logo, **parts}
        inputs = {name: link(folder / name, source, library) for name, source in sources.items() if source}
        if frame:
            inputs["frame.mp4"] = link(folder / "frame.mp4", frame[0], library).model_copy(update={"video": frame[1]})
        cards = {f"{name}{path.suffix}": path for name, path in (("title", title), ("end", end)) if path}
        for name, path in cards.items():
            still = {} if path.suffix == ".mp4" else {"seconds": None}
            inputs[name] = link(folder / name, path, library).model_copy(update=still)
        if captions:
            content = captions.encode()
            (folder / "captions.vtt").write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            inputs["captions.vtt"] = Input(path="scanned/said.txt", sha256=sha256, size=len(content))
        lengths = seconds_each if isinstance(seconds_each, Sequence) else [seconds_each] * len(parts)
        for name, seconds in zip(parts, lengths, strict=True):
            inputs[name] = inputs[name].model_copy(update={"seconds": seconds} if seconds else {})
        metadata = Metadata(
            task_id=task_id,
            category="fantasy",
            story_name="dragon_flight",
            voice_file="voice.mp3",
            voice_duration=_LENGTHS[voice][0],
            music_file="music.mp3" if music else None,
            inputs=inputs,
            video_files=tuple(parts),
            captions=CaptionsRequest(file="captions.vtt", language=language, cues=captions.count("-->"), shown=shown)
            if captions
            else None,
            frame_file="frame.mp4" if frame else None,
            title_file=next((name for name in cards if name.startswith("title")), None),
            end_file=next((name for name in cards if name.startswith("end")), None),
            render=RenderRequest.model_validate(
                {"resolution": resolution, "frame_rate": rate, "logo": "logo.png" if logo else None, **request}
            ),
            chapter=f"chapter_{task_id[:8]}",
            seed=1,
            created_at="2026-11-20T18:03:44Z",
        )
        metadata.write(folder / METADATA)
        return metadata

    return fill


@pytest.fixture
def prepare(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, fill_task: Callable[..., Metadata]
) -> Callable[..., Job]:
    """Make one task, as :func:`fill_task`, and the folder of an attempt at it."""

    def make(**wanted: Any) -> Job:
        task, library = tmp_path / "task", tmp_path / "library"
        library.mkdir()
        metadata = fill_task(task, task_id=str(uuid.uuid4()), library=library, **wanted)
        return _attempt(Job(metadata, task, (library,), task, task, attempt=0, token="abcd"))

    return make


@pytest.fixture
def again() -> Callable[[Job], Job]:
    """Make the folder of one more attempt at a task, by the same node."""
    return _attempt


def _attempt(job: Job) -> Job:
    number = job.attempt + 1
    folder = job.task / f"attempt-{number}-{job.token}"
    (folder / SCRATCH).mkdir(parents=True)
    return replace(job, folder=folder, scratch=folder / SCRATCH, attempt=number)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root of which only the cache is used."""
    layout = Layout(tmp_path / "cached")
    layout.removed.mkdir(parents=True)
    return layout


@pytest.fixture
def cache(layout: Layout) -> SegmentCache:
    """The segments of that root, with room for all."""
    return SegmentCache(layout, "here", budget_bytes=10**12)


@pytest.fixture(scope="session")
def tool_of(ffmpeg: Ffmpeg) -> Callable[[Path], Tool]:
    """The real ffmpeg as an attempt uses it, with a folder for its own files."""
    return lambda scratch: Tool(ffmpeg, "here", scratch, DEADLINE, lambda: False)


@pytest.fixture
def tool(tool_of: Callable[[Path], Tool], tmp_path: Path) -> Tool:
    """The same in a folder of this test, with all that it complains of in ``stderr.log``."""
    scratch = tmp_path / "tool"
    scratch.mkdir()
    return replace(tool_of(scratch), errors_to=tmp_path / "stderr.log")


@pytest.fixture
def render(tool: Tool, cache: SegmentCache) -> Callable[..., RenderRecord]:
    """Render a job; keywords are settings of [render], `mix` those of [mix]; the others replace what is there."""
    usual = cache

    def run(
        job: Job,
        *,
        program: Ffmpeg = tool.ffmpeg,
        stopping: Callable[[], bool] = tool.stopping,
        cache: SegmentCache = usual,
        on_report: Callable[[Report], None] = lambda _: None,
        ways: Sequence[Way] = (Way("libx264"),),
        on_step_down: Callable[[str], None] = lambda _: None,
        preset: str = "ultrafast",
        mix: Mapping[str, Any] = MappingProxyType({}),
        **settings: Any,
    ) -> RenderRecord:
        chosen = Render.model_validate({"preset": preset, **settings})
        own = replace(tool, ffmpeg=program, scratch=job.scratch, stall_seconds=chosen.stall_seconds, stopping=stopping)
        config = Config(render=chosen, mix=Mix.model_validate(mix))
        return render_task(job, config, ways, cache, own, on_report, on_step_down)

    return run


@pytest.fixture(scope="session")
def colour(run_ffmpeg: Callable[..., bytes]) -> Callable[..., tuple[int, int, int]]:
    """The mean colour (RGB) of a box (x, y, width, height) in one frame of a video."""

    def measure(video: Path, box: tuple[int, int, int, int], frame: int = 5) -> tuple[int, int, int]:
        x, y, width, height = box
        graph = f"select=eq(n\\,{frame}),format=gbrp,crop={width}:{height}:{x}:{y},scale=1:1:flags=area,format=rgb24"
        red, green, blue = run_ffmpeg("-i", video, "-vf", graph, "-frames:v", "1", "-f", "rawvideo", "-")
        return red, green, blue

    return measure


@pytest.fixture(scope="session")
def samples(run_ffmpeg: Callable[..., bytes]) -> Callable[..., array.array[float]]:
    """The left channel of a sound at 48 kHz, between -1 and 1; a filter may be put before it."""

    def decode(sound: Path, before: str = "anull") -> array.array[float]:
        pick = f"{before},pan=mono|c0=c0"
        found = array.array("f")
        found.frombytes(run_ffmpeg("-i", sound, "-vn", "-af", pick, "-ar", "48000", "-f", "f32le", "-"))
        return found

    return decode


@pytest.fixture(scope="session")
def measure(ffmpeg: Ffmpeg) -> Callable[[Path], LoudnessFacts]:
    """The loudness of a file, by a meter that knows nothing of how it was made."""

    def run(path: Path) -> LoudnessFacts:
        meter, listening = f"{STEREO},{METER_AND_BLOCKS}", Listening()
        words = ["-loglevel", "info", "-i", str(path), "-map", "0:a", "-af", meter, "-f", "null", "-"]
        limits = Limits(total_seconds=DEADLINE)
        ended, _ = ffmpeg.run(words, limits=limits, stopping=lambda: False, on_line=listening.read)
        gate = gate_of([block.level for block in listening.heard().blocks])
        return replace(summary_of(ended.errors), threshold=gate)

    return run


@pytest.fixture
def script(tmp_path: Path, ffmpeg: Ffmpeg) -> Callable[[str], Ffmpeg]:
    """An executable shell script that stands in for ffmpeg: a real process. $FFMPEG in it is the real one."""

    def write(body: str) -> Ffmpeg:
        path = tmp_path / "stand-in"
        path.write_text(f"#!/bin/sh\nFFMPEG='{ffmpeg.path}'\n{body}\n", "utf-8")
        path.chmod(0o755)
        return Ffmpeg(str(path), "stand-in")

    return write


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition, patiently."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, "the awaited condition did not come about"
            time.sleep(0.05)

    return wait


@pytest.fixture
def farm(tmp_path: Path) -> Layout:
    """A project root for small, quick renders. Its lease is longer than any test waits."""
    changes: dict[str, dict[str, Any]] = {
        "render": {"preset": "ultrafast", "encoder": "software"},
        "worker": {"lease_seconds": 300.0, "heartbeat_seconds": 0.3, "poll_seconds": 0.1, "min_free_bytes": 0},
    }
    return lay_out(tmp_path / "root", changes)


@pytest.fixture
def add_task(farm: Layout, fill_task: Callable[..., Metadata]) -> Callable[..., str]:
    """Put a task among the waiting ones, as :func:`fill_task`; later ones come after earlier ones. Returns its id."""
    made = 0

    def add(**wanted: Any) -> str:
        nonlocal made
        made += 1
        task_id = f"{made:08x}-0000-4000-8000-000000000000"
        staged = farm.farm / task_id  # as deep as tasks/<id>, so that its links hold there
        fill_task(staged, task_id=task_id, library=farm.scanned, **wanted)
        staged.rename(farm.task(TaskState.WAITING, task_id))
        return task_id

    return add


@pytest.fixture
def start_worker(farm: Layout, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a real render worker on the farm; keywords override settings: ``worker__node="a"``."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: object) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REELMILL_")}
        environment |= {f"REELMILL_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "render_worker", "--root", str(farm.root)]
        with (tmp_path / "workers.log").open("ab") as log:
            started.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def said(tmp_path: Path) -> Callable[[], list[str]]:
    """All lines the workers of this test wrote to standard error."""
    return lambda: (tmp_path / "workers.log").read_text("utf-8").splitlines()


@pytest.fixture
def children(farm: Layout, ffmpeg: Ffmpeg) -> Callable[[], list[int]]:
    """The process ids of every ffmpeg that works for the farm."""

    def find() -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    command = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                if command.startswith(os.fsencode(ffmpeg.path)) and os.fsencode(farm.root) in command:
                    found.append(int(folder.name))
        return found

    return find
