"""What lies in ``trash/``, and which of it a person means."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from console.newest import newest
from console.options import places
from shared.domain.errors import ReelmillError
from shared.domain.layout import REASON, REASON_SUFFIX, Layout, reason_of
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Store

_LEAST_PREFIX = 4  # characters of a task id; fewer are more likely a slip


class Unclear(ReelmillError):
    """A word that names nothing in the trash, or several things."""


@dataclass(frozen=True)
class RejectedDrop:
    """A drop in ``trash/invalid/``; `reason` is None where `trouble` says why it cannot be read.

    `is_there` is false where only the explanation is left.
    """

    path: Path
    reason: Reason | None
    trouble: str = ""
    is_there: bool = True

    @property
    def original(self) -> str:
        """Where it was dropped, relative to the root, or nothing where that is not known."""
        return (self.reason.original_path or "") if self.reason else ""


@dataclass(frozen=True)
class FailedTask:
    """A task in ``trash/failed/``, with the names people know it by."""

    path: Path
    label: str
    names: frozenset[str]
    code: str | None

    @property
    def task_id(self) -> str:
        return self.path.name


Item = RejectedDrop | FailedTask


def rejected_names(layout: Layout) -> tuple[list[str], list[str]]:
    """Names of the rejected drops that have an explanation, and of those of which only that is left."""
    try:
        names = {name for name in os.listdir(layout.invalid) if not name.startswith(".")}  # noqa: PTH208
    except FileNotFoundError:
        return [], []
    explained = sorted(name.removesuffix(REASON_SUFFIX) for name in names if name.endswith(REASON_SUFFIX))
    there = [name for name in explained if name in names]
    drops = set(there)
    # The explanation of a drop that is itself called x.reason.json is not one of a drop x that is gone.
    return there, [name for name in explained if name not in names and f"{name}{REASON_SUFFIX}" not in drops]


def drop_id(name: str) -> str:
    """A word for a name in ``trash/invalid/`` that is safe in an address, whatever the name holds: 32 hex digits."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def drop_of_id(layout: Layout, wanted: str) -> RejectedDrop | None:
    """The rejected drop of an id; only names that are there are ever compared."""
    there, gone = rejected_names(layout)
    found = next((name for name in (*there, *gone) if drop_id(name) == wanted), None)
    return rejected_drop(layout, found, is_there=found in there) if found is not None else None


def rejected_drop(layout: Layout, name: str, *, is_there: bool = True) -> RejectedDrop:
    """One drop in ``trash/invalid/``, with what its explanation says."""
    path = layout.invalid / name
    try:
        return RejectedDrop(path, Reason.read(reason_of(path)), is_there=is_there)
    except FileNotFoundError:
        return RejectedDrop(path, None, "it has no explanation beside it", is_there)
    except (RecordError, OSError) as error:
        return RejectedDrop(path, None, f"its explanation cannot be read ({error})", is_there)


def newest_rejected(layout: Layout, names: Iterable[str], most: int) -> Iterator[RejectedDrop]:
    """Of the named rejected drops those that were refused last, newest first; each costs reading its explanation."""
    for name in newest(names, most, lambda name: reason_of(layout.invalid / name)):
        yield rejected_drop(layout, name)


def rejected_drops(layout: Layout) -> list[RejectedDrop]:
    """Everything in ``trash/invalid/`` that was put there with an explanation."""
    there, gone = rejected_names(layout)
    return [
        *(rejected_drop(layout, name) for name in there),
        *(rejected_drop(layout, name, is_there=False) for name in gone),
    ]


def failed_tasks(layout: Layout, store: Store) -> list[FailedTask]:
    """Every task in ``trash/failed/``."""
    return [_failed_task(layout, store, task_id) for task_id in sorted(store.ids(TaskState.FAILED))]


def _failed_task(layout: Layout, store: Store, task_id: str) -> FailedTask:
    folder = layout.task(TaskState.FAILED, task_id)
    code: str | None = None
    label, names = task_id, frozenset[str]()
    try:
        metadata = store.metadata(TaskState.FAILED, task_id)
        label = metadata.label
        names = frozenset((label, f"{metadata.category}/{metadata.story_name}/{metadata.chapter}"))
        code = Reason.read(folder / REASON).code
    except (RecordError, FileNotFoundError):  # what is damaged can still be named by its id
        pass
    return FailedTask(folder, label, names, code)


def find(layout: Layout, items: Sequence[Item], word: str) -> Item:
    """The one thing in the trash that a person means: the surest way to understand the word decides.

    Raises:
        Unclear: nothing is called so, or several things are.
    """
    unexplained = _unexplained(layout, items, word)
    for way in _WAYS:
        found = [item for item in (*items, *unexplained) if way(layout, item, word)]
        present = [item for item in found if not isinstance(item, RejectedDrop) or item.is_there]
        if len(present or found) == 1:
            return (present or found)[0]
        if found:
            listed = ", ".join(readable(str(layout.relative(item.path))) for item in present or found)
            raise Unclear(f"{readable(word)} could be any of {listed}; name one of these")
    raise Unclear(
        f"nothing in trash/invalid/ or trash/failed/ is called {readable(word)}; give a file's name there, the path "
        "under raw/ where it was dropped, a task's id or its beginning, or category/story/chapter"
    )


def _unexplained(layout: Layout, items: Sequence[Item], word: str) -> list[RejectedDrop]:
    """A file in ``trash/invalid/`` that is named although nothing says where it came from."""
    known = {item.path for item in items}
    paths = {layout.invalid / name for name in _names_in(layout, layout.invalid, word)} - known
    return [
        rejected_drop(layout, path.name)
        for path in paths
        if os.path.lexists(path) and not path.name.endswith(REASON_SUFFIX)
    ]


def _is_named(layout: Layout, item: Item, word: str) -> bool:
    """By its name or path in the trash; a drop also by that of its explanation."""
    names = _names_in(layout, item.path.parent, word)
    own = {item.path.name, reason_of(item.path).name} if isinstance(item, RejectedDrop) else {item.path.name}
    return bool(names & own)


def _names_in(layout: Layout, folder: Path, word: str) -> set[str]:
    """The names a word may mean in a folder: a bare name, or a path that leads into it."""
    bare = {word} if word == PurePosixPath(word).name else set()
    return bare | {path.name for path in places(layout, word) if path.parent.resolve() == folder.resolve()}


def _was_dropped_as(layout: Layout, item: Item, word: str) -> bool:
    if not isinstance(item, RejectedDrop) or not item.original:
        return False
    return item.original in (word, f"raw/{word}") or layout.root / item.original in places(layout, word)


def _was_dropped_under_the_name(_layout: Layout, item: Item, word: str) -> bool:
    return isinstance(item, RejectedDrop) and bool(item.original) and PurePosixPath(item.original).name == word


def _has_label(_layout: Layout, item: Item, word: str) -> bool:
    return isinstance(item, FailedTask) and word in item.names


def _has_id_beginning(_layout: Layout, item: Item, word: str) -> bool:
    return isinstance(item, FailedTask) and len(word) >= _LEAST_PREFIX and item.task_id.startswith(word)


_WAYS: tuple[Callable[[Layout, Item, str], bool], ...] = (
    _is_named,
    _was_dropped_as,
    _was_dropped_under_the_name,
    _has_label,
    _has_id_beginning,
)
