"""Makes a task of every voice that has what it needs, and says of every other what it waits for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from main_worker.examination import content_of
from main_worker.library import Entry, Library
from main_worker.picking import pick_clips, pick_music, seed_of
from shared.config import LOGO_AUTO, Config
from shared.domain.drop import Drop, Kind
from shared.domain.errors import RootError
from shared.domain.layout import METADATA, VIDEO_LIST, Layout
from shared.domain.plan import exact_rate
from shared.domain.task import TaskState, task_id_for
from shared.files import fsync_path, remove_tree
from shared.log import Logger
from shared.records.main import WaitingVoice
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.record import utc_now
from shared.store import Store

VOICE, MUSIC = "voice.mp3", "music.mp3"


@dataclass(frozen=True)
class Material:
    """What a task is made from."""

    voice: Entry
    music: Entry | None
    clips: tuple[Entry, ...]
    logo: Path | None


class Preparer:
    """Turns voices into tasks."""

    def __init__(self, config: Config, layout: Layout, library: Library, store: Store, log: Logger) -> None:
        self._config = config
        self._layout = layout
        self._library = library
        self._store = store
        self._log = log
        self._said: dict[Path, str] = {}

    def prepare(self, arriving: Collection[Drop]) -> tuple[WaitingVoice, ...]:
        """Make every task that can be made; returns the voices that have to wait, with the reason.

        `arriving` are drops on their way into the library: a voice waits for those that would be used before
        a clip is repeated or a fallback category touched, so that a folder dropped at once is used whole.
        """
        waiting = []
        for voice in self._library.without_task():
            reason = self._make(voice, arriving)
            if reason is None:
                self._said.pop(voice.path, None)
                continue
            where = str(self._layout.relative(voice.path))
            sidecar = voice.sidecar
            waiting.append(
                WaitingVoice(voice=where, category=sidecar.category, story=sidecar.story or "", reason=reason)
            )
            if self._said.get(voice.path) != reason:
                self._said[voice.path] = reason
                self._log.warning(f"{where} waits: {reason}", name="voice_waiting", voice=where)
        return tuple(waiting)

    def _make(self, voice: Entry, arriving: Collection[Drop]) -> str | None:
        """Make the task of a voice; returns why it has to wait, or None when there is a task."""
        sidecar = voice.sidecar
        task_id = task_id_for(sidecar.category, sidecar.story or "", sidecar.chapter or "", sidecar.sha256)
        if self._store.find(task_id) is None:
            material = self._gather(voice, seed_of(task_id), arriving)
            if isinstance(material, str):
                return material
            metadata = self._describe(task_id, material)
            self._store.add(self._stage(metadata), task_id)
            music = f" and {material.music.path.name}" if material.music else ", no music"
            self._log.info(
                f"Made task {task_id} for {'/'.join(metadata.titles)}: {metadata.voice_duration:.1f} s, "
                f"{len(material.clips)} clips{music}",
                name="task_made",
                task=task_id,
            )
        self._library.note_task(voice, task_id)
        return None

    def _gather(self, voice: Entry, seed: int, arriving: Collection[Drop]) -> Material | str:
        category = voice.sidecar.category
        categories = list(dict.fromkeys((category, *self._config.tasks.fallback_categories)))
        if voice.sidecar.audio is None:
            return "its record says nothing about its sound; move it back into raw/ to have it scanned again"
        clips = pick_clips(
            [self._library.of_category(Kind.VIDEO, name) for name in categories],
            lambda clip: clip.sidecar.video.seconds if clip.sidecar.video else 0.0,
            seconds=voice.sidecar.audio.seconds,
            rate=exact_rate(self._config.render.frame_rate),
            seed=seed,
        )
        music = pick_music([self._library.of_category(Kind.MUSIC, name) for name in categories], seed)
        if not clips:
            return f"there is no clip in {_or(f'raw/video/{name}/' for name in categories)} yet"
        if music is None and self._config.music.required:
            places = _or(f"raw/music/{name}/" for name in categories)
            return f"there is no music in {places} yet (or set music.required = false)"
        if better := _better_on_its_way(categories, clips, music, arriving):
            return f"{better} for it are on their way into the library"
        try:
            logo = find_logo(self._layout, self._config)
        except RootError as error:
            return str(error)
        return Material(voice, music, tuple(clips), logo)

    def _describe(self, task_id: str, material: Material) -> Metadata:
        sidecar, render = material.voice.sidecar, self._config.render
        parts = {f"video_part{i}.mp4": clip for i, clip in enumerate(material.clips, start=1)}
        inputs = {VOICE: self._input(material.voice)}
        if material.music:
            inputs[MUSIC] = self._input(material.music)
        inputs |= {name: self._input(clip) for name, clip in parts.items()}
        logo = _logo_name(material.logo)
        if material.logo and logo:
            content = content_of(material.logo)
            path = str(self._layout.relative(material.logo))
            inputs[logo] = Input(path=path, sha256=content.sha256, size=content.size)
        return Metadata(
            task_id=task_id,
            category=sidecar.category,
            story_name=sidecar.story or "",
            voice_file=VOICE,
            voice_duration=inputs[VOICE].seconds or 0.0,
            music_file=MUSIC if material.music else None,
            inputs=inputs,
            video_files=tuple(parts),
            render=RenderRequest(
                resolution=render.resolution,
                frame_rate=int(render.frame_rate) if render.frame_rate.is_integer() else render.frame_rate,
                logo=logo,
                output_format=render.output_format,
            ),
            chapter=sidecar.chapter or "",
            titles=(*sidecar.titles, PurePosixPath(sidecar.origin.path).stem),
            seed=seed_of(task_id),
            priority=self._config.tasks.priority,
            created_at=utc_now(),
        )

    def _input(self, entry: Entry) -> Input:
        sidecar = entry.sidecar
        facts = sidecar.video or sidecar.audio
        seconds = facts.seconds if facts else None
        channels = sidecar.audio.channels if sidecar.audio else None
        path = str(self._layout.relative(entry.path))
        return Input(path=path, sha256=sidecar.sha256, size=sidecar.size, seconds=seconds, channels=channels)

    def _stage(self, metadata: Metadata) -> Path:
        """The task's folder, complete, under a private name on the filesystem it will be renamed on."""
        staged = self._layout.staging / metadata.task_id
        remove_tree(staged)  # what a crash left
        staged.mkdir()
        for name, wanted in metadata.inputs.items():
            source = self._layout.root / wanted.path
            # Relative to the task's final place; tasks/ and processing/ are equally deep.
            (staged / name).symlink_to(os.path.relpath(source, self._layout.task(TaskState.WAITING, metadata.task_id)))
        listing = "ffconcat version 1.0\n" + "".join(f"file '{name}'\n" for name in metadata.video_files)
        (staged / VIDEO_LIST).write_text(listing, "ascii")
        fsync_path(staged / VIDEO_LIST)
        metadata.write(staged / METADATA)
        return staged


