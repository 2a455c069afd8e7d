"""How worker processes begin and end, by their exit status and what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from console.init import lay_out
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.process import EXIT_FAILED, EXIT_FINE, EXIT_USAGE, config_path, open_root
from shared.records.mounts import MountsRecord
from shared.version import PROGRAM

WORKERS = ["main_worker", "render_worker"]


def run_worker(component: str, *arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-m", component, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("component", WORKERS)
def test_a_missing_root_is_wrong_usage(tmp_path: Path, component: str) -> None:
    """The status is 2, and the words say how to make a root."""
    code, errors = run_worker(component, "--root", tmp_path / "nowhere")
    assert code == EXIT_USAGE
    assert f"{component}: there is no folder {tmp_path / 'nowhere'}; make a project root with: reelmill init" in errors


@pytest.mark.parametrize("component", WORKERS)
def test_a_folder_that_is_no_root_is_wrong_usage_and_stays_as_it_was(tmp_path: Path, component: str) -> None:
    """No worker lays out a farm in somebody's home by mistake."""
    code, errors = run_worker(component, "--root", tmp_path)
    assert code == EXIT_USAGE
    assert "is not a project root (it has no raw/)" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("component", WORKERS)
def test_a_root_that_cannot_be_reached_is_the_machines_trouble(tmp_path: Path, component: str) -> None:
    """1, so that systemd starts the worker again: a network mount that hangs is no wrong option."""
    (tmp_path / "round").symlink_to("round")
    code, errors = run_worker(component, "--root", tmp_path / "round" / "root")
    assert code == EXIT_FAILED
    assert f"{component}: cannot open the project root {tmp_path}/round/root: Too many levels" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("component", WORKERS)
def test_three_mistakes_in_the_configuration_are_told_at_once(layout: Layout, component: str) -> None:
    """The status is 2 and nobody has to start three times to find them."""
    layout.config.write_text('[render]\nresolution = "big"\nqualty = 1\n[worker]\nmax_attempts = 0\n')
    code, errors = run_worker(component, "--root", layout.root)
    assert code == EXIT_USAGE
    assert f"{component}: config.toml: 3 problems" in errors
    for word in ('render.resolution = "big"', "did you mean render.quality?", "worker.max_attempts = 0"):
        assert word in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("component", WORKERS)
def test_wrong_options_are_wrong_usage(component: str) -> None:
    """The root must be named."""
    code, errors = run_worker(component)
    assert code == EXIT_USAGE
    assert "--root" in errors


def test_a_fault_of_the_program_is_a_failure_that_asks_for_a_report(layout: Layout) -> None:
    """1, with a trace; a bug is not hidden and does not look like wrong usage."""
    code = """
import sys
from shared.process import run_worker
def work(started):
    raise KeyError("a bug")
sys.exit(run_worker("main_worker", sys.argv[1:], work))
"""
    command = [sys.executable, "-c", code, "--root", str(layout.root)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == EXIT_FAILED
    assert "event=fault" in ended.stderr
    assert "KeyError: 'a bug'" in ended.stderr


@pytest.mark.parametrize("component", WORKERS)
def test_a_missing_tool_is_a_failure(layout: Layout, component: str) -> None:
    """The machine is at fault, not the command: 1, with the reason in the log."""
    layout.config.write_text('[ffmpeg]\npath = "/nonexistent"\n')
    code, errors = run_worker(component, "--root", layout.root)
    assert code == EXIT_FAILED
    assert f' ERROR {component} "ffmpeg.path = ' in errors
    assert "event=worker_failed" in errors


def test_a_main_worker_with_nothing_to_do_ends_well(layout: Layout) -> None:
    """0 for a root that is idle from the start."""
    layout.config.write_text("[ingest]\nquiet_seconds = 0.1\nrescan_seconds = 0.2\n")
    code, errors = run_worker("main_worker", "--root", layout.root, "--until-idle")
    assert code == EXIT_FINE, errors
    assert "event=worker_stopped" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("component", WORKERS)
def test_a_worker_asked_to_stop_ends_well(layout: Layout, component: str, number: signal.Signals) -> None:
    """systemd and Ctrl-C get 0, and the worker's last word."""
    command = [sys.executable, "-m", component, "--root", str(layout.root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr
        lines = iter(worker.stderr.readline, "")
        assert any("event=worker_started" in line for line in lines)
        worker.send_signal(number)
        assert any("event=worker_stopped" in line for line in lines)
        assert worker.wait(60) == EXIT_FINE


def test_a_second_main_worker_is_told_who_is_at_work(
    layout: Layout, start_python: Callable[..., subprocess.Popen[str]], eventually: Callable[..., None]
) -> None:
    """One per root: 2, and the process to stop first."""
    first = start_python(
        "import sys; from main_worker.__main__ import work; from shared.process import run_worker; "
        "run_worker('main_worker', sys.argv[1:], work)",
        *("--root", layout.root),
    )
    eventually(lambda: layout.main_lock.exists() and layout.main_lock.stat().st_size > 0)
    code, errors = run_worker("main_worker", "--root", layout.root)
    assert code == EXIT_USAGE
    assert f"another main worker (process {first.pid} on " in errors


def test_opening_a_root_completes_its_folders(layout: Layout) -> None:
    """A folder an operator removed comes back, and nothing else changes."""
    layout.assets.rmdir()
    (layout.raw / "video" / "fantasy").mkdir()
    assert open_root(layout.root) == layout
    assert all(folder.is_dir() for folder in layout.folders())
    assert (layout.raw / "video" / "fantasy").is_dir()


def test_a_root_whose_folders_cannot_be_made_is_refused(layout: Layout) -> None:
    """With the name of the one in the way."""
    layout.assets.rmdir()
    layout.assets.write_text("in the way")
    with pytest.raises(RootError, match="assets cannot be made"):
        open_root(layout.root)


def test_nothing_is_made_below_a_mount_that_is_lost(layout: Layout) -> None:
    """It would be hidden when the mount is back; everything else is completed."""
    MountsRecord(mounts=("raw", "scanned/video")).write(layout.mounts)
    for folder in (*layout.raw.iterdir(), layout.scanned / "video", layout.assets):
        folder.rmdir()
    assert open_root(layout.root) == layout
    assert list(layout.raw.iterdir()) == []
    assert not (layout.scanned / "video").exists()
    assert layout.assets.is_dir()
    layout.raw.rmdir()
    assert open_root(layout.root) == layout, "a mount point that is gone with its mount is still no wrong root"


def test_the_named_configuration_wins_over_the_roots_own(layout: Layout) -> None:
    """And a root without one has the defaults."""
    assert config_path(layout, None) is None
    layout.config.touch()
    assert config_path(layout, None) == layout.config
    assert config_path(layout, "other.toml") == Path("other.toml")


def test_the_program_knows_its_version() -> None:
    """It is written into every output."""
    assert PROGRAM.split(".")[0].isdigit()


@pytest.mark.parametrize("kind", ["raw/video", "scanned/music"])
def test_a_kind_behind_a_link_is_refused_with_what_to_do_instead(tmp_path: Path, kind: str) -> None:
    """Links below raw/ and scanned/ are not followed, so the folder would look empty."""
    layout = lay_out(tmp_path / "root")
    elsewhere = tmp_path / "big-disk"
    (layout.root / kind).rename(elsewhere)
    (layout.root / kind).symlink_to(elsewhere)
    with pytest.raises(RootError, match="mount --bind"):
        open_root(layout.root)
