"""``reelmill logs``: the log of all workers that write into this root, as one."""

from __future__ import annotations

import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from console import completing
from console.options import chosen_root, config_option, plain_errors, root_option
from console.saying import complain, say
from shared.domain.layout import Layout
from shared.domain.task import TaskState

_POLL_SECONDS = 0.5
_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
_HEAD = re.compile(r"(\d{4}-\d\d-\d\dT\S+) (DEBUG|INFO|WARN|ERROR) ")


@dataclass(frozen=True, order=True)
class Entry:
    """One event of a log, with the lines that belong to it."""

    when: str
    level: str = field(compare=False)
    text: str = field(compare=False)


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("-n", "--lines", "count", type=click.IntRange(0), default=50, show_default=True, help="The last so many.")
@click.option(
    "--task",
    help="Only what names this task: its id, or the beginning of that.",
    shell_complete=completing.tasks(*TaskState),
)
@click.option("--node", help="Only the log of this render worker.", shell_complete=completing.nodes)
@click.option("--level", type=click.Choice(_LEVELS), default="DEBUG", help="Only this level and above.")
@root_option
@config_option
@plain_errors
def logs(
    count: int,
    task: str | None,
    node: str | None,
    level: str,
    given_root: Path | None,
    config: Path | None,  # noqa: ARG001 - all take --config
    *,
    follow: bool,
) -> None:
    """Show the log of all workers in one, by time."""
    layout = chosen_root(given_root)

    def is_wanted(entry: Entry) -> bool:
        return (not task or task in entry.text) and _LEVELS.index(entry.level) >= _LEVELS.index(level)

    tails = [Tail(path) for path in files(layout, node)]
    last = deque(filter(is_wanted, heapq.merge(*(tail.kept() for tail in tails))), maxlen=count)
    _show(last)
    if not tails and not follow:
        complain(f"there is no log in {layout.relative(layout.logs)}/ yet")
    if follow:
        _follow(layout, node, tails, is_wanted)


def files(layout: Layout, node: str | None = None) -> list[Path]:
    """The logs that are being written, of all workers or of one node; not those that were rotated away."""
    name = layout.log_file("render_worker", node).name if node else "*.log"
    return sorted(layout.logs.glob(name))


def latest(layout: Layout, most: int) -> list[Path]:
    """The logs that were written last; links are left out."""
    with os.scandir(layout.logs) as entries:
        plain = [entry for entry in entries if entry.name.endswith(".log") and entry.is_file(follow_symlinks=False)]
    written = sorted(plain, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
    return [Path(entry.path) for entry in written[-most:]]


def _follow(layout: Layout, node: str | None, tails: list[Tail], is_wanted: Callable[[Entry], bool]) -> None:
    """Show what is written from now on, by workers that are started later as well."""
    try:
        while True:
            time.sleep(_POLL_SECONDS)
            known = {tail.path for tail in tails}
            tails += [Tail(path, at_start=True) for path in files(layout, node) if path not in known]
            _show(filter(is_wanted, sorted(entry for tail in tails for entry in tail.more())))
    except KeyboardInterrupt:
        return


def _show(entries: Iterable[Entry]) -> None:
    for entry in entries:
        say(*entry.text.split("\n"))


class Tail:
    """One log file that grows, and is rotated away now and then."""

    def __init__(self, path: Path, *, at_start: bool = False) -> None:
        self.path = path
        self._inode = 0
        self._position = 0
        self._is_known = at_start

    def kept(self) -> Iterator[Entry]:
        """What was written so far, with what was rotated away, oldest first."""
        rotated = sorted(self.path.parent.glob(f"{self.path.name}.*"), key=lambda path: path.suffix, reverse=True)
        for path in rotated:
            with path.open(encoding="utf-8", errors="replace") as stream:
                yield from _entries(stream)
        yield from self.more()

    def more(self) -> list[Entry]:
        """What was written since the last time; a file that was rotated away is begun anew."""
        try:
            with self.path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino != self._inode or found.st_size < self._position:
                    self._inode, self._position = found.st_ino, 0
                stream.seek(self._position)
                content = stream.read()
        except FileNotFoundError:
            return []
        whole = content.rpartition(b"\n")[0]
        if not whole:
            return []
        self._position += len(whole) + 1
        return list(_entries(whole.decode("utf-8", "replace").splitlines()))

    def last(self, most_bytes: int) -> list[Entry]:
        """The events in the last bytes of the file, without what was rotated away; a link is not followed.

        Raises:
            OSError: it cannot be read, or is a link.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # it is being rotated
            return []
        with os.fdopen(handle, "rb") as stream:
            start = max(0, os.fstat(handle).st_size - most_bytes)
            stream.seek(start)
            content = stream.read(most_bytes)
        whole = content.partition(b"\n")[2] if start else content
        entries = _entries(whole.decode("utf-8", "replace").splitlines())
        return [entry for entry in entries if entry.when or not start]  # what is left of one that was cut goes


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The events of a log; lines that are set in belong to the one before."""
    entry: Entry | None = None
    for line in lines:
        text = line.rstrip("\n")
        begun = _begun(text)
        if begun is None and entry is not None:
            entry = Entry(entry.when, entry.level, f"{entry.text}\n{text}")
            continue
        if entry is not None:
            yield entry
        entry = begun or Entry("", "INFO", text)
    if entry is not None:
        yield entry


def _begun(text: str) -> Entry | None:
    """The event that a line begins, if it begins one; logs are text, or JSON by configuration."""
    if found := _HEAD.match(text):
        return Entry(found[1], found[2], text)
    if not text.startswith("{"):
        return None
    try:
        values = json.loads(text)
        return Entry(str(values["timestamp"]), str(values["level"]), text) if values["level"] in _LEVELS else None
    except (ValueError, KeyError, TypeError):
        return None
