"""Title and end cards that new videos will show, as far as a node without a task can know them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.assets import find_cards
from shared.config import Config
from shared.domain.drop import SUFFIXES, Kind
from shared.domain.errors import RootError
from shared.domain.layout import Layout, retired_of
from shared.domain.media import VideoFacts
from shared.domain.plan import Clip
from shared.files import is_there
from shared.records.cards import CardFacts, CardsRecord
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings


@dataclass(frozen=True)
class Card:
    """A picture or film, and the videos that show it.

    Attributes:
        place: its path below the root.
        video: facts of a film.
        profiles: those of its videos.
        resolution: the size that its story asks for.
    """

    path: Path
    place: str
    sha256: str
    size: int
    video: VideoFacts | None
    profiles: tuple[str, ...]
    resolution: str | None = None

    def clip(self, still_seconds: float) -> Clip:
        """What a plan needs to know of it; a picture is shown for so long."""
        return Clip(self.path.name.lower(), self.video.seconds if self.video else still_seconds, self.video)


def configured_cards(config: Config, layout: Layout) -> Iterator[Card]:
    """The cards that the configuration names, as the main worker has examined them."""
    known: dict[str, CardFacts] = {}
    with suppress(OSError, RecordError):
        known = {one.path: one for one in CardsRecord.read(layout.card_facts).cards}
    for name in config.profiles_in_use:
        with suppress(RootError):  # the main worker says what is the matter with it
            for path in find_cards(layout, config.profile(name).render):
                if path and (facts := known.get(str(layout.relative(path)))):
                    yield Card(path, facts.path, facts.sha256, facts.size, facts.video, (name,))


def cards_of_stories(layout: Layout) -> Iterator[Path]:
    """Every card in the library, also those that are out of use."""
    found = (layout.scanned / "story").glob("*/*/card/*")
    return (path for path in found if path.suffix in SUFFIXES[Kind.CARD] and not path.name.startswith("."))


def card_of_story(path: Path, sidecar: Sidecar, config: Config, layout: Layout) -> Card | None:
    """A card of the library, where the next video of its story will show it."""
    category, story = sidecar.category, sidecar.story or ""
    if is_there(layout.story_retired(category, story)) or _has_newer(path, sidecar):
        return None
    settings = _settings(layout.story(category, story))
    if settings.cards is False:
        return None
    names = dict.fromkeys(settings.profiles or config.profiles_of(category))
    return Card(
        path,
        str(layout.relative(path)),
        sidecar.sha256,
        sidecar.size,
        sidecar.video,
        tuple(name for name in names if name in config.profile_names),
        settings.resolution,
    )


def _has_newer(path: Path, sidecar: Sidecar) -> bool:
    """Whether another version of a card is in force."""
    others = _records(path.parent, "*")
    return any(
        other.chapter == sidecar.chapter and other.scanned_at > sidecar.scanned_at and not is_there(retired_of(there))
        for there, other in others
    )


def _settings(story: Path) -> StorySettings:
    """What the newest of the settings of a story say."""
    found = [one for _, one in _records(story, "*.toml") if one.settings]
    newest = max(found, key=lambda one: one.scanned_at, default=None)
    return (newest.settings if newest else None) or StorySettings()


def _records(folder: Path, pattern: str) -> Iterator[tuple[Path, Sidecar]]:
    """Files of the library, with what is known of each."""
    for record in folder.glob(f"{pattern}.json"):
        path = record.with_name(record.name.removesuffix(".json"))
        with suppress(OSError, RecordError):  # the main worker says what is the matter with it
            if is_there(path):
                yield path, Sidecar.read(record)
