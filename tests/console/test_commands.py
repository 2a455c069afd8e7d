"""The `reelmill` command as a person uses it: real processes, exit statuses, words."""

from __future__ import annotations

import grp
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from console.init import lay_out
from shared.domain.layout import Layout


def reelmill(*arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run the command to its end; returns exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from console.cli import main; main(prog_name='reelmill')", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_init_lays_out_a_root_with_explanations(tmp_path: Path) -> None:
    """Every folder an operator opens has a README, and config.toml holds every key."""
    root = tmp_path / "a new root"
    status, said, _ = reelmill("init", str(root))
    assert status == 0
    assert "is ready" in said
    for folder in (
        ".",
        "raw",
        "raw/story",
        "raw/video",
        "raw/frame",
        "raw/music",
        "scanned",
        "output",
        "trash",
        "assets",
    ):
        assert (root / folder / "README.md").read_text("utf-8").startswith("# ")
    assert "[render]" in (root / "config.toml").read_text("utf-8")


def test_init_twice_leaves_what_people_changed(tmp_path: Path) -> None:
    """A second init completes the root and overwrites nothing."""
    root = tmp_path / "root"
    reelmill("init", str(root))
    (root / "config.toml").write_text("[render]\npreset = 'fast'\n", "utf-8")
    (root / "raw/README.md").unlink()
    assert reelmill("init", str(root))[0] == 0
    assert (root / "config.toml").read_text("utf-8") == "[render]\npreset = 'fast'\n"
    assert (root / "raw/README.md").exists()


def test_init_refuses_a_folder_with_other_things(tmp_path: Path) -> None:
    """A folder that is in use for something else is left alone, with exit status 2."""
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    status, _, said = reelmill("init", str(tmp_path))
    assert status == 2
    assert "is not empty and is no project root" in said
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_init_for_a_group_shares_the_root(tmp_path: Path) -> None:
    """Its folders and its config.toml; one that does not exist makes nothing, and a config.toml is never changed."""
    group = grp.getgrgid(os.getegid()).gr_name
    root = tmp_path / "root"
    status, _, said = reelmill("init", str(root), "--group", "no such group")
    assert status == 2
    assert 'files.group = "no such group": must be a group of this machine' in said
    assert not root.exists()
    status, _, said = reelmill("init", str(root), "--group", group)
    assert (status, said) == (0, "")
    assert all(folder.stat().st_mode & 0o2770 == 0o2770 for folder in (root, root / "raw/video", root / ".farm"))
    assert f'group = "{group}"' in (root / "config.toml").read_text("utf-8")
    assert 'umask = "002"' in (root / "config.toml").read_text("utf-8")
    status, _, said = reelmill("init", str(root), "--group", group)
    assert status == 2
    assert "is there already" in said


def test_a_root_must_be_named_or_be_here(tmp_path: Path) -> None:
    """Without --root the current folder counts if it is a root; else the message says what to do."""
    status, _, said = reelmill("status", cwd=tmp_path, env={"REELMILL_ROOT": ""})
    assert status == 2
    assert "--root" in said
    lay_out(tmp_path / "root")
    assert reelmill("status", cwd=tmp_path / "root")[0] == 0
    assert reelmill("status", cwd=tmp_path, env={"REELMILL_ROOT": str(tmp_path / "root")})[0] == 0


def test_three_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """A wrong configuration starts nothing: all problems, key by key, and exit status 2."""
    root = tmp_path / "root"
    lay_out(root)
    (root / "config.toml").write_text(
        "[render]\nresolution = '1921x1080'\nframe_rat = 25\n[ingest]\nworkers = 'many'\n", "utf-8"
    )
    status, said, complained = reelmill("run", "--root", str(root), "--until-idle")
    assert status == 2
    assert said == ""
    assert "3 problems" in complained
    assert 'render.resolution = "1921x1080": must be WIDTHxHEIGHT with even sides' in complained
    assert "render.frame_rat: there is no such key; did you mean render.frame_rate?" in complained
    assert 'ingest.workers = "many": must be a valid integer' in complained


def test_status_of_an_empty_root_in_words_and_json(tmp_path: Path) -> None:
    """Nothing runs yet: the words say how to start, and JSON says the same."""
    root = tmp_path / "root"
    lay_out(root)
    status, words, _ = reelmill("status", "--root", str(root))
    assert status == 0
    assert "not running (start it with: reelmill main)" in words
    status, text, _ = reelmill("status", "--root", str(root), "--json")
    assert status == 0
    snapshot = json.loads(text)
    assert snapshot["main_running"] is False
    assert snapshot["counts"] == {"tasks": 0, "processing": 0, "output": 0, "trash/failed": 0, "trash/invalid": 0}


def test_run_until_idle_on_an_empty_root_ends_at_once(tmp_path: Path) -> None:
    """Nothing to do is fine: exit status 0 and an empty summary, and standard output holds only JSON."""
    root = tmp_path / "root"
    lay_out(root, {"ingest": {"quiet_seconds": 0.2}})
    status, text, _ = reelmill("run", "--root", str(root), "--until-idle", "--json")
    assert status == 0
    summary = json.loads(text)
    assert summary["videos"] == summary["drops"] == summary["failed"] == []


def test_a_second_main_worker_makes_run_end_with_its_reason(tmp_path: Path) -> None:
    """`run` on a root that has a main worker says so and ends with exit status 2."""
    layout = lay_out(tmp_path / "root")
    first = subprocess.Popen(
        [sys.executable, "-P", "-m", "main_worker", "--root", str(layout.root)], stderr=subprocess.DEVNULL
    )
    try:
        wait_for_main(layout)
        status, _, said = reelmill("run", "--root", str(layout.root), "--until-idle")
    finally:
        first.terminate()
        first.wait(30)
    assert status == 2
    assert f"another main worker (process {first.pid} on" in said


def test_ctrl_c_stops_both_workers_cleanly(tmp_path: Path) -> None:
    """SIGINT ends `run` with 0 after both workers have said that they stopped."""
    layout = lay_out(tmp_path / "root")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from console.cli import main; main()", "run", "--root", str(layout.root)],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_main(layout)
    while not list(layout.nodes.glob("*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Main worker has stopped" in said
    assert "has stopped" in said
    assert not list(layout.nodes.glob("*.json"))


def test_a_killed_run_takes_its_workers_along(tmp_path: Path) -> None:
    """SIGKILL of `run` leaves no orphan: the workers stop by themselves."""
    layout = lay_out(tmp_path / "root")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from console.cli import main; main()", "run", "--root", str(layout.root)],
        stderr=subprocess.DEVNULL,
    )
    wait_for_main(layout)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while json.loads(reelmill("status", "--root", str(layout.root), "--json")[1])["main_running"]:
        assert time.monotonic() < deadline, "the main worker outlived the run that started it"
        time.sleep(0.2)


def wait_for_main(layout: Layout) -> None:
    """Wait until a main worker has written its record."""
    deadline = time.monotonic() + 60
    while not layout.main_record.exists():
        assert time.monotonic() < deadline, "the main worker did not start"
        time.sleep(0.05)
