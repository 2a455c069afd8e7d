"""The documents say what is so: every command in them is one, every link leads somewhere, every key exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console.cli import main
from shared.records.metadata import RenderRequest
from shared.settings import Tables

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "ARCHITECTURE.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def commands(page: Path) -> Iterator[list[str]]:
    """The commands in a page's blocks of shell, as words."""
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and "=" in words[0]:
                words.pop(0)
            if words and Path(words[0]).name == "reelmill":
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_understood(page: Path) -> None:
    """With its options and the kinds of its arguments; what it does is tested elsewhere."""
    for words in commands(page):
        if words[0] in ("--version", "--help"):
            continue
        command = main.commands.get(words[0])
        assert command is not None, f"there is no command {words[0]}"
        try:
            command.make_context(words[0], list(words[1:]))
        except click.exceptions.Exit:
            pass
        except click.ClickException as error:
            pytest.fail(f"reelmill {' '.join(words)}: {error.format_message()}")


def test_every_page_is_in_the_index() -> None:
    """What nobody is led to is read by nobody."""
    index = REPOSITORY / "docs/README.md"
    listed = set(re.findall(r"\]\(([^)\s/]+\.md)\)", index.read_text("utf-8")))
    assert listed == {page.name for page in index.parent.glob("*.md")} - {index.name}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading of it where one is named."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if heading and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "ARCHITECTURE.md"], ids=named)
def test_every_key_exists(page: Path) -> None:
    """What stands in code and looks like a key of the configuration is one."""
    keys = {
        f"{table}.{key}"
        for table, field in Tables.model_fields.items()
        for key in getattr(field.annotation, "model_fields", {})
    }
    tables = "|".join(Tables.model_fields)
    keys |= {f"render.{key}" for key in RenderRequest.model_fields}  # of a task's metadata
    found = re.findall(rf"`((?:{tables})\.[a-z_]+)`", page.read_text("utf-8"))
    files = ("py", "md", "toml", "json", "log")
    assert [key for key in found if key not in keys and key.partition(".")[2] not in files] == []
