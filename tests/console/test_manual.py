"""The manual page and the completion of words in shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import main
from console.manual import page, shared_files

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


def test_bash_takes_the_completion_and_completes() -> None:
    """The script is read by a real bash, which then gets the words from the command itself."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    (script,) = [text for path, text in shared_files(main) if "bash" in str(path)]
    asked = 'COMP_WORDS=(reelmill sta); COMP_CWORD=1; _reelmill_completion reelmill; echo "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{REELMILL.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "-c", f"{script}\n{asked}"], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.split() == ["status"], done.stderr


def test_they_come_with_the_installation() -> None:
    """Below the prefix, where man and the shells look."""
    missing = [path for path, _ in shared_files(main) if not (Path(sys.prefix) / path).is_file()]
    assert not missing