def _better_on_its_way(
    categories: list[str], clips: list[Entry], music: Entry | None, arriving: Collection[Drop]
) -> str | None:
    """What is arriving that the voice would rather have than what was picked for it, in words; None for nothing."""
    coming = {(drop.kind, drop.category) for drop in arriving}
    repeats = len({clip.path for clip in clips}) < len(clips)
    last = max(categories.index(clip.sidecar.category) for clip in clips)
    if any((Kind.VIDEO, name) in coming for name in (categories if repeats else categories[:last])):
        return "better clips"
    preferred = categories[: categories.index(music.sidecar.category)] if music else categories
    if any((Kind.MUSIC, name) in coming for name in preferred):
        return "better tracks of music"
    return None


def find_logo(layout: Layout, config: Config) -> Path | None:
    """The logo file the configuration asks for, or None where it asks for none.

    Raises:
        RootError: the named file is not in ``assets/``.
    """
    name = config.render.logo
    if not name:
        return None
    path = layout.assets / ("logo.png" if name == LOGO_AUTO else name)
    if path.is_file():
        return path
    if name == LOGO_AUTO:
        return None
    raise RootError(f'render.logo = "{name}": there is no assets/{name}; put it there, or set render.logo to ""')


def _logo_name(logo: Path | None) -> str | None:
    return f"logo{logo.suffix.lower()}" if logo else None


def _or(places: Iterable[str]) -> str:
    return " or ".join(places)
