"""How a video made of segments looks, against the same plan encoded in one go: VMAF and SSIM, and its size.

Both are compared, frame by frame, with the same plan encoded with hardly any loss. What differs is where x264 may
choose: every segment begins a new closed GOP, and rate control starts anew with each. Two videos: made clips with
motion and grain, and real ones, where the folder that ``REELMILL_REALMEDIA`` names is there. All clips are shown whole,
so that both show the same pictures: where a video ends within a clip, segments may leave an earlier one some frames
before its end.

Noise is how far apart other orders of the same clips are, encoded in one go: then, too, rate control comes to each clip
from another one. Every video is compared with one of its own order.

The last line is ``RESULT {…}`` with the figures of both; VMAF goes from 0 to 100, SSIM to 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from benchmarks.realmedia import REALMEDIA
from benchmarks.tasks import CLIP_SECONDS, DEADLINE, RATE, SMALL, Media, Scale, Tasks, Wish
from console.init import lay_out
from main_worker.checks.cage import Cage
from main_worker.checks.pictures import examine_clip
from render_worker.commands.encoders import Way
from render_worker.job import Job
from render_worker.render import render_task
from render_worker.tool import Tool
from shared.config import Config
from shared.domain.errors import DropRefused
from shared.domain.layout import FINAL, SCRATCH, Layout
from shared.domain.media import VideoFacts
from shared.domain.plan import frames_in
from shared.ffmpeg import Ffmpeg, file_url, find_ffmpeg
from shared.records.metadata import Metadata
from shared.segments import SegmentCache
from shared.settings import Render

_CANVAS = "1280x720"
_SECONDS = 40.0
_REAL_SECONDS = (4.0, 12.0)  # of a clip, so that a video has several
_MOST_PIXELS = 1920 * 1080
_PATIENCE = {"decode_budget_seconds": 20, "max_pixels": _MOST_PIXELS}
_HARDLY_ANY_LOSS = 1  # as CRF; the profile that players need has no lossless coding


@dataclass(frozen=True)
class Likeness:
    """How near a video is to the one with hardly any loss, on average over its frames, and how large it is."""

    vmaf: float
    ssim: float
    size: int


class Studio:
    """Renders tasks in both modes, in this process."""

    def __init__(self, layout: Layout, ffmpeg: Ffmpeg, tasks: Tasks) -> None:
        self._layout = layout
        self._ffmpeg = ffmpeg
        self._tasks = tasks
        self._cache = SegmentCache(layout, "bench", budget_bytes=10**12)

    def render(self, wish: Wish, mode: str, quality: int) -> Path:
        """The video."""
        task = self._tasks.stage(str(uuid.uuid4()), wish)
        folder = task / "attempt-1-bench"
        scratch = folder / SCRATCH
        scratch.mkdir(parents=True)
        metadata = Metadata.read(task / "metadata.json")
        job = Job(metadata, task, (self._layout.scanned,), folder, scratch, 1, "bench")
        config = Config(render=Render.model_validate({"mode": mode, "quality": quality, "preset": "medium"}))
        tool = Tool(self._ffmpeg, "bench", scratch, DEADLINE, lambda: False)
        render_task(job, config, [Way("libx264")], self._cache, tool, lambda _: None)
        return folder / FINAL

    def likeness(self, video: Path, reference: Path) -> Likeness:
        """Compare every frame."""
        log = video.with_name("vmaf.json")
        graph = f"[0:v][1:v]libvmaf=feature=name=float_ssim:n_threads=4:log_fmt=json:log_path={log.name}"
        command = [self._ffmpeg.path, "-nostdin", "-loglevel", "error", "-i", file_url(video)]
        command += ["-i", file_url(reference), "-lavfi", graph, "-f", "null", "-"]
        subprocess.run(command, check=True, cwd=log.parent, timeout=DEADLINE)
        means = json.loads(log.read_text("utf-8"))["pooled_metrics"]
        return Likeness(means["vmaf"]["mean"], means["float_ssim"]["mean"], video.stat().st_size)


def real_clips(ffmpeg: Ffmpeg) -> dict[Path, VideoFacts]:
    """Real clips that ingest accepts and that are neither long nor large."""
    cage = Cage(Config.model_validate({"ingest": _PATIENCE}), ffmpeg, lambda: False)
    found: dict[Path, VideoFacts] = {}
    for clip in sorted((REALMEDIA / "video").glob("*.mp4")):
        try:
            facts = examine_clip(cage, clip)
        except DropRefused:
            continue
        if _REAL_SECONDS[0] <= facts.seconds <= _REAL_SECONDS[1] and sum(f.seconds for f in found.values()) < _SECONDS:
            found[clip] = facts
    return found


def main(arguments: Sequence[str]) -> int:
    """Render, compare and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="tiny pictures, to see that it works")
    options = parser.parse_args(arguments)
    scale, ffmpeg = SMALL if options.small else Scale(), find_ffmpeg("")
    canvas = scale.canvases["1080p"] if options.small else _CANVAS
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as name:
        folder = Path(name)
        (folder / "media").mkdir()
        media = Media(folder / "media", ffmpeg, scale)
        layout = lay_out(folder / "root", {})
        studio = Studio(layout, ffmpeg, Tasks(layout, media))
        made, seconds = tuple(media.clips[: round(_SECONDS / CLIP_SECONDS)]), _SECONDS
        wishes = {"made": Wish(canvas, media.voice(seconds), seconds, made, media.facts)}
        if REALMEDIA.is_dir():
            facts = real_clips(ffmpeg)
            seconds = float(sum(frames_in(one.seconds, Fraction(RATE)) for one in facts.values()) / Fraction(RATE))
            wishes["real"] = Wish(canvas, media.voice(seconds), seconds, tuple(facts), facts)
        for content, wish in wishes.items():
            result |= _compare(studio, content, wish)
    print(f"RESULT {json.dumps(result)}")
    return 0


def _compare(studio: Studio, content: str, wish: Wish) -> dict[str, float]:
    quality = Render().quality
    one, *others = wish.clips
    orders = {"": wish.clips, ", in reverse": wish.clips[::-1], ", the first one last": (*others, one)}
    found: dict[str, Likeness] = {}
    for order, clips in orders.items():
        ordered = replace(wish, clips=clips)
        reference = studio.render(ordered, "direct", _HARDLY_ANY_LOSS)
        for mode in ("direct", "segments"):
            name = f"{mode}{order}"
            found[name] = studio.likeness(studio.render(ordered, mode, quality), reference)
            seen = found[name]
            print(f"{content} clips, {name}: VMAF {seen.vmaf:.3f}, SSIM {seen.ssim:.5f}, {seen.size} bytes", flush=True)
    direct, segments = ([found[f"{mode}{order}"] for order in orders] for mode in ("direct", "segments"))
    return {
        f"{content}_vmaf_noise": round(_spread(one.vmaf for one in direct), 3),
        f"{content}_ssim_noise": round(_spread(one.ssim for one in direct), 5),
        f"{content}_vmaf_difference": round(fmean(a.vmaf - b.vmaf for a, b in zip(segments, direct, strict=True)), 3),
        f"{content}_ssim_difference": round(fmean(a.ssim - b.ssim for a, b in zip(segments, direct, strict=True)), 5),
        f"{content}_size_ratio": round(sum(one.size for one in segments) / sum(one.size for one in direct), 3),
    }


def _spread(figures: Iterable[float]) -> float:
    """How far apart the largest and the smallest are."""
    all_of_them = sorted(figures)
    return all_of_them[-1] - all_of_them[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
