"""``reelmill retire``: takes library files and stories out of future videos, and back in. Files stay as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import click
from pydantic import BaseModel, ConfigDict, Field

from console.options import (
    config_option,
    json_option,
    places,
    plain_errors,
    root_option,
    root_to_change,
    show_json,
    user_name,
)
from console.saying import say
from shared.domain.drop import Kind
from shared.domain.errors import ReelmillError
from shared.domain.layout import RETIRED, Layout, retired_of, sidecar_of
from shared.domain.names import readable, safe_folder
from shared.files import as_machine_trouble, create_exclusive, fsync_path
from shared.process import EXIT_FAILED, EXIT_FINE
from shared.records.record import RecordError, utc_now
from shared.records.retired import RetiredRecord
from shared.records.sidecar import Sidecar

_STORY_DEPTH = 2  # category and story
_USED = frozenset({Kind.VIDEO, Kind.FRAME, Kind.MUSIC, Kind.CARD, Kind.VOICE, Kind.TEXT})  # what videos are made from


class Unknown(ReelmillError):
    """A word that names no library file and no story, or several."""


class Retired(BaseModel):
    """One library file or story and whether it is out of use."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="The library file, or the folder of the story, relative to the root.")
    retired: bool
    changed: bool = Field(False, description="Whether this call changed it.")
    when: str | None = None
    by: str | None = None
    note: str = ""
    trouble: str | None = None


class Listing(BaseModel):
    """What one call of the command did or found."""

    model_config = ConfigDict(frozen=True)

    root: str
    items: tuple[Retired, ...]


@click.command("retire")
@click.argument("names", nargs=-1, metavar="PATH|STORY...")
@click.option("--undo", is_flag=True, help="Use them again.")
@click.option("--list", "show_all", is_flag=True, help="Show everything that is out of use.")
@click.option("--note", default="", help="A remark that is kept with it.")
@root_option
@config_option
@json_option
@plain_errors
def retire(
    names: tuple[str, ...],
    note: str,
    given_root: Path | None,
    config: Path | None,
    *,
    undo: bool,
    show_all: bool,
    as_json: bool,
) -> None:
    """Take a clip, a track, a voice or a whole story out of future videos, or back in with --undo.

    PATH is a library file, or the name or path under raw/ it was dropped as; STORY is category/story. Videos and tasks
    that exist already stay as they are.
    """
    if bool(names) == show_all:
        raise click.UsageError("name what to take out of use, or say --list")
    layout = root_to_change(given_root, config)
    if show_all:
        items = tuple(all_retired(layout))
    else:
        marks = [mark_of(layout, name, undo=undo) for name in names]
        items = tuple(_change(layout, mark, note, undo=undo) for mark in dict.fromkeys(marks))
    listing = Listing(root=str(layout.root), items=items)
    if as_json:
        show_json(listing)
    else:
        say(*map(_line, items) if items else ("Everything in the library is in use.",))
    sys.exit(EXIT_FAILED if any(item.trouble for item in items) else EXIT_FINE)


# -- what is meant -------------------------------------------------------------------------------


def mark_of(layout: Layout, word: str, *, undo: bool = False) -> Path:
    """The mark of the library file or story that a person means.

    Raises:
        Unknown: it names nothing in the library, or several things.
        RecordError: the record of the file is damaged.
    """
    inside = [path for place in places(layout, word) if (path := _in_library(layout, place)) is not None]
    for path in inside:
        if (mark := _mark_at(layout, path, undo=undo)) is not None:
            return mark
    category, _, story = word.strip("/").partition("/")
    if story and "/" not in story:
        folder = layout.story(safe_folder(category), safe_folder(story))
        if folder.is_dir():
            return layout.story_retired(folder.parent.name, folder.name)
    if inside and inside[0].exists():
        raise Unknown(f"{readable(word)} is no file of the library that videos are made from, and no story")
    return retired_of(_dropped_as(layout, word))


