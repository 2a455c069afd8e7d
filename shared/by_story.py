"""``output/by-story/``: links by which people find finished chapters. A view; it can be deleted at any time."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from shared.domain.layout import FORMATS, METADATA, Layout, final_name
from shared.domain.task import TaskState
from shared.records.metadata import Metadata
from shared.records.record import RecordError


def show(layout: Layout, metadata: Metadata) -> Path:
    """Link a finished task under its story's name, unless a newer version of the chapter stands there."""
    view = functools.partial(layout.story_view, *_titles(metadata), metadata.render.profile)
    link = view(metadata.render.output_format)
    link.parent.mkdir(parents=True, exist_ok=True)
    final = layout.task(TaskState.FINISHED, metadata.task_id) / final_name(metadata.render.output_format)
    target = os.path.relpath(final, link.parent)
    there = [other for other in map(view, FORMATS) if other.is_symlink()]
    if newer := [other for other in there if _made_at(other) > metadata.created_at]:
        return newer[0]
    fresh = link.with_name(f".{secrets.token_hex(4)}.tmp")
    fresh.symlink_to(target)
    fresh.replace(link)
    for older in there:  # the same chapter in another container
        if older != link:
            older.unlink(missing_ok=True)
    return link


def link_of(layout: Layout, metadata: Metadata) -> Path:
    """Where :func:`show` links a finished task."""
    return layout.story_view(*_titles(metadata), metadata.render.profile, metadata.render.output_format)


def _titles(metadata: Metadata) -> tuple[str, str, str]:
    """Category, story and chapter, each as one path component."""
    named = (metadata.category, metadata.story_name, metadata.chapter)
    category, story, chapter = metadata.titles if len(metadata.titles) == len(named) else named
    return _one_component(category), _one_component(story), _one_component(chapter)


def hide(layout: Layout, task_ids: Collection[str]) -> None:
    """Remove the links to these tasks' videos, and the folders that hold nothing any more."""
    for folder, _, names in os.walk(layout.by_story, topdown=False):
        for link in (Path(folder, name) for name in names):
            if link.is_symlink() and link.readlink().parent.name in task_ids:
                link.unlink(missing_ok=True)
        if Path(folder) != layout.by_story:
            with suppress(OSError):  # other chapters or stories are in it
                Path(folder).rmdir()


def _made_at(link: Path) -> str:
    """When the task behind a link was made; empty where that cannot be told."""
    with suppress(OSError, RecordError):
        return Metadata.read(link.resolve(strict=True).parent / METADATA).created_at
    return ""


def _one_component(title: str) -> str:
    """A title as exactly one path component that no listing hides or mangles."""
    plain = "".join(char if char.isprintable() and char != "/" else "_" for char in title)
    return plain.lstrip(".") or "_"
