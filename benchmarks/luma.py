"""What it costs to compare a film with its clips, against encoding it: processor time for each frame.

Frames are decoded once and go through the filters again and again, so that nothing else is measured; the ways take
turns, and figures are medians. A frame is looked at twice, in the clip and in the film.

    python -m benchmarks.luma                1080p and 2160p; some minutes
    python -m benchmarks.luma --runs 9
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from render_worker.commands.luma import CELLS, film_luma
from render_worker.likeness import likeness
from shared.ffmpeg import find_ffmpeg

SIZES = ("1920x1080", "3840x2160")
_DECODED, _FRAMES, _ENCODED = 10, 1000, 60
_LUMA = film_luma(Path(os.devnull))[3]
_WAYS: Mapping[str, tuple[str, Sequence[str]]] = {
    "nothing": ("null", ("-f", "null", "-")),
    "few pixels": (_LUMA, ("-f", "rawvideo", os.devnull)),
    "all pixels": (f"scale={CELLS}:{CELLS}:flags=area,format=gray", ("-f", "rawvideo", os.devnull)),
    "blackdetect": ("blackdetect", ("-f", "null", "-")),
}


def processor_seconds(command: Sequence[str]) -> float:
    """What a command takes of all cores together."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"status {status}: {' '.join(command)}")
    return used.ru_utime + used.ru_stime


def measure(ffmpeg: str, clip: Path, runs: int) -> dict[str, float]:
    """Milliseconds of processor time that each way takes for a frame, beyond decoding it."""
    quiet, taken = [ffmpeg, "-nostdin", "-y", "-loglevel", "error"], {way: list[float]() for way in (*_WAYS, "x264")}
    repeated = f"trim=end_frame={_DECODED},loop={_FRAMES // _DECODED - 1}:{_DECODED}"
    x264 = ["-frames:v", str(_ENCODED), "-c:v", "libx264", "-preset", "medium", "-crf", "21", "-threads", "1"]
    for _ in range(runs):
        for way, (graph, output) in _WAYS.items():
            filters = ["-filter_threads", "1", "-vf", f"{repeated},{graph}", *output]
            taken[way].append(processor_seconds([*quiet, "-i", str(clip), *filters]))
        taken["x264"].append(processor_seconds([*quiet, "-i", str(clip), *x264, "-f", "null", "-"]))
    medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
    return {
        **{way: 1000 * (medians[way] - medians["nothing"]) / _FRAMES for way in _WAYS if way != "nothing"},
        "x264": 1000 * medians["x264"] / _ENCODED,
    }


def comparing(frames: int) -> float:
    """Milliseconds that comparing two grids takes here."""
    before = os.times()
    likeness(bytes(range(CELLS * CELLS)) * frames, bytes(CELLS * CELLS) * frames, frames, is_changed=False)
    return 1000 * (os.times().user - before.user) / frames


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.luma", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    ffmpeg, compared = find_ffmpeg("").path, comparing(20_000)
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            clip = Path(folder, f"{size}.mp4")
            source = f"mandelbrot=s={size}:r=30:start_scale=2.4:end_scale=0.2,noise=alls=2:allf=t,format=yuv420p"
            made = ["-frames:v", str(_ENCODED), "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", str(clip)]
            processor_seconds([ffmpeg, "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source, *made])
            found = measure(ffmpeg, clip, options.runs)
            print(f"{size}: " + ", ".join(f"{way} {taken:.2f} ms" for way, taken in found.items()), flush=True)
            share = (2 * found["few pixels"] + compared) / found["x264"]
            print(f"{size}: looking twice and comparing ({compared:.3f} ms) takes {share:.2%} of decoding and encoding")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
