"""``reelmill demo``: makes real media, drops them into a root of its own, runs the farm, shows the result."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

import click

from console.demo_media import Sample, make_samples
from console.init import lay_out
from console.options import config_option, plain_errors
from console.run import run_farm
from console.saying import say
from console.summary import summary_lines
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg

_MARK = ".reelmill-demo"
# Small enough for two minutes on two cores; every other setting is the default.
_SETTINGS: dict[str, dict[str, Any]] = {
    # Everything is dropped by one rename each, so the file that is cut off need not be waited for.
    "ingest": {"quiet_seconds": 1.0, "rescan_seconds": 1.0, "unfinished_seconds": 1.0},
    "tasks": {"fallback_categories": ["nature", "patterns", "calm"]},
    "render": {"resolution": "1280x720", "preset": "fast"},
}


@click.command("demo")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reelmill-demo"),
    show_default=True,
    help="Where to make the demo's root; one of an earlier demo is made anew.",
)
@config_option
@plain_errors
def demo(root: Path, config: Path | None) -> None:
    """Make a small root, drop generated media, end with a finished video."""
    started = time.monotonic()
    layout = _fresh_root(root)
    say("Making media with ffmpeg (moving clips, music, a logo; one clip is broken on purpose) …")
    workshop = Path(tempfile.mkdtemp(dir=layout.staging))
    samples = make_samples(find_ffmpeg("").path, workshop, _say_made)
    say(f"Dropping {len(samples)} files into {layout.root} and starting both workers …")
    for sample in samples:
        _drop(layout, workshop, sample)
    shutil.rmtree(workshop)
    summary, status = run_farm(layout, config, until_idle=True)
    say(*summary_lines(summary))
    say("", f"All of it took {time.monotonic() - started:.0f} s. The root is {layout.root}: look around.")
    sys.exit(status)


def _fresh_root(root: Path) -> Layout:
    """An empty root; only what an earlier demo made is ever removed."""
    if root.exists() and any(root.iterdir()):
        if not (root / _MARK).exists():
            raise RootError(f"{root} was not made by a demo, so it is left alone; name another folder with --root")
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).touch()
    return lay_out(root, _SETTINGS)


def _drop(layout: Layout, workshop: Path, sample: Sample) -> None:
    target = layout.root / sample.relative
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(workshop / sample.relative, target)  # noqa: PTH105 - one rename, as a careful operator would


def _say_made(sample: Sample) -> None:
    say(f"  {PurePosixPath(sample.relative)}: {sample.what}")
