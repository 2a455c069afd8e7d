"""Real segments, conformed from moving pictures, small enough to be made by the hundred."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.commands.conform import Look, Recipe
from render_worker.segments.conforming import Wanted, conform
from render_worker.segments.cuts import Footage
from render_worker.tool import Tool
from shared.domain.layout import SEGMENT, SEGMENT_RECORD
from shared.domain.plan import Canvas, Profile, Treatment
from shared.records.segment import SegmentRecord

PROFILE = Profile("libx264", quality=30, preset="veryfast", audio_kbps=64)  # with B-frames


@dataclass(frozen=True)
class Segment:
    """A conformed film, what its record says, and the hash of each of its decoded frames."""

    film: Path
    record: SegmentRecord
    pictures: tuple[str, ...]

    @property
    def footage(self) -> Footage:
        return Footage(self.record.frames, self.record.keyframes, self.record.anchors)


@pytest.fixture(scope="session")
def pictures_of(run_ffmpeg: Callable[..., bytes]) -> Callable[[Path], tuple[str, ...]]:
    """The hash of each frame of a film, decoded, in the order in which they are shown."""

    def decode(film: Path) -> tuple[str, ...]:
        table = run_ffmpeg("-i", film, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-").decode()
        return tuple(line.split(",")[-1].strip() for line in table.splitlines() if not line.startswith("#"))

    return decode


@pytest.fixture
def conform_parts(
    tool: Tool, tmp_path: Path, run_ffmpeg: Callable[..., bytes], pictures_of: Callable[[Path], tuple[str, ...]]
) -> Callable[[Fraction, Sequence[int]], list[Segment]]:
    """Conform a part of each length out of moving pictures, every one from another place."""

    def make(rate: Fraction, lengths: Sequence[int]) -> list[Segment]:
        clip, canvas = tmp_path / "moving.mp4", Canvas(128, 72, rate)
        seconds = float((max(lengths) + 20 * len(lengths)) / rate) + 1
        run_ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=size=128x72:rate={rate}:duration={seconds},noise=alls=15:allf=t"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "25", "-pix_fmt", "yuv420p", clip),
        )
        found = []
        for number, frames in enumerate(lengths):
            recipe = Recipe("cafe", 20 * number, frames, Treatment(), Look(canvas, PROFILE))
            bench = tmp_path / f"bench-{number}"
            bench.mkdir()
            wanted = Wanted(recipe, f"{number:04d}", clip, "scanned/moving.mp4", tmp_path, effort=1.0)
            conform(wanted, bench, replace(tool, scratch=bench), threads=1, on_frame=lambda _: None)
            film = bench / SEGMENT
            found.append(Segment(film, SegmentRecord.read(bench / SEGMENT_RECORD), pictures_of(film)))
        return found

    return make
