"""The manual page, and what completes words in shells, from the commands themselves; written by ``reference.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

NAME = "reelmill"
_VARIABLE = "_REELMILL_COMPLETE"  # as click derives it from the name
_SHELLS: dict[str, type[ShellComplete]] = {
    "share/bash-completion/completions/reelmill": BashComplete,
    "share/zsh/site-functions/_reelmill": ZshComplete,
    "share/fish/vendor_completions.d/reelmill.fish": FishComplete,
}
_STATUSES = (
    ("0", "fine"),
    ("1", "something failed, or the root cannot be reached"),
    ("2", "wrong usage or configuration, or there is no root"),
)


def shared_files(main: click.Group) -> Iterator[tuple[Path, str]]:
    """Every file that an installation puts below its prefix, with its content."""
    yield Path("share/man/man1/reelmill.1"), page(main)
    for path, shell in _SHELLS.items():
        # Not source(): for bash that asks the bash of this machine for its version.
        completion = shell(main, {}, NAME, _VARIABLE)
        yield Path(path), completion.source_template % completion.source_vars()


def page(main: click.Group) -> str:
    """The manual page in the man macros (groff_man(7))."""
    return "\n".join(_lines(main)) + "\n"


def _lines(main: click.Group) -> Iterator[str]:
    context = click.Context(main, info_name=NAME)
    words = _text(main.help)
    yield '.TH REELMILL 1 "" Reelmill "User commands"'
    yield ".SH NAME"
    yield rf"{NAME} \- a render farm that watches a folder"
    yield ".SH SYNOPSIS"
    yield rf".B {NAME}"
    yield "COMMAND [OPTIONS] [ARGUMENTS]"
    yield ".SH DESCRIPTION"
    yield words
    yield ".SH COMMANDS"
    for name in main.list_commands(context):
        if command := main.get_command(context, name):
            yield from _command(command, click.Context(command, context, info_name=name))
    yield '.SH "EXIT STATUS"'
    for status, meaning in _STATUSES:
        yield from (".TP", rf".B {status}", _escaped(meaning))
    yield ".SH ENVIRONMENT"
    yield from (".TP", r".B REELMILL_SECTION__KEY", "Overrides a key of the configuration.")


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    pieces = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield f'.SS "{_escaped(f"{context.command_path} {pieces}".strip())}"'
    yield _text(command.help)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and parameter.name != "help":  # an argument is told of above
            yield from (".TP", rf"\fB{_escaped(record[0])}\fR", _text(record[1]))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                yield from _command(below, click.Context(below, context, info_name=name))


def _text(help_text: str | None) -> str:
    """Paragraphs of a help text, each on one line."""
    paragraphs = (" ".join(part.split()) for part in (help_text or "").replace("\b", "").split("\n\n"))
    return "\n.PP\n".join(_escaped(part) for part in paragraphs if part)


def _escaped(words: str) -> str:
    """Words that mean nothing to roff."""
    words = words.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return rf"\&{words}" if words[:1] in (".", "'") else words
