"""What a shell may put for the beginning of a word: nodes, tasks and stories of the root that the command is about.

A shell asks while somebody types, so only names of folders are read; and where there is no root, nothing is said.
Nor is a name that would upset the terminal: it could not be put there letter by letter and still be the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click

from console.options import chosen_root
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.store import Store

Complete = Callable[[click.Context, click.Parameter, str], list[str]]

_MOST = 200  # a longer list helps nobody: the next letter makes it shorter


def nodes(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Nodes that have worked on the root."""
    return _of_root(context, begun, lambda layout: iter(node_names(layout)))


def tasks(*states: TaskState) -> Complete:
    """Ids of tasks in these states, and stories as ``category/story``: first the categories, then their stories."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        return _of_root(context, begun, lambda layout: _tasks(layout, states, begun))

    return complete


def node_names(layout: Layout) -> list[str]:
    """Every node that has worked on a root."""
    return sorted({path.stem for suffix in ("json", "lock") for path in layout.nodes.glob(f"[!.]*.{suffix}")})


def _of_root(context: click.Context, begun: str, names: Callable[[Layout], Iterator[str]]) -> list[str]:
    given = context.params.get("given_root")
    with suppress(OSError, ReelmillError):
        layout = chosen_root(Path(given) if given else None)
        return sorted({name for name in names(layout) if name.startswith(begun) and name.isprintable()})[:_MOST]
    return []


def _tasks(layout: Layout, states: tuple[TaskState, ...], begun: str) -> Iterator[str]:
    stories = layout.scanned / "story"
    category, has_story, _ = begun.partition("/")
    if has_story:
        yield from (f"{category}/{story}" for story in _folders(stories / category))
        return
    yield from (f"{name}/" for name in _folders(stories))
    store = Store(layout)
    for state in states:
        yield from store.ids(state)


def _folders(folder: Path) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from (path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
