"""Renders one task: plan, encode, check, describe. A function of the task's folder; it moves nothing."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from render_worker import command, gate
from render_worker.encoders import Encoder
from shared.child import Limits
from shared.config import Render
from shared.domain.errors import ReelmillError
from shared.domain.layout import FINAL, METADATA, POSTER, RENDER_RECORD, SCRATCH
from shared.domain.plan import Canvas, RenderPlan, Track, exact_rate, make_plan
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, file_url, last_line
from shared.records.metadata import Metadata
from shared.records.record import utc_now
from shared.records.render import RenderRecord
from shared.version import PROGRAM

# One ffmpeg opens every clip of its command at once (measured with 300 inputs: 9 MB for each 720p clip, and
# larger pictures take more), so longer videos are made in pieces and joined by copy.
MOST_SHOTS = 16


class RenderFailed(ReelmillError):
    """ffmpeg could not make the video of this input."""


class InputMissing(ReelmillError):
    """A file the task names is gone or is not the one it names."""


@dataclass(frozen=True)
class Report:
    """Progress of one render: what is being done, percent of it, frames per second, speed, seconds to go."""

    phase: str
    percent: float
    fps: float
    speed: float
    eta_seconds: float | None


@dataclass(frozen=True)
class Job:
    """One attempt at one task.

    Attributes:
        task: the task's folder, with its links.
        library: the folders its links may lead to, and no others.
        folder: the attempt's own folder, where the result appears.
        errors_to: file for the tools' standard error.
    """

    metadata: Metadata
    task: Path
    library: tuple[Path, ...]
    folder: Path
    errors_to: Path
    attempt: int
    token: str
    node: str


def plan_of(metadata: Metadata, render: Render) -> RenderPlan:
    """The plan of a task, from its metadata alone.

    Raises:
        PlanError: its clips do not cover its voice.
    """
    width, height = map(int, metadata.render.resolution.split("x"))
    inputs = metadata.inputs
    tracks = [Track(metadata.voice_file, render.voice_gain, inputs[metadata.voice_file].channels or 2)]
    if metadata.music_file:
        channels = inputs[metadata.music_file].channels or 2
        tracks.append(Track(metadata.music_file, render.music_gain, channels, loops=True))
    return make_plan(
        Canvas(width, height, exact_rate(metadata.render.frame_rate)),
        seconds=metadata.voice_duration,
        clips=metadata.video_files,
        clip_seconds={name: inputs[name].seconds or 0.0 for name in metadata.video_files},
        tracks=tracks,
        logo=metadata.render.logo,
    )


def render_task(
    job: Job,
    settings: Render,
    encoder: Encoder,
    ffmpeg: Ffmpeg,
    *,
    stopping: Callable[[], bool],
    on_report: Callable[[Report], None],
) -> RenderRecord:
    """Make ``final.mp4``, ``poster.jpg``, ``metadata.json`` and ``render.json`` in the attempt's folder.

    Raises:
        RenderFailed, GateClosed, PlanError, InputMissing: this input cannot be rendered as it is.
        ChildTimeout: ffmpeg made no progress.
        MachineTrouble: this node is at fault, such as a full disk.
        Stopped: `stopping` turned true.
    """
    started_at, clock = utc_now(), _Stopwatch()
    _check_inputs(job)
    plan = plan_of(job.metadata, settings)
    scratch = job.folder / SCRATCH
    scratch.mkdir()
    run = _Run(ffmpeg, job, plan, settings, stopping, on_report)
    encoding = command.Encoding(encoder, settings.quality, settings.preset, settings.audio_kbps)
    final = job.folder / FINAL
    if len(plan.shots) <= MOST_SHOTS:
        run.ffmpeg("rendering", command.direct(plan, job.task, final, encoding), plan.frames)
    else:
        _render_in_pieces(run, plan, scratch, final, encoding)
    clock.lap("render")
    checks = gate.inspect(final, plan, ffmpeg, scratch, job.errors_to, stopping)
    clock.lap("gate")
    run.ffmpeg("poster", _poster(final, job.folder / POSTER, plan.seconds), 1)
    shutil.rmtree(scratch)
    digest = _sha256(final)
    clock.lap("describe")
    record = RenderRecord(
        task_id=job.metadata.task_id,
        attempt=job.attempt,
        token=job.token,
        node=job.node,
        program=PROGRAM,
        ffmpeg=ffmpeg.version,
        encoder=encoder.name,
        mode="direct" if len(plan.shots) <= MOST_SHOTS else "pieces",
        plan=_plain(asdict(plan)),
        checks=checks,
        sha256=digest,
        size=final.stat().st_size,
        seconds=plan.seconds,
        frames=plan.frames,
        timings=clock.laps,
        started_at=started_at,
        finished_at=utc_now(),
    )
    job.metadata.write(job.folder / METADATA)
    record.write(job.folder / RENDER_RECORD)
    return record


@dataclass
class _Run:
    """The ffmpeg runs of one job, with progress counted over all of them."""

    tool: Ffmpeg
    job: Job
    plan: RenderPlan
    settings: Render
    stopping: Callable[[], bool]
    on_report: Callable[[Report], None]
    done_frames: int = 0

    def ffmpeg(self, phase: str, arguments: list[str], frames: int) -> None:
        def on_progress(progress: Progress) -> None:
            self.on_report(self._report(phase, progress))

        ended, _ = self.tool.run(
            arguments,
            limits=Limits(silence_seconds=self.settings.stall_seconds),
            stopping=self.stopping,
            on_progress=on_progress,
            errors_to=self.job.errors_to,
            folder=self.job.folder,
        )
        if ended.code != 0:
            raise RenderFailed(
                f"ffmpeg ended with status {ended.code} while {phase}: {last_line(ended.errors) or 'it said nothing'}"
            )
        self.done_frames += frames

    def _report(self, phase: str, progress: Progress) -> Report:
        rate = float(self.plan.canvas.rate)
        frames = min(self.plan.frames, self.done_frames + max(progress.frame, round(progress.seconds * rate)))
        left = (self.plan.frames - frames) / progress.fps if progress.fps else None
        return Report(phase, 100 * frames / self.plan.frames, progress.fps, progress.speed, left)


def _render_in_pieces(run: _Run, plan: RenderPlan, scratch: Path, final: Path, encoding: command.Encoding) -> None:
    pieces = [(f"piece_{i:04d}.mp4", part) for i, part in enumerate(plan.pieces(_piece_size(len(plan.shots))), start=1)]
    for name, part in pieces:
        run.ffmpeg("rendering", command.piece(part, run.job.task, scratch / name, encoding), part.frames)
    listing = scratch / "pieces.ffconcat"
    listing.write_text(command.piece_list(pieces), "utf-8")
    run.ffmpeg("joining", command.join(plan, run.job.task, listing, final, encoding), 0)


def _piece_size(shots: int) -> int:
    """How many shots go into a piece so that the last piece is no stub.

    A stub of one or two frames has no B-frames to reorder and thus other decoding times: its join has a hole.
    """
    return max(range(MOST_SHOTS // 2 + 1, MOST_SHOTS + 1), key=lambda size: (shots - 1) % size)


def _check_inputs(job: Job) -> None:
    """Every file the task names must be in the library, with its size: a library file is never changed in place."""
    allowed = [folder.resolve() for folder in job.library]
    for name, wanted in job.metadata.inputs.items():
        try:
            path = (job.task / name).resolve(strict=True)
            size = path.stat().st_size
        except OSError as error:
            raise InputMissing(f"{name} ({wanted.path}) cannot be read: {error.strerror}") from error
        if not any(path.is_relative_to(folder) for folder in allowed):
            raise InputMissing(f"{name} leads to {path}, which is not in the library")
        if size != wanted.size:
            raise InputMissing(f"{name} ({wanted.path}) has {size} bytes, but the task was made with {wanted.size}")


def _poster(final: Path, poster: Path, seconds: float) -> list[str]:
    at = f"{min(seconds / 10, 10):.3f}"
    return ["-ss", at, "-f", "mov", "-i", file_url(final), "-frames:v", "1", "-q:v", "3", "-y", file_url(poster)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Stopwatch:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = round(now - self._last, 3), now
