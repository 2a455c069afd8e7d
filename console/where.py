"""``reelmill where``: what became of a drop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import click
from pydantic import BaseModel, ConfigDict, Field

from console.options import chosen_root, config_option, json_option, plain_errors, root_option, show_json
from console.saying import say
from console.trash import rejected_drops
from console.why import why
from shared.domain.drop import Kind
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.records.main import MainRecord
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.store import Store

_SIDECAR = ".json"


class Whereabouts(BaseModel):
    """One drop, and what became of it."""

    model_config = ConfigDict(frozen=True)

    drop: str = Field(description="Where it was dropped, relative to the root.")
    now: str = Field(description="Where it is, relative to the root.")
    outcome: str = Field(description="pending, scanned or rejected.")
    words: tuple[str, ...] = Field(description="What became of it, in sentences.")
    task_id: str | None = Field(None, description="For voices: the task made of it.")


@click.command("where")
@click.argument("name")
@root_option
@config_option
@json_option
@plain_errors
def where(name: str, given_root: Path | None, config: Path | None, *, as_json: bool) -> None:  # noqa: ARG001 - all take --config
    """Say what became of a drop, by the name or the path with which it was dropped; * stands for anything."""
    layout = chosen_root(given_root)
    found = list(whereabouts(layout, name))
    if as_json:
        show_json([one.model_dump(mode="json") for one in found])
    else:
        say(*(line for one in found for line in _lines(one)) if found else (_nothing(name),))
    raise SystemExit(0 if found else 1)


def whereabouts(layout: Layout, name: str) -> Iterator[Whereabouts]:
    """Every drop that was given under a name or path."""
    yield from _pending(layout, name)
    yield from _rejected(layout, name)
    yield from _scanned(layout, name)


def _is_meant(drop: str, name: str) -> bool:
    """Whether a path below the root is what a person calls it."""
    path = PurePosixPath(drop)
    return name in (drop, path.name, path.stem, drop.removeprefix("raw/")) or path.match(name)


def _pending(layout: Layout, name: str) -> Iterator[Whereabouts]:
    doing: dict[str, str] = {}
    with suppress(RecordError, FileNotFoundError):
        doing = {pending.drop: pending.doing for pending in MainRecord.read(layout.main_record).pending}
    for folder, folders, files in os.walk(layout.raw):
        folders.sort()
        for file in sorted(files):
            drop = str(layout.relative(Path(folder, file)))
            if not file.startswith(".") and file != "README.md" and _is_meant(drop, name):
                words = doing.get(readable(drop), "the main worker has not taken it yet")
                yield Whereabouts(drop=drop, now=drop, outcome="pending", words=(f"It is still in raw/: {words}.",))


def _rejected(layout: Layout, name: str) -> Iterator[Whereabouts]:
    for drop in rejected_drops(layout):
        now = str(layout.relative(drop.path))
        if drop.is_there and (_is_meant(drop.original, name) or _is_meant(now, name)):
            why_not = drop.reason.reason if drop.reason else drop.trouble
            advice = [drop.reason.advice] if drop.reason else []
            retry = f"To have it tried again: reelmill retry {drop.path.name}"
            yield Whereabouts(
                drop=drop.original or now,
                now=now,
                outcome="rejected",
                words=(f"It was rejected: {why_not}", *advice, retry),
            )


def _scanned(layout: Layout, name: str) -> Iterator[Whereabouts]:
    store = Store(layout)
    for path in sorted(layout.scanned.rglob(f"*{_SIDECAR}")):
        with suppress(RecordError, FileNotFoundError):
            sidecar = Sidecar.read(path)
            file = path.with_name(path.name.removesuffix(_SIDECAR))
            now = str(layout.relative(file))
            if sidecar.address is None and (_is_meant(sidecar.origin.path, name) or _is_meant(now, name)):
                yield Whereabouts(
                    drop=sidecar.origin.path,
                    now=now,
                    outcome="scanned",
                    words=(f"It has been in the library since {sidecar.scanned_at}.", *_video(layout, store, sidecar)),
                    task_id=sidecar.task_id,
                )


def _video(layout: Layout, store: Store, sidecar: Sidecar) -> Iterator[str]:
    """What became of a voice."""
    if sidecar.kind is not Kind.VOICE:
        return
    if sidecar.task_id is None:
        yield from _waiting(layout, sidecar)
        return
    state = store.find(sidecar.task_id)
    if state is None:
        yield f"Its task {sidecar.task_id} is not here any more; a video that was archived is not made again by itself."
    else:
        yield f"Its task is {sidecar.task_id}."
        yield from why(layout, sidecar.task_id, state)


def _waiting(layout: Layout, sidecar: Sidecar) -> Iterator[str]:
    with suppress(RecordError, FileNotFoundError):
        for voice in MainRecord.read(layout.main_record).waiting:
            if (voice.category, voice.story) == (sidecar.category, sidecar.story):
                yield f"No task has been made of it yet: {voice.reason}"
                return
    yield "No task has been made of it yet."


def _lines(one: Whereabouts) -> Iterator[str]:
    yield one.drop + (f" → {one.now}" if one.now != one.drop else "")
    yield from (f"  {words}" for words in one.words)


def _nothing(name: str) -> str:
    return (
        f"Nothing that was dropped is called {name}: give the file's name, or its path below raw/; "
        "* stands for anything"
    )
