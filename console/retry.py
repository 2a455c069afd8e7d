"""``reelmill retry``: puts rejected drops back into ``raw/`` and failed tasks back into the queue."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import click
from pydantic import BaseModel, ConfigDict, Field

from console import completing
from console.options import config_option, json_option, plain_errors, root_option, root_to_change, show_json, user_name
from console.saying import say
from console.trash import FailedTask, Item, RejectedDrop, Unclear, failed_tasks, find, rejected_drops
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout, reason_of
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.files import as_machine_trouble, copy_new, fsync_path, is_private, make_folder, rename_new
from shared.lifesign import is_free
from shared.process import EXIT_FAILED, EXIT_FINE
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Store


class Retried(BaseModel):
    """What became of one thing that was to be tried again."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="drop or task.")
    name: str = Field(description="Where it was dropped, or the task in words.")
    was: str = Field(description="Where it lay in the trash, relative to the root.")
    now: str | None = Field(None, description="Where it is, relative to the root.")
    outcome: str = Field(description="retried, gone, finished or refused.")
    why: str | None = Field(None, description="Why it was not put back.")


class Retries(BaseModel):
    """What one call of the command did."""

    model_config = ConfigDict(frozen=True)

    root: str
    main_running: bool
    items: tuple[Retried, ...]


class Refused(ReelmillError):
    """A thing that cannot be put back."""


