"""``reelmill scan`` as a person and as a program use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from console.init import lay_out
from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root with a good clip, a file in the wrong place, and a hidden one."""
    quick = {"ingest": {"quiet_seconds": 0.1, "rescan_seconds": 0.2, "unfinished_seconds": 0}}
    made = lay_out(tmp_path / "root", quick)
    nature = made.raw / "video/nature"
    nature.mkdir(parents=True)
    picture = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1"]
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([find_ffmpeg("").path, "-v", "error", *picture, *encoder, nature / "good.mp4"], check=True)
    (made.raw / "loose.mp4").write_bytes(b"loose")
    (nature / ".hidden").touch()
    return made


def scan(layout: Layout, *options: str) -> tuple[int, str, str]:
    """Run the command to its end; returns exit status, standard output and standard error."""
    program = [sys.executable, "-P", "-c", "from console.cli import main; main(prog_name='reelmill')"]
    command = [*program, "scan", "--root", str(layout.root), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_scan_says_what_would_happen_and_changes_nothing(layout: Layout, options: tuple[str, ...]) -> None:
    """Without an option as well: the careful one is the default."""
    before = sorted(layout.root.rglob("*"))
    status, said, _ = scan(layout, *options)
    assert status == 0
    assert "accept  raw/video/nature/good.mp4 → scanned/video/nature/mp4_w64_h48/1.0_good.mp4" in said
    assert "reject  raw/loose.mp4" in said
    assert "Nothing belongs at raw/loose.mp4. Put it into one of: " in said
    assert "leave   raw/video/nature/.hidden" in said
    assert "1 accept, " in said.splitlines()[-1]
    assert sorted(layout.root.rglob("*")) == before


def test_a_scan_as_json_is_one_array(layout: Layout) -> None:
    """Nothing else is on standard output."""
    status, text, _ = scan(layout, "--json")
    assert status == 0
    found = {entry["drop"]: entry for entry in json.loads(text)}
    assert found["raw/video/nature/good.mp4"]["outcome"] == "accept"
    assert found["raw/loose.mp4"]["code"] == "wrong_place"


def test_one_pass_tells_what_became_of_the_drops(layout: Layout) -> None:
    """Afterwards they are where it says; a second pass has nothing to tell."""
    status, said, log = scan(layout, "--once")
    assert status == 0
    assert "ok        raw/video/nature/good.mp4 → scanned/video/nature/mp4_w64_h48/1.0_good.mp4" in said
    assert "rejected  raw/loose.mp4 → trash/invalid/loose.mp4" in said
    assert "event=file_scanned" in log
    assert (layout.invalid / "loose.mp4").exists()
    status, text, _ = scan(layout, "--once", "--json")
    assert (status, json.loads(text)) == (0, [])


def test_both_at_once_are_refused(layout: Layout) -> None:
    """Exit status 2, and what to do."""
    status, _, said = scan(layout, "--once", "--dry-run")
    assert status == 2
    assert "choose one of them" in said
    assert (layout.raw / "loose.mp4").exists()


@pytest.mark.parametrize("mode", ["--once", "--dry-run"])
def test_a_wrong_configuration_is_exit_status_2(layout: Layout, mode: str) -> None:
    """The main worker's own words reach the terminal; standard output is a valid, empty answer."""
    layout.config.write_text("[ingest]\nworkers = 0\n", "utf-8")
    status, text, said = scan(layout, mode, "--json")
    assert status == 2
    assert "ingest.workers = 0" in said
    assert json.loads(text) == []
