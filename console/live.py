"""Which tasks a person means."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.errors import ReelmillError
from shared.domain.names import readable
from shared.domain.task import TaskState, is_task_id
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.store import Store

_LEAST_PREFIX = 4  # characters of a task id; fewer are more likely a slip
_STATES = (TaskState.WAITING, TaskState.PROCESSING)
_MOST_NAMED = 5


class NotOne(ReelmillError):
    """A word that names no such task, or several."""


@dataclass(frozen=True)
class LiveTask:
    """A task, the words people know it by, and where it was when it was looked for."""

    task_id: str
    label: str
    state: TaskState


def named(store: Store, words: Sequence[str], states: Sequence[TaskState] = _STATES) -> list[LiveTask]:
    """The tasks that words mean: an id or its beginning, or category/story/chapter as dropped or as filed.

    A story's name, category/story, means all its tasks.

    Raises:
        NotOne: with every word that names none, or several.
    """
    found: dict[str, LiveTask] = {}
    wrong = []
    ids = [(state, task_id) for state in states for task_id in store.ids(state)]
    for word in words:
        tasks = _by_id(store, ids, word) or _by_name(store, ids, word)
        several = len({task.label for task in tasks}) > 1 and not _is_story(store, tasks, word)
        if several:
            listed = ", ".join(f"{readable(task.label)} ({task.task_id})" for task in tasks[:_MOST_NAMED])
            wrong.append(f"{readable(word)} could be any of {listed}; name one of these")
        elif not tasks:
            places = " or ".join(f"{state.value}/" for state in states)
            wrong.append(
                f"no task in {places} is called {readable(word)}; give its id or the beginning of that, "
                "category/story/chapter, or category/story for all of a story"
            )
        found |= {task.task_id: task for task in tasks}
    if wrong:
        raise NotOne("\n  ".join(["nothing was changed:", *wrong]) if len(wrong) > 1 else wrong[0])
    return list(found.values())


def _by_id(store: Store, ids: Sequence[tuple[TaskState, str]], word: str) -> list[LiveTask]:
    if len(word) < _LEAST_PREFIX:
        return []
    same = [(state, task_id) for state, task_id in ids if task_id == word] if is_task_id(word) else []
    near = same or [(state, task_id) for state, task_id in ids if task_id.startswith(word)]
    return [LiveTask(task_id, _label(store, state, task_id), state) for state, task_id in near]


def _by_name(store: Store, ids: Sequence[tuple[TaskState, str]], word: str) -> list[LiveTask]:
    found = []
    for state, task_id in ids:
        metadata = _metadata(store, state, task_id)
        if metadata and word in (metadata.label, *names_of(metadata), *stories_of(metadata)):
            found.append(LiveTask(task_id, metadata.label, state))
    return found


def names_of(metadata: Metadata) -> frozenset[str]:
    """Category, story and chapter, as dropped and as filed."""
    filed = (metadata.category, metadata.story_name, metadata.chapter)
    return frozenset("/".join(names) for names in (filed, metadata.titles or filed))


def stories_of(metadata: Metadata) -> frozenset[str]:
    """Category and story, as dropped and as filed."""
    return frozenset(name.rpartition("/")[0] for name in names_of(metadata))


def _is_story(store: Store, tasks: Sequence[LiveTask], word: str) -> bool:
    found = (_metadata(store, task.state, task.task_id) for task in tasks)
    return all(metadata and word in stories_of(metadata) for metadata in found)


def _label(store: Store, state: TaskState, task_id: str) -> str:
    metadata = _metadata(store, state, task_id)
    return metadata.label if metadata else task_id


def _metadata(store: Store, state: TaskState, task_id: str) -> Metadata | None:
    with suppress(FileNotFoundError, RecordError):
        return store.metadata(state, task_id)
    return None
