"""The manual page and the completion of words in shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import main
from console.init import lay_out
from console.manual import page, shared_files
from shared.domain.task import TaskState

REELMILL = Path(sys.executable).with_name("reelmill")


def test_groff_reads_the_page_without_a_word() -> None:
    """Nothing in a help text is taken for a macro, and every command is there."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("needs groff (Debian: apt-get install groff)")
    command = [groff, "-man", "-ww", "-Tascii", "-P-cbou"]
    done = subprocess.run(command, input=page(main), capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    for name in main.commands:
        assert f"reelmill {name}" in done.stdout
    assert "--until-idle" in done.stdout


def completed(typed: str, root: Path | None = None) -> list[str]:
    """What a real bash offers for the last word of what was typed behind `reelmill`."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    (script,) = [text for path, text in shared_files(main) if "bash" in str(path)]
    words = ["reelmill", *typed.split()]
    asked = (
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        '_reelmill_completion reelmill; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{REELMILL.parent}:{os.environ['PATH']}"}
    if root:
        environment["REELMILL_ROOT"] = str(root)
    done = subprocess.run(
        [bash, "-c", f"{script}\n{asked}"], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_takes_the_completion_and_completes() -> None:
    """The script is read by a real bash, which then gets the words from the command itself."""
    assert completed("sta") == ["status"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("drain no", ["node-1", "node-2"]),
        ("drain x", []),
        ("hours node-1", ["node-1"]),
        ("cancel f", ["fantasy/"]),
        ("cancel fantasy/d", ["fantasy/dragon"]),
        ("cancel 5", ["5e0b7a5c-aaaa-4000-8000-000000000000"]),
        ("retry 5", []),
        ("status --why 5", ["5e0b7a5c-aaaa-4000-8000-000000000000"]),
        ("logs --node node-1", ["node-1"]),
        ("show nowhere/", []),
    ],
)
def test_bash_completes_what_the_root_has(tmp_path: Path, typed: str, offered: list[str]) -> None:
    """Nodes, tasks of the states that a command is about, and stories."""
    layout = lay_out(tmp_path / "root", {})
    for node in ("node-1", "node-2"):
        layout.node_record(node).write_text("{}")
    layout.task(TaskState.WAITING, "5e0b7a5c-aaaa-4000-8000-000000000000").mkdir()
    layout.story("fantasy", "dragon").mkdir(parents=True)
    assert completed(typed, layout.root) == offered


def test_bash_is_told_nothing_where_there_is_no_root(tmp_path: Path) -> None:
    """And shows no error in the middle of what somebody types."""
    assert completed("cancel 5", tmp_path / "nothing") == []
    assert completed("drain n", tmp_path) == []


def test_they_come_with_the_installation() -> None:
    """Below the prefix, where man and the shells look."""
    missing = [path for path, _ in shared_files(main) if not (Path(sys.prefix) / path).is_file()]
    assert not missing
