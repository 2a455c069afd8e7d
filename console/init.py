"""``reelmill init``: lays out a project root with a README in each folder and a config.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from console.options import plain_errors
from console.readmes import README_TEXTS
from console.saying import complain, say
from shared.config import ENVIRONMENT_PREFIX, load_config
from shared.config_text import default_text
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.sharing import set_umask, share


@click.command("init")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--group", default="", help="Let this group share the root (files.group in its new config.toml).")
@plain_errors
def init(root: Path, group: str) -> None:
    """Lay out a project root at ROOT. Files that are there already are left as they are."""
    before = Layout(root.absolute())
    own = before.config if before.raw.is_dir() and before.config.exists() else None
    if group and own:
        keys = f'files.group = "{group}" and files.umask = "002"'
        raise RootError(f"{own} is there already; set {keys} in it, then repeat without --group")
    changes = {"files": {"group": group, "umask": "002"}} if group else {}
    given = {f"{ENVIRONMENT_PREFIX}FILES__{key.upper()}": value for key, value in changes.get("files", {}).items()}
    files = load_config(own, {**os.environ, **given}).files
    set_umask(files)
    layout = lay_out(root, changes)
    for problem in share(layout, files):
        complain(problem)
    say(f"{layout.root} is ready. Drop media into {layout.raw}/ and run: reelmill run --root {root}")


def lay_out(root: Path, changes: dict[str, dict[str, Any]] | None = None) -> Layout:
    """Make a root, or complete one.

    Args:
        changes: values of its config.toml that differ from the defaults (table → key → value).

    Raises:
        RootError: the place is a file, cannot be written, or is a folder with other (visible) things in it.
    """
    layout = Layout(root.absolute())
    if root.exists() and not root.is_dir():
        raise RootError(f"{root} is a file; name a folder")
    hidden_only = root.is_dir() and all(entry.name.startswith(".") for entry in root.iterdir())
    if root.is_dir() and not hidden_only and not layout.raw.is_dir():
        raise RootError(f"{root} is not empty and is no project root; name a new or an empty folder")
    try:
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        for relative, text in README_TEXTS.items():
            _write_once(layout.root / relative / "README.md", text)
        _write_once(layout.config, default_text(changes))
    except OSError as error:
        raise RootError(f"{error.filename} cannot be made: {error.strerror}") from error
    return layout


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, "utf-8")
