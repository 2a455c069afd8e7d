"""Everything the console puts on a terminal, line by line: names, records and logs come from outside, and none of them
may colour, move or forge what people read.
"""

from __future__ import annotations

import click
from rich.text import Text

from shared.domain.names import readable


def plain(*lines: str) -> str:
    """Lines with everything that could upset a terminal made visible; what stands in one cannot begin another."""
    return "\n".join(map(readable, lines))


def say(*lines: str) -> None:
    """Print lines."""
    click.echo(plain(*lines))


def complain(words: str) -> None:
    """Print what is wrong, which may take several lines, on standard error."""
    click.echo(plain(*f"reelmill: {words}".split("\n")), err=True)


def shown(*lines: str, style: str = "", cut: bool = False) -> Text:
    """Lines for a screen of rich, which would take plain words for markup; `cut` is for those that must not wrap."""
    return Text(plain(*lines), style=style, no_wrap=cut or None, overflow="ellipsis" if cut else None)


class PlainUsage(click.Group):
    """A group of commands that are told of wrong usage: click quotes some words as they were typed, or as a shell's
    ``*`` put them there.
    """

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:  # which is no complaint, and ours to the last word
            raise
        except click.UsageError as error:
            raise click.UsageError(plain(*error.format_message().split("\n")), error.ctx) from error
