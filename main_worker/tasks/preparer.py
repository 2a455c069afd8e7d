"""Makes a task of every voice that has what it needs, and says of every other what it waits for."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from main_worker.captions.cues import Cue, to_webvtt
from main_worker.captions.making import CaptionsError, captions_of
from main_worker.checks.cage import Cage
from main_worker.checks.examination import content_of
from main_worker.checks.texts import SUBTITLES
from main_worker.shelves.library import Library
from main_worker.tasks.assets import Assets
from main_worker.tasks.cards import Card
from main_worker.tasks.material import Entry, Gathering, Material, Missing, profiles_of, wants_of
from main_worker.tasks.picking import seed_of
from shared.config import Config
from shared.domain.drop import END, TITLE, Drop
from shared.domain.errors import MachineTrouble, Stopped, ToolError
from shared.domain.layout import METADATA, VIDEO_LIST, Layout
from shared.domain.media import AudioFacts
from shared.domain.pauses import read
from shared.domain.task import DEFAULT_PROFILE, TaskState, task_id_for
from shared.files import fsync_path, remove_tree, write_atomic
from shared.log import Logger
from shared.records.main import MOST_LISTED, WaitingVoice
from shared.records.metadata import CaptionsRequest, Input, Metadata, RenderRequest
from shared.records.record import utc_now
from shared.records.story import StorySettings
from shared.store import Store

VOICE, MUSIC, FRAME, CAPTIONS = "voice.mp3", "music.mp3", "frame.mp4", "captions.vtt"


@dataclass(frozen=True)
class Waiting:
    """Voices that cannot become tasks yet: how many, and the first of them with the reason."""

    count: int = 0
    first: tuple[WaitingVoice, ...] = ()


class Preparer:
    """Turns voices into tasks."""

    def __init__(self, config: Config, layout: Layout, library: Library, store: Store, cage: Cage, log: Logger) -> None:
        self._config = config
        self._layout = layout
        self._library = library
        self._store = store
        self._assets = Assets(cage, layout)
        self._log = log
        self._said: dict[str, str] = {}
        self._wrong_assets: list[str] = []

    def prepare(self, arriving: Collection[Drop]) -> Waiting:
        """Make every task that can be made; returns the voices that have to wait.

        `arriving` are drops on their way into the library: a voice waits for those that would be used before
        a clip is repeated or a fallback category touched, so that a folder dropped at once is used whole.

        Raises:
            MachineTrouble, ToolError, OSError: the machine's trouble, which would meet every voice.
            Stopped: the worker is ending.
        """

        @functools.cache
        def by_profile(name: str) -> Gathering:
            return Gathering(self._config, self._layout, self._library, arriving, name, self._assets)

        self._look_at_assets()
        gathering = by_profile(DEFAULT_PROFILE)
        lacks, settings_of = functools.cache(gathering.lacks), functools.cache(self._library.settings)
        first: list[WaitingVoice] = []
        count = 0
        for voice, place in sorted(self._library.without_task().items()):
            if count < MOST_LISTED and gathering.is_gone(voice):  # people read of these
                self._said.pop(voice, None)
                continue
            settings = settings_of(place.category, place.story)
            wants = wants_of(place, settings, self._config)
            reason = lacks(wants) or self._make(by_profile, voice, settings)
            self._tell(voice, reason)
            if reason is None:
                continue
            count += 1
            if count <= MOST_LISTED:
                first.append(WaitingVoice(voice=voice, category=place.category, story=place.story or "", reason=reason))
        return Waiting(count, tuple(first))

    def _look_at_assets(self) -> None:
        """Say what is wrong with what the configuration names, once, and before a voice has to wait for it."""
        wrong = self._assets.look()
        for words in wrong:
            if words not in self._wrong_assets:
                self._log.warning(words, name="asset_unusable")
        self._wrong_assets = wrong

    def _tell(self, voice: str, reason: str | None) -> None:
        """Say why a voice waits, once."""
        if reason is None:
            self._said.pop(voice, None)
        elif self._said.get(voice) != reason:
            self._said[voice] = reason
            self._log.warning(f"{voice} waits: {reason}", name="voice_waiting", voice=voice)

    def _make(self, by_profile: Callable[[str], Gathering], voice: str, settings: StorySettings) -> str | None:
        """Make the tasks of a voice, unless it has them; returns why it has to wait, or None."""
        try:
            self._make_of(by_profile, by_profile(DEFAULT_PROFILE).read(voice), settings)
        except Missing as missing:
            return str(missing)
        except (OSError, MachineTrouble, ToolError, Stopped):
            raise
        except Exception:  # noqa: BLE001
            # Records can be edited in ways nobody thought of, and one voice must not stop all others.
            self._log.exception(f"Stumbled over {voice}", name="fault")
            return "the program stumbled over it or over its clips; the log has the details, please report them"
        return None

    def _make_of(self, by_profile: Callable[[str], Gathering], entry: Entry, settings: StorySettings) -> None:
        """All tasks of a voice, or none: what is there of them is seen by the voice having been noted."""
        sidecar = entry.sidecar
        content = (sidecar.category, sidecar.story or "", sidecar.chapter or "", sidecar.sha256)
        ids = {name: task_id_for(*content, name) for name in profiles_of(sidecar.category, settings, self._config)}
        seed = seed_of(task_id_for(*content))  # the same clips and the same music in all profiles
        missing = [name for name, task_id in ids.items() if self._store.find(task_id) is None]
        material = {name: by_profile(name).gather(entry, settings, seed) for name in missing}
        captions = self._captions(material[missing[0]]) if missing else []
        for name in missing:
            self._add(self._describe(ids[name], name, seed, material[name], captions), captions)
        self._library.note_task(entry.path, sidecar, next(iter(ids.values())))

    def _add(self, metadata: Metadata, captions: Sequence[Cue]) -> None:
        task_id = metadata.task_id
        self._store.add(self._stage(metadata, captions), task_id)
        music = f" and {PurePosixPath(metadata.inputs[MUSIC].path).name}" if metadata.music_file else ", no music"
        self._log.info(
            f"Made task {task_id} for {metadata.label}: {metadata.voice_duration:.1f} s, "
            f"{len(metadata.video_files)} clips{music}",
            name="task_made",
            task=task_id,
        )

    def _captions(self, material: Material) -> list[Cue]:
        """The captions of a voice that has a text; a text that does not fit is said, and left out."""
        text, voice = material.text, material.voice.sidecar
        if text is None or voice.audio is None:
            return []
        try:
            return captions_of(text.says, voice.audio, has_times=text.path.suffix == SUBTITLES)
        except CaptionsError as error:
            shown = self._layout.relative(text.path)
            self._log.warning(
                f"{shown} cannot be shown with {self._layout.relative(material.voice.path)}, so its captions "
                f"are left out: {error}",
                name="captions_left_out",
            )
            return []

    def _describe(self, task_id: str, name: str, seed: int, material: Material, captions: Sequence[Cue]) -> Metadata:
        sidecar, settings, profile = material.voice.sidecar, material.settings, self._config.profile(name)
        render = profile.render
        parts = {f"video_part{i}.mp4": clip for i, clip in enumerate(material.clips, start=1)}
        inputs = {VOICE: self._input(material.voice)}
        if material.music:
            inputs[MUSIC] = self._input(material.music)
        inputs |= {name: self._input(clip) for name, clip in parts.items()}
        if material.frame:
            inputs[FRAME] = self._input(material.frame)
        title, end = _card_name(TITLE, material.title), _card_name(END, material.end)
        inputs |= {
            name: self._input_of(card) for name, card in ((title, material.title), (end, material.end)) if name and card
        }
        if captions and material.text:
            written = to_webvtt(captions).encode()
            path, sha256 = str(self._layout.relative(material.text.path)), hashlib.sha256(written).hexdigest()
            inputs[CAPTIONS] = Input(path=path, sha256=sha256, size=len(written))
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
            captions=CaptionsRequest(
                file=CAPTIONS,
                language=settings.language or self._config.tasks.language,
                cues=len(captions),
                shown=profile.asked("captions", settings.captions),
            )
            if captions
            else None,
            inputs=inputs,
            video_files=tuple(parts),
            render=RenderRequest(
                resolution=profile.asked("resolution", settings.resolution),
                frame_rate=int(render.frame_rate) if float(render.frame_rate).is_integer() else render.frame_rate,
                logo=logo,
                profile=name,
                output_format=render.output_format,
                transition=render.transition,
                transition_seconds=render.transition_seconds,
                card_seconds=render.card_seconds,
            ),
            chapter=sidecar.chapter or "",
            frame_file=FRAME if material.frame else None,
            title_file=title,
            end_file=end,
            titles=(*sidecar.titles, PurePosixPath(sidecar.origin.path).stem),
            seed=seed,
            priority=self._config.tasks.priority if settings.priority is None else settings.priority,
            created_at=utc_now(),
        )

    def _input(self, entry: Entry) -> Input:
        sidecar = entry.sidecar
        facts = sidecar.video or sidecar.audio
        seconds = facts.seconds if facts else None
        channels = sidecar.audio.channels if sidecar.audio else None
        path = str(self._layout.relative(entry.path))
        return Input(
            path=path,
            sha256=sidecar.sha256,
            size=sidecar.size,
            seconds=seconds,
            channels=channels,
            loudness=sidecar.loudness,
            pauses=_pauses(sidecar.audio),
            video=sidecar.video,
        )

    def _input_of(self, card: Card) -> Input:
        return Input(
            path=str(self._layout.relative(card.path)),
            sha256=card.content.sha256,
            size=card.content.size,
            seconds=card.video.seconds if card.video else None,
            video=card.video,
        )

    def _stage(self, metadata: Metadata, captions: Sequence[Cue]) -> Path:
        """The task's folder, complete, under a private name on the filesystem it will be renamed on."""
        staged = self._layout.staging / metadata.task_id
        remove_tree(staged)  # what a crash left
        staged.mkdir()
        if captions:
            write_atomic(staged / CAPTIONS, to_webvtt(captions).encode())
        for name, wanted in metadata.inputs.items():
            if name == CAPTIONS:
                continue
            source = self._layout.root / wanted.path
            if source.is_relative_to(self._layout.assets):
                _copy(source, staged / name, wanted.sha256)
                continue
            # Relative to the task's final place; tasks/ and processing/ are equally deep.
            (staged / name).symlink_to(os.path.relpath(source, self._layout.task(TaskState.WAITING, metadata.task_id)))
        listing = "ffconcat version 1.0\n" + "".join(f"file '{name}'\n" for name in metadata.video_files)
        (staged / VIDEO_LIST).write_text(listing, "ascii")
        fsync_path(staged / VIDEO_LIST)
        metadata.write(staged / METADATA)
        return staged


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy what may be replaced where it lies, unlike a file of the library: a task shows what it was made with."""
    shutil.copyfile(source, target)
    if content_of(target).sha256 != sha256:
        raise Missing(f"{source.name} is just being replaced")
    fsync_path(target)


def _pauses(audio: AudioFacts | None) -> str | None:
    """The pauses of a voice as its record has them; what somebody has edited so that it cannot be read is not known."""
    if audio is None or audio.pauses is None:
        return None
    try:
        read(audio.pauses)
    except ValueError:
        return None
    return audio.pauses


def _card_name(name: str, card: Card | None) -> str | None:
    if card is None:
        return None
    return f"{name}.mp4" if card.video else f"{name}{card.path.suffix.lower()}"


def _logo_name(logo: Path | None) -> str | None:
    return f"logo{logo.suffix.lower()}" if logo else None
