"""Makes the film of one attempt by one plan: of segments, or in one command. It has passed the gate then."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from render_worker import gate
from render_worker.commands.direct import direct
from render_worker.commands.lettering import Lettering, breakable, letter_height, missing, rehearsal
from render_worker.commands.outputs import codec_of
from render_worker.commands.sheet import sheet, spread
from render_worker.fonts import fonts_for
from render_worker.gate import GateClosed
from render_worker.heard import Spoken
from render_worker.job import Job
from render_worker.likeness import likeness
from render_worker.progress import Work
from render_worker.room import check_room
from render_worker.segments.assembly import Assembly, Damaged
from render_worker.segments.joining import NotJoinable
from render_worker.segments.uses import uses_of
from render_worker.soundtrack import make_sound, mixed_right
from render_worker.speed import bytes_written, pixels_encoded, sound_encoded
from render_worker.stopwatch import Stopwatch
from render_worker.tool import Tool
from shared.domain.layout import FINAL, POSTER, SHEET
from shared.domain.pauses import read as read_pauses
from shared.domain.plan import Captions, RenderPlan
from shared.ffmpeg import file_url
from shared.records.render import Check
from shared.segments import SegmentCache

_MOST_DECODERS = 4  # of a card, which has memory for some only
_CHECK_ENCODED = 0.1  # about what decoding a frame costs of encoding it; only the percentage shown depends on it


@dataclass(frozen=True)
class Film:
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


@dataclass(frozen=True)
class Filming:
    """One attempt under way."""

    job: Job
    plan: RenderPlan
    tool: Tool
    work: Work
    clock: Stopwatch

    @property
    def final(self) -> Path:
        return self.job.folder / FINAL

    def directly(self) -> Film:
        """All in one command."""
        check_room(self.job.scratch, self.plan, 0)
        frames = self.plan.frames
        plan = self._settled()
        self.clock.lap("mix")
        self.work.set_out({"rendering": frames, "checking": frames * _CHECK_ENCODED})
        self.work.begin("rendering", frames)
        clips = self.job.scratch / "clips.luma"
        decoder = self.tool.decoder if len(plan.shots) <= _MOST_DECODERS else None  # all are open at once
        clips.touch()  # an ffmpeg that does nothing makes none; the gate tells what is missing
        lettering, tool, unknown = self._letter(self.plan.burned) if self.plan.burned else (None, self.tool, ())
        tool.run("rendering", direct(plan, self.job.task, self.final, clips, lettering, decoder), self.work.at)
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
        return Film("direct", plan, seen.sha256, checks, counts, missing_glyphs=tuple(unknown))

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
        middles = [begin + shot.frames // 2 for shot, begin in zip(shots, self.plan.begins, strict=True)]
        # Half a frame early: what is looked for is the first frame from there on.
        seconds = [float(max(Fraction(0), middle - Fraction(1, 2)) / self.plan.canvas.rate) for middle in middles]
        pictures = [(self.final, seconds[number]) for number in spread(len(shots))]
        self.tool.run("making the contact sheet", sheet(pictures, self.plan.canvas, self.job.folder / SHEET))

    def by_segments(self, cache: SegmentCache) -> Film:
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

    def _join(self, assembly: Assembly) -> Film:
        assembled = assembly.assemble(self.job.task, self.final, self.work, self.clock.lap)
        gate.hear(assembled.judged.heard, assembled.plan, self._voice)
        shutil.copyfile(assembled.poster, self.job.folder / POSTER)
        self.work.begin("checking", self.plan.frames)
        seen = gate.look(self.final, self.tool, self.job.scratch, decode=False, on_progress=self.work.at)
        assembled.check_whole(seen.stream(codec_of(self.plan.profile).name).packets)
        try:
            making = (*assembled.checks, *self._speeds("join", 0))
            checks = gate.check(seen, assembled.plan, assembled.judged, *making, voice=self._voice)
        except GateClosed as closed:
            assembly.check_segments()
            raise NotJoinable(str(closed)) from closed
        self.clock.lap("gate")
        return Film("segments", assembled.plan, seen.sha256, checks, assembled.counts)


def _poster(final: Path, poster: Path, seconds: float) -> list[str]:
    at = f"{min(seconds / 10, 10):.3f}"
    picture = ["-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1"]  # else a percent sign means a number
    return ["-ss", at, "-f", "mov", "-i", file_url(final), *picture, "-y", file_url(poster)]