def _in_library(layout: Layout, place: Path) -> Path | None:
    """A place within ``scanned/``, spelled from the root, or None; a task's link means what it leads to."""
    library = layout.scanned.resolve()
    with suppress(OSError):
        found = place.resolve()
        if found.is_relative_to(library):
            return layout.scanned / found.relative_to(library)
    return None


def _mark_at(layout: Layout, path: Path, *, undo: bool) -> Path | None:
    """The mark of a path in the library, or None where it is no library file and no story."""
    parts = path.relative_to(layout.scanned).parts
    if path.is_dir():
        is_story = parts[:1] == ("story",) and len(parts) == _STORY_DEPTH + 1
        return layout.story_retired(*parts[1:]) if is_story else None
    if undo and retired_of(path).exists():
        return retired_of(path)  # even where its file has gone
    if not path.is_file() or not sidecar_of(path).is_file():
        return None
    if Sidecar.read(sidecar_of(path)).kind not in _USED:
        return None
    return retired_of(path)


def _dropped_as(layout: Layout, word: str) -> Path:
    """The library file that was dropped under a path or a name, or that has the name."""
    by_path, by_name = set(), set()
    dropped = {*places(layout, word), layout.raw / word} if "\0" not in word else set()
    for record in layout.scanned.rglob("*.json"):
        path = record.with_name(record.name.removesuffix(".json"))
        try:
            sidecar = Sidecar.read(record)
        except (RecordError, FileNotFoundError):  # the main worker says so; it cannot be the one that is meant
            continue
        if sidecar.kind not in _USED or not path.exists():
            continue
        if layout.root / sidecar.origin.path in dropped:
            by_path.add(path)
        elif word in (path.name, PurePosixPath(sidecar.origin.path).name):
            by_name.add(path)
    found = sorted(by_path or by_name)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(layout.relative(path)) for path in found)
        raise Unknown(f"{readable(word)} could be any of {listed}; name one of these")
    raise Unknown(
        f"there is no clip, track, voice or story {readable(word)} in the library; give a path in scanned/, the path "
        "or name it was dropped as, or category/story"
    )


# -- doing it ------------------------------------------------------------------------------------


def _change(layout: Layout, mark: Path, note: str, *, undo: bool) -> Retired:
    shown = _owner(layout, mark)
    try:
        if undo:
            return Retired(path=shown, retired=False, changed=_unmark(mark))
        record = RetiredRecord(when=utc_now(), by=user_name(), note=note)
        try:
            create_exclusive(mark, record.to_bytes())
        except FileExistsError:
            return _read(layout, mark)
        return Retired(path=shown, retired=True, changed=True, when=record.when, by=record.by, note=note)
    except OSError as error:
        trouble = str(as_machine_trouble(error, "it cannot be changed"))
        return Retired(path=shown, retired=mark.exists(), trouble=trouble)


def _unmark(mark: Path) -> bool:
    try:
        mark.unlink()
    except FileNotFoundError:
        return False
    fsync_path(mark.parent)
    return True


def all_retired(layout: Layout) -> Iterator[Retired]:
    """Everything in the library that is out of use, by name."""
    for mark in sorted(layout.scanned.rglob(f"*{RETIRED}")):
        yield _read(layout, mark)


def _read(layout: Layout, mark: Path) -> Retired:
    """What a mark says; that it is there is what counts, so a damaged one is no trouble."""
    shown = _owner(layout, mark)
    try:
        record = RetiredRecord.read(mark)
    except (RecordError, OSError):
        return Retired(path=shown, retired=True)
    return Retired(path=shown, retired=True, when=record.when, by=record.by, note=record.note)


def _owner(layout: Layout, mark: Path) -> str:
    """What a mark belongs to, relative to the root."""
    return str(layout.relative(mark.parent if mark.name == RETIRED else mark.with_name(mark.name[: -len(RETIRED)])))


def _line(item: Retired) -> str:
    if item.trouble:
        return f"{item.path}: {item.trouble}"
    if not item.retired:
        return f"{item.path} is used again" if item.changed else f"{item.path} was in use already"
    said = f" since {item.when} by {item.by or ''}" if item.when else ""
    note = f": {item.note}" if item.note else ""
    return f"{item.path} is out of use{said}{note}"
