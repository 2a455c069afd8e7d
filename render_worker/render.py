"""Renders one task: plan, encode or join, check, describe. A function of the task's folder; it moves nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

from render_worker import gate
from render_worker.commands.direct import direct
from render_worker.commands.lettering import Lettering, breakable, letter_height, missing, rehearsal
from render_worker.commands.sheet import sheet, spread
from render_worker.fonts import fonts_for
from render_worker.gate import GateClosed
from render_worker.heard import Spoken
from render_worker.likeness import likeness
from render_worker.planning import plan_of, wants_segments
from render_worker.progress import Report, Work
from render_worker.room import check_room
from render_worker.segments.assembly import Assembly, Damaged
from render_worker.segments.cache import SegmentCache
from render_worker.segments.joining import NotJoinable
from render_worker.segments.uses import uses_of
from render_worker.soundtrack import make_sound, mixed_right
from render_worker.speed import bytes_written, pixels_encoded, sound_encoded
from render_worker.tool import Tool
from shared.config import Config
from shared.domain.errors import ReelmillError
from shared.domain.layout import CAPTIONS, FINAL, METADATA, POSTER, RENDER_RECORD, SHEET
from shared.domain.pauses import read as read_pauses
from shared.domain.plan import Captions, RenderPlan
from shared.ffmpeg import file_url
from shared.records.metadata import Metadata
from shared.records.record import utc_now
from shared.records.render import Check, RenderRecord
from shared.version import PROGRAM

_CHECK_ENCODED = 0.1  # about what decoding a frame costs of encoding it; only the percentage shown depends on it


class InputMissing(ReelmillError):
    """A file the task names is gone or is not the one it names."""


@dataclass(frozen=True)
class Job:
    """One attempt at one task.

    Attributes:
        task: the task's folder, with its links.
        library: the folders its links may lead to, and no others.
        folder: the attempt's own folder, where the result appears.
        scratch: a folder within it for what is needed on the way.
    """

    metadata: Metadata
    task: Path
    library: tuple[Path, ...]
    folder: Path
    scratch: Path
    attempt: int
    token: str


@dataclass(frozen=True)
class Made:
    """A finished film that has passed the gate.

    Attributes:
        plan: as it was carried out.
        fallback: why segments would not do.
        counts: segments that were conformed and reused, and frames that were encoded for this video alone.
        missing_glyphs: signs of burned captions for which no font was found.
    """

    mode: str
    plan: RenderPlan
    sha256: str
    checks: tuple[Check, ...]
    counts: Mapping[str, int]
    fallback: str | None = None
    missing_glyphs: tuple[str, ...] = ()


def render_task(
    job: Job, config: Config, encoder: str, cache: SegmentCache, tool: Tool, on_report: Callable[[Report], None]
) -> RenderRecord:
    """Make a film, its poster, contact sheet and records in the attempt's folder; where it has captions, also these.

    Raises:
        RenderFailed, GateClosed, PlanError, InputMissing: this input cannot be rendered as it is.
        ChildTimeout: ffmpeg made no progress.
        MachineTrouble: this node is at fault, such as a full disk.
        Stopped: the tool was asked to stop.
    """
    started_at, clock = utc_now(), _Stopwatch()
    _check_inputs(job)
    plan = plan_of(job.metadata, config, encoder)
    rendering = _Rendering(job, plan, tool, Work(plan.canvas.rate, on_report), clock)
    made = rendering.by_segments(cache) if wants_segments(plan, config.render.mode) else rendering.directly()
    rendering.work.end()
    shutil.rmtree(job.scratch)
    record = RenderRecord(
        task_id=job.metadata.task_id,
        attempt=job.attempt,
        token=job.token,
        node=tool.node,
        program=PROGRAM,
        ffmpeg=tool.ffmpeg.version,
        encoder=encoder,
        mode=made.mode,
        plan=plain(asdict(made.plan)),
        checks=made.checks,
        sha256=made.sha256,
        size=(job.folder / FINAL).stat().st_size,
        seconds=plan.seconds,
        frames=plan.frames,
        fallback=made.fallback,
        counts=dict(made.counts),
        missing_glyphs=made.missing_glyphs,
        timings=clock.laps,
        started_at=started_at,
        finished_at=utc_now(),
    )
    if plan.captions:
        shutil.copyfile(job.task / plan.captions.source, job.folder / CAPTIONS)
    job.metadata.write(job.folder / METADATA)
    record.write(job.folder / RENDER_RECORD)
    return record


@dataclass(frozen=True)
class _Rendering:
    """One attempt under way."""

    job: Job
    plan: RenderPlan
    tool: Tool
    work: Work
    clock: _Stopwatch

    @property
    def final(self) -> Path:
        return self.job.folder / FINAL

    def directly(self) -> Made:
        """All in one command."""
        check_room(self.job.scratch, self.plan, 0)
        frames = self.plan.frames
        plan = self._settled()
        self.clock.lap("mix")
        self.work.set_out({"rendering": frames, "checking": frames * _CHECK_ENCODED})
        self.work.begin("rendering", frames)
        clips = self.job.scratch / "clips.luma"
        clips.touch()  # an ffmpeg that does nothing makes none; the gate tells what is missing
        lettering, tool, unknown = self._letter(self.plan.burned) if self.plan.burned else (None, self.tool, ())
        tool.run("rendering", direct(plan, self.job.task, self.final, clips, lettering), self.work.at)
        self.clock.lap("render")
        self.work.begin("checking", frames)
        self.tool.run("making the poster", _poster(self.final, self.job.folder / POSTER, self.plan.seconds))
        self._make_sheet()
        self.clock.lap("poster")
        seen = gate.look(self.final, self.tool, self.job.scratch, decode=True, on_progress=self.work.at)
        is_changed = plan.burned is not None or any(shot.treatment.tone_map for shot in plan.shots)
        alike = likeness(clips.read_bytes(), seen.luma, frames, is_changed=is_changed)
        checks = gate.check(seen, plan, None, *alike, *self._speeds("render", frames), voice=self._voice)
        self.clock.lap("gate")
        counts = {"encoded_frames": self.plan.frames}
        return Made("direct", plan, seen.sha256, checks, counts, missing_glyphs=tuple(unknown))

    def _settled(self) -> RenderPlan:
        """The plan with a sound that comes out right; to hear that first takes less time than to encode all again."""
        if self.plan.master is None:
            return self.plan
        sound = self.job.scratch / "tried.aac"
        plan, made = mixed_right(self.plan, lambda plan: make_sound(plan, self.job.task, sound, self.tool))
        sound.unlink()
        gate.hear(made.heard, plan, self._voice)
        return plan

    @property
    def _voice(self) -> Spoken:
        voice = self.job.metadata.inputs[self.job.metadata.voice_file]
        pauses = read_pauses(voice.pauses) if voice.pauses is not None else None
        return Spoken(pauses, voice.loudness.lead if voice.loudness else None)

    def _letter(self, captions: Captions) -> tuple[Lettering, Tool, Sequence[str]]:
        """How the captions are drawn, ffmpeg as it finds fonts for them, and the signs for which it finds none."""
        webvtt, scratch = (self.job.task / captions.source).read_text("utf-8"), self.job.scratch
        height = letter_height(webvtt, self.plan.canvas)
        words = scratch / "words.vtt"
        words.write_text(breakable(webvtt, self.plan.canvas, height), "utf-8")
        lettering = Lettering(words, height, self.plan.canvas)
        tool = replace(self.tool, environment=fonts_for(captions.language, scratch))
        said, _ = replace(tool, errors_to=None).run(
            "looking for fonts of its captions", rehearsal(lettering, self.plan.seconds)
        )
        self.clock.lap("fonts")
        return lettering, tool, missing(said.errors)

    def _speeds(self, phase: str, encoded: int) -> list[Check]:
        """Whether a phase can have made the film in its time; segments were asked that when they were made."""
        canvas, seconds = self.plan.canvas, self.clock.laps[phase]
        return [
            *([pixels_encoded(encoded, canvas.width, canvas.height, seconds)] if encoded else []),
            sound_encoded(self.plan.seconds, seconds),
            bytes_written(self.final.stat().st_size, seconds),
        ]

    def _make_sheet(self) -> None:
        """A picture from the middle of each shot."""
        shots = self.plan.shots
        begins = accumulate((shot.frames for shot in shots), initial=0)
        middles = [begin + shot.frames // 2 for shot, begin in zip(shots, begins, strict=False)]
        # Half a frame early: what is looked for is the first frame from there on.
        seconds = [float(max(Fraction(0), middle - Fraction(1, 2)) / self.plan.canvas.rate) for middle in middles]
        pictures = [(self.final, seconds[number]) for number in spread(len(shots))]
        self.tool.run("making the contact sheet", sheet(pictures, self.plan.canvas, self.job.folder / SHEET))

    def by_segments(self, cache: SegmentCache) -> Made:
        """Of segments, once more if one of them proves damaged; directly if they cannot be joined."""
        uses = uses_of(self.plan, self.job.metadata, self.job.task, self.tool.ffmpeg.version, cache.has)
        assembly = Assembly(self.plan, uses, cache, self.tool)
        try:
            try:
                return self._join(assembly)
            except Damaged as damaged:
                for key in damaged.keys:
                    cache.remove(key)
                return self._join(assembly)
        except (NotJoinable, Damaged) as error:
            return replace(self.directly(), fallback=str(error))

    def _join(self, assembly: Assembly) -> Made:
        assembled = assembly.assemble(self.job.task, self.final, self.work, self.clock.lap)
        gate.hear(assembled.judged.heard, assembled.plan, self._voice)
        shutil.copyfile(assembled.poster, self.job.folder / POSTER)
        self.work.begin("checking", self.plan.frames)
        seen = gate.look(self.final, self.tool, self.job.scratch, decode=False, on_progress=self.work.at)
        assembled.check_whole(seen.stream("h264").packets)
        try:
            making = (*assembled.checks, *self._speeds("join", 0))
            checks = gate.check(seen, assembled.plan, assembled.judged, *making, voice=self._voice)
        except GateClosed as closed:
            assembly.check_segments()
            raise NotJoinable(str(closed)) from closed
        self.clock.lap("gate")
        return Made("segments", assembled.plan, seen.sha256, checks, assembled.counts)


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


def _poster(final: Path, poster: Path, seconds: float) -> list[str]:
    at = f"{min(seconds / 10, 10):.3f}"
    picture = ["-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1"]  # else a percent sign means a number
    return ["-ss", at, "-f", "mov", "-i", file_url(final), *picture, "-y", file_url(poster)]


def plain(value: Any) -> Any:
    """A value as JSON can hold it; fractions become text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)


class _Stopwatch:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Add the time since the last lap to a phase."""
        now = time.monotonic()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._last, 3)
        self._last = now