@click.command("retry")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=completing.tasks(TaskState.FAILED))
@click.option("--all", "everything", is_flag=True, help="Everything in trash/invalid/ and trash/failed/.")
@click.option("--code", help="With --all: only what was refused or failed with this code.")
@root_option
@config_option
@json_option
@plain_errors
def retry(
    names: tuple[str, ...],
    code: str | None,
    given_root: Path | None,
    config: Path | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Try rejected drops and failed tasks again.

    NAME is a file in trash/invalid/, the path under raw/ where it was dropped, a task's id or its beginning, or
    category/story/chapter.
    """
    if bool(names) == everything:
        raise click.UsageError("name what to try again, or say --all")
    if code and not everything:
        raise click.UsageError("--code goes with --all")
    layout = root_to_change(given_root, config)
    done = put_back(layout, chosen(layout, names, code), user_name())
    if as_json:
        show_json(done)
    else:
        say(*_lines(done))
    sys.exit(EXIT_FAILED if any(item.outcome == "refused" for item in done.items) else EXIT_FINE)


def chosen(layout: Layout, names: Sequence[str], code: str | None = None) -> list[Item]:
    """What the words mean, or with no words everything (with a code); each thing once.

    Raises:
        Unclear: with every word that names nothing, or several things.
    """
    items: list[Item] = [*rejected_drops(layout), *failed_tasks(layout, Store(layout))]
    if not names:
        return [item for item in items if code in (None, _code(item))]
    found: dict[Path, Item] = {}
    unclear = []
    for name in names:
        try:
            item = find(layout, items, name)
            found[item.path] = item
        except Unclear as error:
            unclear.append(str(error))
    if unclear:
        raise Unclear("\n  ".join(["nothing was changed:", *unclear]) if len(unclear) > 1 else unclear[0])
    return list(found.values())


def _code(item: Item) -> str | None:
    if isinstance(item, FailedTask):
        return item.code
    return item.reason.code if item.reason else None


def put_back(layout: Layout, items: Sequence[Item], by: str) -> Retries:
    """Put each thing back where it is tried again; one that cannot be does not stop the others."""
    store = Store(layout)
    done = tuple(
        _retried_drop(layout, item) if isinstance(item, RejectedDrop) else _retried_task(layout, store, item, by)
        for item in items
    )
    running = layout.main_lock.exists() and not is_free(layout.main_lock)
    return Retries(root=str(layout.root), main_running=running, items=done)


# -- drops ---------------------------------------------------------------------------------------


def _retried_drop(layout: Layout, drop: RejectedDrop) -> Retried:
    was = str(layout.relative(drop.path))
    name = drop.original or was
    try:
        target = restore(layout, drop)
    except (Refused, OSError) as error:
        why = str(as_machine_trouble(error, "it cannot be moved")) if isinstance(error, OSError) else str(error)
        return Retried(kind="drop", name=name, was=was, outcome="refused", why=why)
    if target is None:
        why = "its file was not in trash/invalid/ any more; the explanation that was left there has been removed"
        return Retried(kind="drop", name=name, was=was, outcome="gone", why=why)
    return Retried(kind="drop", name=name, was=was, now=str(layout.relative(target)), outcome="retried")


def restore(layout: Layout, drop: RejectedDrop) -> Path | None:
    """Put a rejected drop back to where it was dropped, then remove its explanation; returns where it is.

    None where the drop had gone already, by a crash of an earlier retry or by hand.

    Raises:
        Refused: it is not known where it was dropped, or another file has that name now.
        OSError: the machine's trouble; the drop is whole in at least one of the two places.
    """
    if not drop.is_there:
        _forget(drop)
        return None
    target = original_place(layout, drop)
    make_folder(target.parent)
    try:
        rename_new(drop.path, target)
    except FileExistsError:
        taken = readable(str(layout.relative(target)))
        raise Refused(f"{taken} is there already; move that file away, or delete the one in trash/invalid/") from None
    except FileNotFoundError:
        raise Refused("it is not in trash/invalid/ any more") from None
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_across(drop.path, target)
    _forget(drop)
    return target


def _forget(drop: RejectedDrop) -> None:
    """Remove the explanation that was read; one written since belongs to the same drop, refused again already."""
    with suppress(FileNotFoundError, RecordError):
        if drop.reason is None or Reason.read(reason_of(drop.path)) == drop.reason:
            reason_of(drop.path).unlink()


def original_place(layout: Layout, drop: RejectedDrop) -> Path:
    """Where a drop came from, as its explanation says; never outside ``raw/``, whatever that says.

    Raises:
        Refused: it says nothing, or something else than a place in ``raw/``.
    """
    if drop.reason is None or not drop.original:
        why = drop.trouble or "its explanation does not say where it was dropped"
        raise Refused(f"{why}; put it into its folder in raw/ by hand")
    original = PurePosixPath(drop.original)
    target = layout.root / original
    is_plain = original.parts[:1] == ("raw",) and len(original.parts) > 1 and ".." not in original.parts
    if not is_plain or "\0" in drop.original or not _leads_into(layout.raw, target.parent):
        raise Refused(f"its explanation says that it was dropped at {readable(drop.original)}, which is not in raw/")
    return target


def _leads_into(raw: Path, folder: Path) -> bool:
    """Whether a folder, which need not exist yet, is in ``raw/`` with all links followed."""
    try:
        return folder.resolve().is_relative_to(raw.resolve())
    except RuntimeError:  # links in a circle
        return False


def _move_across(source: Path, target: Path) -> None:
    """Move a file to another filesystem: a copy, durable under its name, before the original goes."""
    for leftover in target.parent.iterdir():  # of a retry of this drop that was killed
        if is_private(leftover) and leftover.name.startswith(f".{target.name[:100]}."):
            leftover.unlink(missing_ok=True)
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused("it is not a plain file, and raw/ is on another filesystem")
        try:
            copy_new(stream, target)
        except FileExistsError:
            taken = target.name
            raise Refused(f"{readable(taken)} is there already; move that file away") from None
    source.unlink()
    fsync_path(source.parent)


# -- tasks ---------------------------------------------------------------------------------------


def _retried_task(layout: Layout, store: Store, task: FailedTask, by: str) -> Retried:
    was = str(layout.relative(task.path))

    def told(outcome: str, state: TaskState | None = None, why: str | None = None) -> Retried:
        now = str(layout.relative(layout.task(state, task.task_id))) if state else None
        return Retried(kind="task", name=task.label, was=was, now=now, outcome=outcome, why=why)

    try:
        if store.retry(task.task_id, by):
            return told("retried", TaskState.WAITING)
        state = store.find(task.task_id)
    except OSError as error:
        return told("refused", why=str(as_machine_trouble(error, "it cannot be moved")))
    if state is TaskState.FINISHED:
        return told("finished", state, "its video is there already; the failed task has been cleared away")
    if state in (TaskState.WAITING, TaskState.PROCESSING):
        return told("refused", state, f"a task of this id is in {state.value}/ already; this is an older copy of it")
    return told("refused", why="it is not in trash/failed/ any more")


# -- words ---------------------------------------------------------------------------------------


def _lines(done: Retries) -> list[str]:
    lines = [_line(item) for item in done.items] or ["Nothing to try again."]
    retried = [item for item in done.items if item.outcome == "retried"]
    if any(item.kind == "drop" for item in retried) and not done.main_running:
        lines.append("The main worker is not running; it takes the drops when it runs (reelmill main).")
    return lines


def _line(item: Retried) -> str:
    if item.outcome == "retried":
        return f"retried   {item.name}: {item.was} → {item.now}"
    return f"{item.outcome:<9} {item.name} ({item.was}): {item.why or ''}"
