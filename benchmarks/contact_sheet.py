"""One labelled picture of each real clip as a video shows it, tiled into one JPEG (``make contact-sheet``).

What ingest refuses is named and left out. The clips belong to others: the sheet stays out of version control.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.realmedia import REALMEDIA
from main_worker.checks.cage import Cage
from main_worker.checks.pictures import examine_clip
from render_worker.commands.conform import Look, Recipe
from shared.config import Config
from shared.domain.errors import DropRefused
from shared.domain.plan import Canvas, Profile, exact_rate, frames_in, treatment_of
from shared.ffmpeg import Ffmpeg, file_url, find_ffmpeg

_CANVAS = Canvas(320, 180, exact_rate(30))
_PROFILE = Profile("libx264", quality=16, preset="ultrafast", audio_kbps=64)
_MOST_FRAMES = 30  # the picture that is shown is the last of them
_COLUMNS = 6
_PATIENCE = {"decode_budget_seconds": 20}  # of processor time; one of the clips would take minutes
_SUFFIXES = (".mp4", ".mov", ".m4v")
# Under the picture, so that it hides nothing; names are no filter's syntax, so they come from a file.
_LABEL = (
    "pad=iw+8:ih+28:4:4:color=0x303030,drawtext=textfile=label.txt:expansion=none:fontcolor=white:fontsize=13:x=6:y=190"
)


def main() -> None:
    """Conform each clip of realmedia/video, and tile a picture of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sheet", nargs="?", type=Path, default=Path("contact-sheet.jpg"), help="the JPEG to write")
    sheet: Path = parser.parse_args().sheet
    if not REALMEDIA.is_dir():
        sys.exit(f"{REALMEDIA} is missing; set REELMILL_REALMEDIA to a folder of real media")
    ffmpeg = find_ffmpeg("")
    with tempfile.TemporaryDirectory() as folder:
        made = sum(1 for _ in pictures(ffmpeg, Path(folder)))
        rows = -(-made // _COLUMNS)
        tiled = ["-framerate", "1", "-i", file_url(Path(folder, "%03d.png")), "-vf", f"tile={_COLUMNS}x{rows}"]
        run(ffmpeg, [*tiled, "-frames:v", "1", "-q:v", "3", "-update", "1", "-y", file_url(sheet)], Path(folder))
    print(f"{sheet}: {made} clips")


def pictures(ffmpeg: Ffmpeg, folder: Path) -> Iterator[Path]:
    """A labelled picture of each clip that is accepted, numbered from 0."""
    cage = Cage(Config.model_validate({"ingest": _PATIENCE}), ffmpeg, lambda: False)
    number = 0
    for clip in sorted(path for path in (REALMEDIA / "video").iterdir() if path.suffix.lower() in _SUFFIXES):
        try:
            yield picture(cage, clip, folder, number)
            number += 1
        except DropRefused as error:
            print(f"{clip.name}: {error.rejection.code}", file=sys.stderr)


def picture(cage: Cage, clip: Path, folder: Path, number: int) -> Path:
    """The last of a clip's first frames, out of a segment, with its name under it.

    Raises:
        DropRefused: ingest would not accept the clip.
    """
    facts = examine_clip(cage, clip)
    frames = min(_MOST_FRAMES, frames_in(facts.seconds, _CANVAS.rate))
    recipe = Recipe("", 0, frames, treatment_of(facts, _CANVAS.rate), Look(_CANVAS, _PROFILE))
    segment, target = folder / "segment.mp4", folder / f"{number:03}.png"
    run(cage.ffmpeg, [*recipe.command(clip, folder, segment, folder / "luma", threads=1)], folder)
    (folder / "label.txt").write_text(clip.name, "utf-8")
    labelled = ["-i", file_url(segment), "-vf", f"trim=start_frame={frames - 1},{_LABEL}"]
    run(cage.ffmpeg, [*labelled, "-frames:v", "1", "-y", file_url(target)], folder)
    return target


def run(ffmpeg: Ffmpeg, arguments: list[str], folder: Path) -> None:
    subprocess.run([ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments], check=True, cwd=folder)


if __name__ == "__main__":
    main()
