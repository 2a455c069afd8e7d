"""What ffmpeg must have been built with is what the code asks it for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from shared.build import PARTS, missing_parts
from shared.ffmpeg import find_ffmpeg

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("main_worker", "render_worker", "shared")
SOURCES = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
OF_HARDWARE = {"hwupload", "hwdownload"}  # tried with the encoders that need them


def called() -> set[str]:
    """The filters that graphs are built of."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in ("filter", "filter_multi_output"):
                continue
            is_module = isinstance(node.func.value, ast.Name) and node.func.value.id == "ffmpeg"
            name = node.args[1 if is_module else 0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.add(name.value)
    return found


def test_the_list_has_every_filter_that_is_called() -> None:
    """Whoever uses a new one adds it, and a box without it is told."""
    assert len(called()) > 30
    assert called() - OF_HARDWARE <= PARTS["filters"]


@pytest.mark.parametrize("kind", PARTS)
def test_the_list_has_nothing_that_is_not_used(kind: str) -> None:
    """Nobody is sent for another ffmpeg without need."""
    words = {
        word
        for path in SOURCES
        if path.name != "build.py"
        for word in re.findall(r"[a-z0-9_]+", path.read_text("utf-8"))
    }
    assert PARTS[kind] <= words


def test_the_ffmpeg_of_the_install_has_everything() -> None:
    """As the README promises."""
    assert missing_parts(find_ffmpeg("")) == []
