"""The options every command takes, and how errors become exit statuses."""

from __future__ import annotations

import functools
import json
import os
import pwd
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from pydantic import BaseModel

from console.saying import complain, say
from shared.config import ConfigError, load_config
from shared.domain.errors import MachineTrouble, ReelmillError, RootError
from shared.domain.layout import Layout
from shared.files import as_machine_trouble
from shared.process import EXIT_FAILED, EXIT_USAGE, config_path, open_root
from shared.sharing import set_umask

P = ParamSpec("P")
R = TypeVar("R")
Command = Callable[P, R]

root_option = click.option(
    "--root",
    "given_root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="REELMILL_ROOT",
    help="The project root. Default: $REELMILL_ROOT, else the current folder if it is one.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="REELMILL_CONFIG",
    help="The configuration file. Default: $REELMILL_CONFIG, else config.toml in the root.",
)
remote_option = click.option(
    "--remote", metavar="ADDRESS", help="Work on a root behind SFTP: sftp://USER@HOST[:PORT]/FOLDER."
)
home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --remote: where this node keeps what it fetched. Default: in ~/.cache/reelmill.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def plain_errors(command: Command[P, R]) -> Command[P, R]:
    """Errors raised on purpose, and the machine's, are shown as one message, without a trace.

    The exit status is 1 where the machine is at fault, so that whoever started the command may try again, else 2.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # whoever read has had enough: click ends quietly
            raise
        except (OSError, ReelmillError) as error:
            complain(in_words(error))
            sys.exit(EXIT_FAILED if isinstance(error, OSError | MachineTrouble) else EXIT_USAGE)

    return guarded


def in_words(error: OSError | ReelmillError) -> str:
    """What went wrong with a root, as people are told."""
    return str(as_machine_trouble(error, "the root cannot be read") if isinstance(error, OSError) else error)


def chosen_root(given: Path | None) -> Layout:
    """The root a command works on.

    Raises:
        RootError: none was named and the current folder is not one.
    """
    if given is not None:
        return open_root(given)
    here = Path.cwd()
    if (here / "raw").is_dir() and (here / "scanned").is_dir():
        return open_root(here)
    raise RootError("which project root? Name it with --root, set REELMILL_ROOT, or run this inside one")


def home_of(remote: str, given: Path | None) -> Path:
    """Where a node of a far root keeps what it fetched; it is made."""
    home = given or Path("~/.cache/reelmill").expanduser() / re.sub(r"[^A-Za-z0-9._-]+", "_", remote)
    (home / "raw").mkdir(parents=True, exist_ok=True)  # a home looks like a root: it is a double of one
    return home


def root_to_change(given: Path | None, config: Path | None) -> Layout:
    """The root a command writes to, with the rights that its configuration wants for new files.

    Raises:
        RootError: as :func:`chosen_root`.
        ConfigError: the configuration has problems.
    """
    layout = chosen_root(given)
    set_umask(load_config(config_path(layout, str(config) if config else None)).files)
    return layout


def configured_min_free_bytes(layout: Layout, config: Path | None) -> int | None:
    """What who only looks needs of the configuration, whose problems must not keep anybody from looking."""
    with suppress(ConfigError, OSError):
        return load_config(config_path(layout, str(config) if config else None)).worker.min_free_bytes
    return None


def user_name() -> str:
    """Who runs this command, for the records."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def places(layout: Layout, word: str) -> list[Path]:
    """The paths a word may mean: as it stands, in the current folder, or in the root; none need exist."""
    if not word or "\0" in word:
        return []
    return list(dict.fromkeys(Path(os.path.abspath(base / word)) for base in (Path.cwd(), layout.root)))  # noqa: PTH100 - links stay links


def show_json(value: BaseModel | dict[str, Any] | list[dict[str, Any]], *, indent: int | None = 2) -> None:
    """Print a value as JSON; without an indent, on one line."""
    plain = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    say(*json.dumps(plain, indent=indent, ensure_ascii=True).split("\n"))
