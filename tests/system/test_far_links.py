"""The line of a node over SFTP breaks while it works: everything ends once, and nobody has to help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.namespaces import why_no_network

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(why_no_network() is not None, reason=f"no line can be broken here: {why_no_network()}")
def test_a_node_whose_line_breaks_recovers_by_itself() -> None:
    """A sample of `make torture-links`: a break in some phases of its work, other ways every time."""
    command = [sys.executable, "-m", "tests.torture.far_links", "--seconds", "12"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert result["cases"] >= 1
    assert result["finished"] == result["tasks"]
