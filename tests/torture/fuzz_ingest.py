"""Drops thousands of spoilt files and looks whether each is either taken or refused with an explanation.

Small real files (of the folder that REELMILL_REALMEDIA names, and in any case some made by ffmpeg) are spoilt in many
ways, dropped as every kind, and taken in by ``python -m main_worker --once``, a hundred per process. Every file follows
from the seed and its number, so that one that fails can be made again.

    python -m tests.torture.fuzz_ingest                               10,000 files
    python -m tests.torture.fuzz_ingest --files 100 --seconds 60      a few
    python -m tests.torture.fuzz_ingest --seed S --first N --files 1 --keep   one of them again

crashes: the worker ended with a fault, or logged one. hangs: it said nothing for longer than any of its limits.
unexplained: a file that is neither in the library with its record, nor rejected with code, reason and advice, nor still
in ``raw/`` for a trouble of the machine. The last line is ``RESULT {…}``; the exit status is 1 where any was found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.realmedia import REALMEDIA
from console.init import lay_out
from shared.domain.drop import Kind
from shared.domain.layout import Layout, sidecar_of
from shared.ffmpeg import find_ffmpeg
from tests.main_worker.conftest import Media
from tests.torture.inspection import problems_at_rest
from tests.torture.mutations import MUTATIONS
from tests.torture.stage import enter_namespace

_CONFIG: dict[str, dict[str, Any]] = {
    "ingest": {
        "quiet_seconds": 0.1,
        "blind_quiet_seconds": 0.1,
        "unfinished_seconds": 0,
        "workers": 1,
        "check_timeout_seconds": 20,
        "decode_budget_seconds": 20,
    },
    "links": {"retries": 0, "timeout_seconds": 5},
    "log": {"file": False},
}
_SILENCE_SECONDS = 150.0  # MediaInfo may take 60 s, ffmpeg what is configured, twice for music
_LARGEST = 200_000
_SUFFIXES = {
    Kind.VIDEO: (".mp4", ".mov", ".m4v"),
    Kind.FRAME: (".mp4", ".mov"),
    Kind.VOICE: (".mp3",),
    Kind.MUSIC: (".mp3",),
    Kind.LINK: (".txt",),
    Kind.SETTINGS: (".toml",),
}
_SHARES = {Kind.VIDEO: 40, Kind.FRAME: 5, Kind.VOICE: 20, Kind.MUSIC: 15, Kind.LINK: 10, Kind.SETTINGS: 10}
_SETTINGS = b'clips = "nature"\nresolution = "1280x720"\nmusic = false\npriority = 70\n'
_LINKS = b"# two pages\nhttp://127.0.0.1:9/tale.txt\n\nhttps://[::1]/other?a=b#c\n"


@dataclass
class Found:
    """What became of some files."""

    files: int = 0
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        self.files += other.files
        self.crashes += other.crashes
        self.hangs += other.hangs
        self.unexplained += other.unexplained
        self.outcomes += other.outcomes


@dataclass(frozen=True)
class Fuzz:
    """Everything that is the same for all batches; copied into every process of the pool."""

    folder: Path
    sources: Mapping[str, Sequence[Path]]
    shares: Mapping[Kind, int]
    seed: str
    keep: bool
    until: float

    def batch(self, numbers: range) -> Found:
        """Spoil, drop and take in some files; none when the time is up."""
        if time.monotonic() > self.until:
            return Found()
        with _folder("batch-", self.folder, keep=self.keep) as folder:
            layout = lay_out(folder / "root", _CONFIG)
            dropped = [self._drop(layout.raw, number) for number in numbers]
            return judged(layout, dropped, *_take_in(layout, folder / "log"))

    def _drop(self, raw: Path, number: int) -> str:
        """Make the file of a number; returns its place below ``raw/``."""
        dice = random.Random(f"{self.seed} {number}")
        kind = dice.choices([*self.shares], [*self.shares.values()])[0]
        suffix = dice.choice(_SUFFIXES[kind])
        content = dice.choice(self.sources[suffix]).read_bytes()
        for _ in range(dice.choice((1, 1, 1, 2))):
            other = dice.choice(self.sources[dice.choice([*self.sources])]).read_bytes()
            content = dice.choice(MUTATIONS)(content, other, dice) or b"\0"
        where = _place(kind, f"{number}{suffix}")
        (raw / where).parent.mkdir(parents=True, exist_ok=True)
        (raw / where).write_bytes(content)
        return where


@contextmanager
def _folder(prefix: str, into: Path | None, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=into))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder)


def _place(kind: Kind, name: str) -> str:
    match kind:
        case Kind.VOICE | Kind.LINK:
            return f"story/nature/tale/{kind.value}/{name}"
        case Kind.SETTINGS:
            return f"story/nature/{Path(name).stem}/story.toml"
        case _:
            return f"{kind.value}/nature/{name}"


def _take_in(layout: Layout, log: Path) -> tuple[int | None, str]:
    """Run the worker; returns its exit status, None for one that hung, and what it said."""
    command = [sys.executable, "-m", "main_worker", "--root", os.fspath(layout.root), "--once"]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True)
    size, moved = -1, time.monotonic()
    while process.poll() is None:
        if (now_size := log.stat().st_size) != size:
            size, moved = now_size, time.monotonic()
        if time.monotonic() > moved + _SILENCE_SECONDS:
            process.kill()
            process.wait()
            return None, log.read_text("utf-8", "replace")
        time.sleep(0.05)
    return process.returncode, log.read_text("utf-8", "replace")


def judged(layout: Layout, dropped: Sequence[str], status: int | None, log: str) -> Found:
    """What became of dropped files, by what lies in the root, the worker's exit status (None: it hung) and its log."""
    found = Found(len(dropped))
    outcomes = {**_taken(layout), **_refused(layout), **_waiting(log)}
    for where in dropped:
        outcome = outcomes.get(f"raw/{where}", "")
        found.outcomes[outcome or "unexplained"] += 1
        if not outcome and status is not None:
            found.unexplained.append(where)
    if status is None:
        found.hangs.append(f"in a batch from {dropped[0]} to {dropped[-1]}:\n{log[-2000:]}")
    elif status not in (0, 1) or "event=fault" in log or "Traceback" in log:
        start = max(0, log.find("event=fault") - 500)
        found.crashes.append(f"status {status}: {log[start : start + 3000]}")
    found.unexplained += problems_at_rest(layout)
    return found


