"""Roots with a large library and a long queue, made quickly: the records are real, the media are placeholders."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from shared.domain.drop import Kind
from shared.domain.layout import METADATA, VIDEO_LIST, Layout, sidecar_of
from shared.domain.media import AudioFacts, LoudnessFacts, VideoFacts
from shared.domain.task import task_id_for
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.sidecar import Origin, Sidecar
from shared.store import Store

_CATEGORIES, _CHAPTERS, _MUSIC_EVERY = 8, 50, 20
_WHEN = "2026-11-20T18:03:44.000Z"
_PLACEHOLDER = b"-"
_RENDER = RenderRequest(resolution="1920x1080", frame_rate=30)


def fill_library(layout: Layout, count: int) -> None:
    """Fill an empty root's library: half clips, half voices that have their tasks, and some music."""
    folders: set[Path] = set()
    for number in range(count):
        path, sidecar = _entry(layout, number)
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        path.write_bytes(_PLACEHOLDER)
        sidecar_of(path).write_bytes(sidecar.to_bytes())


def fill_queue(layout: Layout, count: int) -> None:
    """Let so many tasks wait, each added as the main worker adds them."""
    store = Store(layout)
    for number, (staged, task_id) in enumerate(_staged(layout, count)):
        if not store.add(staged, task_id):
            raise AssertionError(f"task {number} is there twice")


def _entry(layout: Layout, number: int) -> tuple[Path, Sidecar]:
    category = f"category-{number // _MUSIC_EVERY % _CATEGORIES}"
    if number % _MUSIC_EVERY == 0:
        path = layout.music(category, 182.4, f"track-{number}")
        loudness = LoudnessFacts(-16.0, 5.0, -1.6)
        return path, _sidecar(Kind.MUSIC, category, number, path, audio=_sound(182.4), loudness=loudness)
    if number % 2:
        path = layout.clip(Kind.VIDEO, category, (1920, 1080), 12.4, f"clip-{number}")
        picture = VideoFacts(1920, 1080, 1920, 1080, 0, 1.0, 30.0, 12.4, 372, "AVC")
        return path, _sidecar(Kind.VIDEO, category, number, path, video=picture)
    story, chapter = f"story-{number // 2 // _CHAPTERS}", f"chapter_{number // 2 % _CHAPTERS:04d}"
    path = layout.voice(category, story, chapter)
    task_id = task_id_for(category, story, chapter, _hash(number))
    sidecar = _sidecar(Kind.VOICE, category, number, path, audio=_sound(600.0))
    return path, sidecar.changed(story=story, chapter=chapter, task_id=task_id, titles=(category, story))


def _sidecar(kind: Kind, category: str, number: int, path: Path, **facts: object) -> Sidecar:
    origin = Origin(
        path=f"raw/{kind.value}/{category}/{path.name}",
        sha256=_hash(number),
        size=5_000_000 + number,
        device=1,
        inode=number,
        mtime_ns=1_700_000_000_000_000_000 + number,
        evidence="unchanged for 5.1 s, and no program has it open for writing",
    )
    values = {"kind": kind, "category": category, "titles": (category,), "origin": origin, "scanned_at": _WHEN}
    return Sidecar.model_validate({**values, "sha256": _hash(number), "size": 5_000_000 + number, **facts})


def _sound(seconds: float) -> AudioFacts:
    return AudioFacts(seconds, 2, 48_000, "MPEG Audio", 1.5)


def _hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _staged(layout: Layout, count: int) -> Iterator[tuple[Path, str]]:
    for number in range(count):
        task_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"queued {number}"))
        staged = layout.staging / task_id
        staged.mkdir()
        clip, _ = _entry(layout, 1)
        read = Input(path=str(layout.relative(clip)), sha256=_hash(1), size=1, seconds=12.4)
        inputs = {"voice.mp3": read, "video_part1.mp4": read}
        metadata = Metadata(
            task_id=task_id,
            category="category-0",
            story_name="queued",
            voice_file="voice.mp3",
            voice_duration=600.0,
            music_file=None,
            inputs=inputs,
            video_files=("video_part1.mp4",),
            render=_RENDER,
            chapter=f"chapter_{number}",
            seed=number,
            created_at=_WHEN,
        )
        (staged / METADATA).write_bytes(metadata.to_bytes())
        (staged / VIDEO_LIST).write_text("ffconcat version 1.0\nfile 'video_part1.mp4'\n", "ascii")
        yield staged, task_id
