"""What a task is made from: a voice, its text, music, clips and a logo; or why there is not all of it yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from main_worker.checks.examination import Content
from main_worker.shelves.library import Library, Place, place_of, text_place
from main_worker.tasks.assets import Assets, AssetUnusable
from main_worker.tasks.cards import Card
from main_worker.tasks.picking import pick_clips, pick_one
from shared.assets import find_cards, find_logo
from shared.config import Config, UnknownProfile
from shared.domain.drop import END, TITLE, Drop, Kind
from shared.domain.errors import MachineTrouble, RootError
from shared.domain.layout import Layout
from shared.domain.names import safe_folder
from shared.domain.plan import exact_rate, taken_by_cards, transition_of
from shared.domain.task import DEFAULT_PROFILE
from shared.files import as_machine_trouble, is_there
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings
from shared.settings import Render


@dataclass(frozen=True)
class Entry:
    """One library file and its record."""

    path: Path
    sidecar: Sidecar


@dataclass(frozen=True)
class Text:
    """The text of a voice: where it lies and what it says."""

    path: Path
    says: str


@dataclass(frozen=True)
class Material:
    """Everything one task needs."""

    voice: Entry
    music: Entry | None
    clips: tuple[Entry, ...]
    logo: Path | None
    frame: Entry | None
    settings: StorySettings
    text: Text | None = None
    title: Card | None = None
    end: Card | None = None


class Missing(Exception):
    """What a voice waits for, in words."""


@dataclass(frozen=True)
class Wants:
    """Where a voice's clips and music come from, best first, whether it must have music, and may have a frame."""

    categories: tuple[str, ...]
    music: bool | None
    frame: bool = True


def wants_of(place: Place, settings: StorySettings, config: Config) -> Wants:
    """What the settings of a story and the configuration ask for; `music` None: if there is some."""
    own = safe_folder(settings.clips) if settings.clips else place.category
    categories = tuple(dict.fromkeys((own, *config.tasks.fallback_categories)))
    music = (config.music.required or None) if settings.music is None else settings.music
    return Wants(categories, music, settings.frame is not False)


