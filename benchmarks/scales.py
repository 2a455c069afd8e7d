"""Which quality of x265 and SVT-AV1 looks like which of x264: the scales of `render_worker/commands/encoders.py`.

Some clips (made ones with motion and grain, and real ones where the folder that ``REELMILL_REALMEDIA`` names is there)
are encoded by each encoder over its own scale, and compared frame by frame with themselves by VMAF. Where an encoder
reaches the mean VMAF that x264 has at a CRF is read off the line between its two nearest figures; the scale is the
straight line through these points that fits best (least squares).

The last line is ``RESULT {…}``: for each encoder the line, and how far the points are from the one that is in use.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean, linear_regression

from benchmarks.quality import real_clips
from benchmarks.realmedia import REALMEDIA
from benchmarks.tasks import DEADLINE, SMALL, Media, Scale
from render_worker.commands.encoders import ENCODERS
from render_worker.commands.outputs import gop_frames
from shared.ffmpeg import Ffmpeg, file_url, find_ffmpeg

_SIZE, _RATE, _SECONDS = "960:540", Fraction(30), 4
_MOST_CLIPS = 6
_X264 = "libx264"
_WANTED = (15, 18, 21, 24, 27, 30)
_GRIDS = {_X264: _WANTED, "libx265": (14, 17, 20, 23, 26, 29, 32, 35), "libsvtav1": (14, 20, 26, 32, 38, 44, 50, 56)}


@dataclass(frozen=True)
class Bench:
    """Clips as all encoders get them, without any loss."""

    ffmpeg: Ffmpeg
    folder: Path
    clips: tuple[Path, ...]

    def vmaf(self, encoder: str, quality: int) -> float:
        """The mean over all clips; `quality` on the encoder's own scale."""
        options = dict(ENCODERS[encoder].options(21, "medium", gop_frames(_RATE)), crf=quality)
        words = [str(word) for key, value in options.items() for word in (f"-{key}", value)]
        return fmean(self._of(clip, words) for clip in self.clips)

    def _of(self, clip: Path, options: Sequence[str]) -> float:
        encoded, log = self.folder / "encoded.mp4", self.folder / "vmaf.json"
        self._run("-i", file_url(clip), *options, "-an", file_url(encoded))
        graph = f"[0:v][1:v]libvmaf=n_threads=4:log_fmt=json:log_path={log.name}"
        self._run("-i", file_url(encoded), "-i", file_url(clip), "-lavfi", graph, "-f", "null", "-")
        found = json.loads(log.read_text("utf-8"))
        if len(found["frames"]) != _SECONDS * _RATE:
            raise SystemExit(f"{len(found['frames'])} frames of {clip.name} were compared, not {_SECONDS * _RATE}")
        return float(found["pooled_metrics"]["vmaf"]["mean"])

    def _run(self, *words: str) -> None:
        command = [self.ffmpeg.path, "-nostdin", "-loglevel", "error", "-y", *words]
        subprocess.run(command, check=True, cwd=self.folder, timeout=DEADLINE)


def prepared(ffmpeg: Ffmpeg, folder: Path, sources: Sequence[Path]) -> Bench:
    """The beginning of each source at one size and rate."""
    clips = []
    for number, source in enumerate(sources):
        clip = folder / f"{number}.nut"  # Matroska would round times, and frames be compared with their neighbours
        picture = f"scale={_SIZE}:force_original_aspect_ratio=increase,crop={_SIZE},fps={_RATE},format=yuv420p"
        lossless = ["-t", str(_SECONDS), "-vf", picture, "-c:v", "ffv1", "-an"]
        command = [
            ffmpeg.path,
            "-nostdin",
            "-loglevel",
            "error",
            "-y",
            "-i",
            file_url(source),
            *lossless,
            file_url(clip),
        ]
        subprocess.run(command, check=True, timeout=DEADLINE)
        clips.append(clip)
    return Bench(ffmpeg, folder, tuple(clips))


def reaching(vmaf: float, figures: Mapping[int, float]) -> float | None:
    """Where on its scale an encoder has a mean VMAF; None beyond what was measured."""
    for (low, better), (high, worse) in pairwise(sorted(figures.items())):
        if worse <= vmaf <= better and better > worse:
            return low + (high - low) * (better - vmaf) / (better - worse)
    return None


def in_use(encoder: str, quality: int) -> int:
    """What is asked of an encoder today for a quality."""
    return int(ENCODERS[encoder].options(quality, "medium", gop_frames(_RATE))["crf"])


def main(arguments: Sequence[str]) -> int:
    """Encode, compare and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.scales", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few and tiny clips, to see that it works")
    options = parser.parse_args(arguments)
    ffmpeg = find_ffmpeg("")
    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as name:
        folder = Path(name)
        (folder / "media").mkdir()
        sources = list(Media(folder / "media", ffmpeg, SMALL if options.small else Scale()).clips)[:2]
        if REALMEDIA.is_dir() and not options.small:
            sources += list(real_clips(ffmpeg))
        bench = prepared(ffmpeg, folder, sources[:_MOST_CLIPS])
        print(f"{len(bench.clips)} clips of {_SECONDS} s at {_SIZE.replace(':', '×')}")
        figures: dict[str, dict[int, float]] = {}
        for encoder, grid in _GRIDS.items():
            figures[encoder] = {quality: bench.vmaf(encoder, quality) for quality in grid}
            print(
                encoder, "  ".join(f"{quality}: {vmaf:.2f}" for quality, vmaf in figures[encoder].items()), flush=True
            )
        for encoder in (other for other in _GRIDS if other != _X264):
            reached = {q: reaching(figures[_X264][q], figures[encoder]) for q in _WANTED}
            points = {q: own for q, own in reached.items() if own is not None}
            slope, offset = linear_regression(list(points), list(points.values()))
            off = max(abs(in_use(encoder, q) - own) for q, own in points.items())
            print(encoder, "  ".join(f"{q} ≙ {own:.1f} (in use {in_use(encoder, q)})" for q, own in points.items()))
            result[encoder] = {"slope": round(slope, 3), "offset": round(offset, 2), "most_off": round(off, 1)}
    print(f"RESULT {json.dumps(result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