def _taken(layout: Layout) -> dict[str, str]:
    taken = {}
    for path in layout.scanned.rglob("*"):
        if path.is_file() and (record := sidecar_of(path)).exists():
            taken[json.loads(record.read_bytes())["origin"]["path"]] = "taken"
    return taken


def _refused(layout: Layout) -> dict[str, str]:
    refused = {}
    for record in layout.invalid.glob("*.reason.json"):
        reason = json.loads(record.read_bytes())
        if all(reason[key] for key in ("code", "reason", "advice", "original_path")):
            refused[reason["original_path"]] = reason["code"]
    return refused


def _waiting(log: str) -> dict[str, str]:
    """Drops that the worker says stay in ``raw/`` for a trouble of the machine."""
    waiting = {}
    for line in log.splitlines():
        name, found, doing = line.partition(" stays: put off: ")
        if found:
            why, _, _ = doing.partition('"')
            waiting[name.partition('"')[2]] = f"put off: {why[:60]}"
    return waiting


def _sources(folder: Path) -> dict[str, list[Path]]:
    """Small files by suffix: real ones, and in any case some that are made here."""
    media = Media(folder, find_ffmpeg(""))
    clip = media.clip()
    made = [
        *(
            clip,
            media.clip("fast.mp4", "-movflags", "+faststart"),
            media.clip("parts.mp4", "-movflags", "frag_keyframe"),
        ),
        *(media.clip("quick.mov"), media.clip("apple.m4v"), media.sound(), media.sound("music.mp3", seconds=3)),
    ]
    for name, content in (("links.txt", _LINKS), ("story.toml", _SETTINGS)):
        (folder / name).write_bytes(content)
        made.append(folder / name)
    real = sorted(path for path in REALMEDIA.rglob("*") if path.is_file() and 0 < path.stat().st_size <= _LARGEST)
    suffixes = {suffix for some in _SUFFIXES.values() for suffix in some}
    found = {suffix: [path for path in (*made, *real) if path.suffix.lower() == suffix] for suffix in sorted(suffixes)}
    print(f"sources: {', '.join(f'{len(paths)} {suffix}' for suffix, paths in found.items())}", flush=True)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; returns the exit status."""
    options = _options(arguments)
    shares = dict(_SHARES)
    if reason := enter_namespace(network=False):
        print(f"SKIPPED: spoilt addresses, for want of a way to cut off the network: {reason}")
        del shares[Kind.LINK]
    started = time.monotonic()
    found = Found()
    with _folder("reelmill-fuzz-", options.into, keep=options.keep) as folder:
        (folder / "media").mkdir()
        until = started + options.seconds if options.seconds else math.inf
        fuzz = Fuzz(folder, _sources(folder / "media"), shares, options.seed, options.keep, until)
        if options.keep:
            print(f"left in {folder}")
        with get_context("fork").Pool(options.jobs) as pool:
            for batch in pool.imap_unordered(fuzz.batch, _batches(options)):
                found.add(batch)
                print("".join(f"FAILED {words}\n" for words in failures(batch)), end="")
                print(f"{found.files} files after {time.monotonic() - started:.0f} s", flush=True)
    print("; ".join(f"{count} {outcome}" for outcome, count in found.outcomes.most_common()))
    counts = {"crashes": len(found.crashes), "hangs": len(found.hangs), "unexplained": len(found.unexplained)}
    result = {"files": found.files, **counts, "seed": options.seed, "seconds": round(time.monotonic() - started)}
    print(f"RESULT {json.dumps(result)}")
    return 1 if any(counts.values()) else 0


def _batches(options: argparse.Namespace) -> Iterator[range]:
    end = options.first + options.files
    for start in range(options.first, end, options.batch):
        yield range(start, min(end, start + options.batch))


def failures(found: Found) -> list[str]:
    """All that must not be, in words."""
    named = {"a crash": found.crashes, "a hang": found.hangs, "unexplained": found.unexplained}
    return [f"{what}: {words}" for what, all_words in named.items() for words in all_words]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz_ingest", description=(__doc__ or "").partition("\n")[0])
    memory = Path("/dev/shm")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--batch", type=int, default=100, help="files per run of the worker")
    parser.add_argument("--seconds", type=float, help="begin no batch after this long")
    parser.add_argument("--seed", default=datetime.now(UTC).date().isoformat(), help="else the day")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true", help="leave the roots for looking at")
    parser.add_argument("--into", type=Path, default=memory if memory.is_dir() else None, help="where roots are made")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
