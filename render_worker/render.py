"""Renders one task: inputs, film, records. A function of the task's folder; it moves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from render_worker.commands.encoders import Way
from render_worker.commands.outputs import timescale
from render_worker.container import CONTAINERS, rewrap
from render_worker.film import Film, Filming
from render_worker.gate import GateClosed, SoundClosed
from render_worker.job import Job
from render_worker.planning import plan_of, profile_of, wants_segments
from render_worker.progress import Report, Work
from render_worker.soundtrack import SoundFailed
from render_worker.stopwatch import Stopwatch
from render_worker.tool import RenderFailed, Tool
from shared.child import ChildTimeout
from shared.config import Config
from shared.domain.errors import ReelmillError, Stopped, ToolKilled
from shared.domain.layout import CAPTIONS, FINAL, METADATA, RENDER_RECORD, final_name
from shared.files import remove_tree
from shared.records.record import utc_now
from shared.records.render import RenderRecord
from shared.segments import SegmentCache
from shared.version import PROGRAM


class InputMissing(ReelmillError):
    """A file the task names is gone or is not the one it names."""


def render_task(
    job: Job,
    config: Config,
    ways: Sequence[Way],
    cache: SegmentCache,
    tool: Tool,
    on_report: Callable[[Report], None],
    on_step_down: Callable[[str], None] = lambda _: None,
) -> RenderRecord:
    """Make a film, its poster, contact sheet and records in the attempt's folder; where it has captions, also these.

    Args:
        ways: what to encode with; each of them is what to do where the one before fails.
        on_step_down: told what failed where, when the next one is taken.

    Raises:
        RenderFailed, GateClosed, PlanError, InputMissing: this input cannot be rendered as it is.
        ChildTimeout: ffmpeg made no progress.
        MachineTrouble: this node is at fault, such as a full disk.
        Stopped: the tool was asked to stop.
    """
    started_at, whole = utc_now(), Stopwatch()
    _check_inputs(job)
    stepped_down: list[str] = []
    asked = profile_of(job.metadata, config).render

    def make(way: Way, clock: Stopwatch) -> Film:
        plan = plan_of(job.metadata, config, way.encoder)
        work = Work(plan.canvas.rate, on_report)
        filming = Filming(job, plan, replace(tool, decoder=way.decoder), work, clock)
        film = filming.by_segments(cache) if wants_segments(plan, asked) else filming.directly()
        work.end()
        return film

    for way in ways[:-1]:
        clock = Stopwatch()
        try:
            film = make(way, clock)
            break
        except (SoundClosed, SoundFailed):  # no encoder is at fault
            raise
        except (RenderFailed, GateClosed, ChildTimeout, ToolKilled) as error:
            if tool.stopping():
                raise Stopped("stopped on request") from error
            _empty(job)
            stepped_down.append(f"{way}: {error}")
            on_step_down(stepped_down[-1])
            whole.lap("stepped down")
    else:
        way, clock = ways[-1], Stopwatch()
        film = make(way, clock)
    final = job.folder / final_name(job.metadata.render.output_format)
    sha256, checks = film.sha256, film.checks
    if container := CONTAINERS.get(job.metadata.render.output_format):
        language = job.metadata.captions.language if job.metadata.captions else "und"
        sha256, wrapped = rewrap(job.folder / FINAL, final, container, timescale(film.plan.canvas.rate), language, tool)
        checks += wrapped
        clock.lap("container")
    shutil.rmtree(job.scratch)
    record = RenderRecord(
        task_id=job.metadata.task_id,
        attempt=job.attempt,
        token=job.token,
        node=tool.node,
        program=PROGRAM,
        ffmpeg=tool.ffmpeg.version,
        encoder=way.encoder,
        decoder=way.decoder,
        stepped_down=tuple(stepped_down),
        mode=film.mode,
        plan=plain(asdict(film.plan)),
        checks=checks,
        sha256=sha256,
        size=final.stat().st_size,
        seconds=film.plan.seconds,
        frames=film.plan.frames,
        fallback=film.fallback,
        counts=dict(film.counts),
        missing_glyphs=film.missing_glyphs,
        timings={**whole.laps, **clock.laps},
        started_at=started_at,
        finished_at=utc_now(),
    )
    if film.plan.captions:
        shutil.copyfile(job.task / film.plan.captions.source, job.folder / CAPTIONS)
    job.metadata.write(job.folder / METADATA)
    record.write(job.folder / RENDER_RECORD)
    return record


def _empty(job: Job) -> None:
    """Remove what an encoder that failed has left."""
    for path in job.folder.iterdir():
        remove_tree(path)
    job.scratch.mkdir(exist_ok=True)


def _check_inputs(job: Job) -> None:
    """Every file the task names must be its own or in the library, with its size: neither is changed in place."""
    allowed = [folder.resolve() for folder in (job.task, *job.library)]
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


def plain(value: Any) -> Any:
    """A value as JSON can hold it; fractions become text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)
