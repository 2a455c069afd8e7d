"""The arrows of ARCHITECTURE.md, guarded: which package may import which, and what the map must name."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("main_worker", "render_worker", "console", "shared")
MODULES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_downwards(path: Path) -> None:
    """main_worker, render_worker and console never import each other, and shared imports none of them."""
    own = path.relative_to(REPOSITORY).parts[0]
    others = {package for package in PACKAGES if package not in (own, "shared")}
    wrong = {name for name in imports_of(path) if name.split(".")[0] in others}
    assert not wrong


ROOMS = ("arrival", "captions", "links", "checks", "shelves", "tasks")
"""The rooms of the main worker, lowest first; what lies above them knows them all."""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_main_worker_knows_only_those_below(room: str) -> None:
    """A drop goes up through the rooms, and no import comes back down."""
    known = {"main_worker." + name for name in ROOMS[: ROOMS.index(room) + 1]} - (
        {"main_worker.arrival"} if room in ("captions", "links") else set()
    )
    for path in (REPOSITORY / "main_worker" / room).glob("*.py"):
        for name in imports_of(path):
            if name.startswith("main_worker"):
                assert ".".join(name.split(".")[:2]) in known


@pytest.mark.parametrize("path", sorted((REPOSITORY / "shared/domain").glob("*.py")), ids=name_of)
def test_the_domain_is_pure(path: Path) -> None:
    """shared/domain imports itself and the standard library, but nothing that has a clock or touches the system."""
    impure = {"os", "time", "subprocess", "threading", "shutil", "tempfile", "socket", "datetime"}
    for name in imports_of(path):
        top = name.split(".")[0]
        assert name.startswith("shared.domain") or top in sys.stdlib_module_names
        assert top not in impure


def test_records_do_not_reach_for_the_machinery() -> None:
    """The formats know the domain and how a file is written, nothing else of shared."""
    for path in (REPOSITORY / "shared/records").glob("*.py"):
        for name in imports_of(path):
            if name.startswith("shared"):
                assert name.startswith(("shared.domain", "shared.records", "shared.files"))


def test_the_console_speaks_through_one_module() -> None:
    """Which makes names from outside harmless; rich takes plain words for markup, and click passes all on."""
    direct = re.compile(r"click\.(echo|secho|prompt|confirm)\b|rich\.(text|markup)\b|\bprint\((?!shown\()")
    speaking = [path.name for path in (REPOSITORY / "console").rglob("*.py") if direct.search(path.read_text("utf-8"))]
    assert speaking == ["saying.py"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_code_map_names_every_module(path: Path) -> None:
    """A newcomer finds each file in ARCHITECTURE.md."""
    if path.name in ("__init__.py", "__main__.py") or path.parent.name == "records" or path.name == "version.py":
        return
    assert f"`{path.name}`" in (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    """Each module begins with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_library_that_is_imported_is_asked_for(path: Path) -> None:
    """What another library happens to bring along may be of any version, or be gone tomorrow."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[<>=!~ \[]", line)[0].lower() for line in project["dependencies"]}
    known = packages_distributions()
    own = {*sys.stdlib_module_names, *PACKAGES, "pydantic_core"}  # of which pydantic wants exactly one version
    for name in {name.split(".")[0] for name in imports_of(path)} - own:
        assert wanted & {distribution.lower() for distribution in known.get(name, [name])}, name
