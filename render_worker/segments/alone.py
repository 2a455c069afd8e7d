"""Frames that are encoded for one video alone: transitions between segments, and ends for which there is no anchor."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from render_worker.commands.conform import encoded_end, encoded_transition
from render_worker.commands.luma import film_luma
from render_worker.gate import GateClosed
from render_worker.likeness import likeness
from render_worker.limits import equal
from render_worker.packets import Packet, parse_packets
from render_worker.segments.conforming import jobs_on
from render_worker.segments.joining import NotJoinable
from render_worker.tool import Tool
from shared.domain.errors import Stopped
from shared.domain.plan import RenderPlan
from shared.ffmpeg import file_url, last_line
from shared.records.render import Check
from shared.records.segment import SegmentRecord

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Taken:
    """Frames `frames[0]` up to `frames[1]` of a segment whose film lies in scratch."""

    record: SegmentRecord
    frames: tuple[int, int]

    @property
    def count(self) -> int:
        return self.frames[1] - self.frames[0]


@dataclass(frozen=True)
class Encoded:
    """A film in scratch that was encoded and judged, with the checks that were made."""

    name: str
    packets: Sequence[Packet]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Alone:
    """Encodes for one video; what comes out goes with its segments."""

    plan: RenderPlan
    tool: Tool
    on_frames: Callable[[int], None]

    def frames_of(self, taken: Sequence[Taken]) -> int:
        """How many frames come of the frames of one segment, or of two with the transition between them."""
        shared = self.plan.transition.shared if len(taken) > 1 else 0
        return sum(one.count for one in taken) - shared

    def encode_all(self, wanted: Mapping[Name, Sequence[Taken]]) -> dict[Name, Encoded]:
        """Encode several at a time; the first failure ends all.

        Raises:
            NotJoinable: what came out does not go with the segments.
            RenderFailed, GateClosed: it cannot be encoded.
            ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
        """
        failed, cores = False, os.cpu_count() or 1
        jobs = min(jobs_on(cores, self.plan.profile.encoder), max(1, len(wanted)))

        def make(name: str, taken: Sequence[Taken]) -> Encoded:
            nonlocal failed
            try:
                tool = replace(self.tool, stopping=lambda: failed or self.tool.stopping())
                return self._encode(name, taken, tool, max(1, cores // jobs))
            except BaseException:
                failed = True
                raise

        with ThreadPoolExecutor(jobs, thread_name_prefix="alone") as pool:
            made = {key: pool.submit(make, f"alone-{n}", taken) for n, (key, taken) in enumerate(wanted.items())}
        if errors := [error for future in made.values() if (error := future.exception())]:
            raise next((error for error in errors if not isinstance(error, Stopped)), errors[0])
        return {key: future.result() for key, future in made.items()}

    def _encode(self, name: str, taken: Sequence[Taken], tool: Tool, threads: int) -> Encoded:
        folder, count = tool.scratch, self.frames_of(taken)
        film, table, wanted, shown = (
            folder / f"{name}{suffix}" for suffix in (".mp4", ".txt", ".wanted.luma", ".shown.luma")
        )
        wanted.touch()  # an ffmpeg that does nothing makes none
        shown.touch()
        what = "a transition" if len(taken) > 1 else "the last frames"
        tool.run(f"encoding {what}", self._command(taken, folder, film, wanted, threads))
        decoding = ["-f", "mov", "-i", file_url(film), *film_luma(shown), *listed(table)]
        ended, progress = tool.run(f"judging {what}", decoding)
        stream = parse_packets(table.read_text("utf-8"))[0]
        checks = (
            equal(f"complaints of the decoder of {what}", last_line(ended.errors), ""),
            equal(f"frames of {what}", progress.frame, count),
            equal(f"packets of {what}", len(stream.packets), count),
            *likeness(wanted.read_bytes(), shown.read_bytes(), count, is_changed=False),
        )
        if not all(check.passed for check in checks):
            raise GateClosed(checks, what)
        if any(stream.facts.get("extradata") != one.record.extradata for one in taken):
            raise NotJoinable(f"{what} differ from their segment in their codec's parameters")
        self.on_frames(count)
        return Encoded(film.name, stream.packets, checks)

    def _command(self, taken: Sequence[Taken], folder: Path, film: Path, luma: Path, threads: int) -> list[str]:
        plan, paths = self.plan, [folder / f"{one.record.key}.mp4" for one in taken]
        if len(taken) == 1:
            return encoded_end(paths[0], plan.canvas, plan.profile, taken[0].frames, film, luma)
        parts = [(path, one.frames) for path, one in zip(paths, taken, strict=True)]
        return encoded_transition(parts, plan.canvas, plan.profile, plan.transition, film, luma, threads)


def listed(table: Path) -> list[str]:
    """The output that lists the packets of a picture."""
    return ["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", file_url(table)]
