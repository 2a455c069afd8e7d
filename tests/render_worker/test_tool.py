"""ffmpeg as an attempt uses it: what it says is kept, but for what was expected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from render_worker.tool import RenderFailed, Tool
from shared.ffmpeg import Ffmpeg

SAYS = """#!/bin/sh
echo "[h264 @ 0x1] Codec (h264) not on whitelist" >&2
echo "    Last message repeated 3 times" >&2
echo "[mov @ 0x2] moov atom not found" >&2
echo "    Last message repeated 1 times" >&2
echo "[h264 @ 0x3] Codec (h264) not on whitelist" >&2
exit 1
"""
REST = "[mov @ 0x2] moov atom not found\n    Last message repeated 1 times\n"


@pytest.fixture
def says(tool: Tool, tmp_path: Path) -> Tool:
    """A tool that has something to say."""
    path = tmp_path / "says"
    path.write_text(SAYS, "utf-8")
    path.chmod(0o755)
    return replace(tool, ffmpeg=Ffmpeg(str(path), "test"))


def test_what_was_expected_is_left_out(says: Tool) -> None:
    """Neither the log nor what is told of a failure holds it, or how often it was repeated."""
    expecting = replace(says, expected="not on whitelist")
    ended, _ = expecting.watch([])
    assert ended.errors == REST
    assert says.errors_to
    assert says.errors_to.read_text("utf-8") == REST
    with pytest.raises(RenderFailed, match="moov atom not found"):
        expecting.run("reading", [])


def test_all_is_kept_otherwise(says: Tool) -> None:
    """What nobody expected stays, word for word."""
    ended, _ = says.watch([])
    assert ended.errors == SAYS.replace('echo "', "").replace('" >&2', "").partition("\n")[2].removesuffix("exit 1\n")
    assert says.errors_to
    assert says.errors_to.read_text("utf-8") == ended.errors