def profiles_of(category: str, settings: StorySettings, config: Config) -> tuple[str, ...]:
    """The profiles by which a story's voices become videos: its own, those of its category, or those of all.

    Raises:
        Missing: the configuration does not have one of its own.
    """
    names = settings.profiles or config.profiles_of(category)
    for name in names:
        try:
            config.profile(name)
        except UnknownProfile as error:
            raise Missing(f"its story.toml names a profile, but {error}") from error
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Gathering:
    """Chooses from the library, with the drops that are on their way into it in mind, for videos of one profile."""

    config: Config
    layout: Layout
    library: Library
    arriving: Collection[Drop] = ()
    profile: str = DEFAULT_PROFILE
    assets: Assets | None = None

    def lacks(self, wants: Wants) -> str | None:
        """What is missing for every voice with these wants; asked before anything is read."""
        if not any(self.library.shelf(Kind.VIDEO, name) for name in wants.categories):
            return f"there is no clip in {_or(f'raw/video/{name}/' for name in wants.categories)} yet"
        if wants.music and not any(self.library.shelf(Kind.MUSIC, name) for name in wants.categories):
            places = _or(f"raw/music/{name}/" for name in wants.categories)
            return f"there is no music in {places} yet (or set music.required = false)"
        return None

    def gather(self, voice: Entry, settings: StorySettings, seed: int) -> Material:
        """All that the task of a voice needs.

        Raises:
            Missing: with what it waits for.
            OSError, MachineTrouble, ToolError: the machine's trouble, which would meet every voice.
            Stopped: the worker is ending.
        """
        with _told():
            return self._gather(voice, settings, seed)

    def _gather(self, voice: Entry, settings: StorySettings, seed: int) -> Material:
        place = Place(Kind.VOICE, voice.sidecar.category, voice.sidecar.story)
        self._check_voice(voice, place)
        if voice.sidecar.audio is None:
            raise Missing("its record says nothing about its sound; move it back into raw/ to have it scanned again")
        wants = wants_of(place, settings, self.config)
        try:
            title, end = self._cards(place, settings)
            logo = find_logo(self.layout, self._render, self.config.table_of(self.profile))
            if logo and self.assets:
                self.assets.check_logo(logo)
        except (RootError, AssetUnusable) as error:
            raise Missing(str(error)) from error
        clips = self._clips(wants, voice.sidecar.audio.seconds, seed, (title, end))
        music = self._music(wants, seed)
        frame = self._frame(wants, seed)
        if better := self._better_on_its_way(wants, clips, music, frame):
            raise Missing(f"{better} for it are on their way into the library")
        return Material(voice, music, tuple(clips), logo, frame, settings, self._text(voice), title, end)

    @property
    def _render(self) -> Render:
        return self.config.profile(self.profile).render

    def read(self, relative: str) -> Entry:
        """A file of the library with its record.

        Raises:
            Missing: there is no record of it (any more), a damaged one, or one that cannot be read.
            OSError: the machine's trouble, which would meet every file.
        """
        try:
            with _told():
                return Entry(*self.library.read(relative))
        except (FileNotFoundError, RecordError) as error:
            raise Missing(f"a record cannot be read: {error}; move that file back into raw/") from error

    def is_gone(self, voice: str) -> bool:
        """Whether a voice was certainly taken out of the library."""
        try:
            return not self.library.has(voice)
        except OSError:  # reading it will tell
            return False

    def _is_usable(self, relative: str) -> bool:
        return self.library.has(relative) and not self.library.is_retired(relative)

    def _check_voice(self, voice: Entry, place: Place) -> None:
        if any(d.kind is Kind.SETTINGS and (d.category, d.story) == place[1:] for d in self.arriving):
            raise Missing("its story's settings are on their way into the library")
        if any(d.kind is Kind.CARD and (d.category, d.story) == place[1:] for d in self.arriving):
            raise Missing("a title or end card of its story is on its way into the library")
        if text_place(voice.sidecar) in self._texts_arriving:
            raise Missing("its text is on its way into the library")
        story = self.layout.story_retired(place.category, place.story or "")
        if is_there(story) or self.library.is_retired(str(self.layout.relative(voice.path))):
            raise Missing("it is retired; bring it back with: reelmill retire --undo")

    @cached_property
    def _texts_arriving(self) -> frozenset[Place]:
        return frozenset(place_of(drop) for drop in self.arriving if drop.kind is Kind.TEXT)

    def _text(self, voice: Entry) -> Text | None:
        found = self.library.text_of(voice.sidecar)
        path = self.layout.root / found if found else None
        return Text(path, path.read_text("utf-8", "replace")) if path else None

    def _cards(self, place: Place, settings: StorySettings) -> tuple[Card | None, Card | None]:
        """The title and the end card: those of the story, else those of the configuration."""
        if settings.cards is False:
            return None, None
        title, end = find_cards(self.layout, self._render, self.config.table_of(self.profile))
        return self._card(place, TITLE, title), self._card(place, END, end)

    def _card(self, place: Place, name: str, configured: Path | None) -> Card | None:
        if own := self.library.card_of(place.category, place.story, name):
            card = self.read(own)
            content = Content(card.sidecar.sha256, card.sidecar.size)
            return Card(card.path, content, card.sidecar.video)
        return self.assets.card(configured) if self.assets and configured else None

    def _clips(self, wants: Wants, seconds: float, seed: int, cards: tuple[Card | None, Card | None]) -> list[Entry]:
        render, rate = self._render, exact_rate(self._render.frame_rate)
        transition = transition_of(render.transition, render.transition_seconds, rate)
        lengths = [card.seconds(render.card_seconds) if card else None for card in cards]
        picked = pick_clips(
            [self.library.shelf(Kind.VIDEO, name) for name in wants.categories],
            self.library.seconds,
            seconds=seconds,
            rate=rate,
            seed=seed,
            usable=self._is_usable,
            transition=transition,
            cards=taken_by_cards(lengths[0], lengths[1], seconds, rate, transition),
        )
        if not picked:
            raise Missing(
                f"every clip in {_or(f'video/{name}/' for name in wants.categories)} is gone, retired or too short"
            )
        return [self.read(path) for path in picked]

    def _music(self, wants: Wants, seed: int) -> Entry | None:
        if wants.music is False:
            return None
        shelves = [self.library.shelf(Kind.MUSIC, name) for name in wants.categories]
        picked = pick_one(shelves, seed, self._is_usable)
        if picked is None and wants.music:
            raise Missing(f"all music in {_or(f'music/{name}/' for name in wants.categories)} is gone or retired")
        return self.read(picked) if picked else None

    def _frame(self, wants: Wants, seed: int) -> Entry | None:
        """A decorative frame of the first category, through which something is seen."""
        if not (wants.frame and self._render.frames):
            return None
        shelf = self.library.shelf(Kind.FRAME, wants.categories[0])
        picked = pick_one([shelf], seed, lambda path: self._is_usable(path) and self._shows(path))
        return self.read(picked) if picked else None

    def _shows(self, relative: str) -> bool:
        facts = self.read(relative).sidecar.video
        return facts is not None and self._render.shows(facts)

    def _better_on_its_way(
        self, wants: Wants, clips: list[Entry], music: Entry | None, frame: Entry | None
    ) -> str | None:
        """What is arriving that the voice would rather have than what was picked for it, in words; None for nothing."""
        coming = {(drop.kind, drop.category) for drop in self.arriving}
        names = wants.categories
        repeats = len({clip.path for clip in clips}) < len(clips)
        last = max(names.index(clip.sidecar.category) for clip in clips)
        if any((Kind.VIDEO, name) in coming for name in (names if repeats else names[:last])):
            return "better clips"
        preferred = names[: names.index(music.sidecar.category)] if music else names
        if wants.music is not False and any((Kind.MUSIC, name) in coming for name in preferred):
            return "better tracks of music"
        if frame is None and wants.frame and self._render.frames and (Kind.FRAME, names[0]) in coming:
            return "decorative frames"
        return None


@contextmanager
def _told() -> Iterator[None]:
    """A voice whose material cannot be read waits, and says so; what meets every file is the machine's own trouble."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, MachineTrouble) as error:
        words = "a file or its record cannot be read"
        trouble = as_machine_trouble(error, words) if isinstance(error, OSError) else error
        if trouble.everywhere:
            raise
        raise Missing(str(trouble)) from error


def _or(places: Iterable[str]) -> str:
    return " or ".join(places)
