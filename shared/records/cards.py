"""``.farm/cache/cards.json``: the title and end cards that the configuration names, as they were last examined."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.media import VideoFacts
from shared.records.record import Record


class CardFacts(BaseModel):
    """One card."""

    model_config = ConfigDict(frozen=True, extra="allow")

    path: str = Field(description="Path relative to the root.")
    sha256: str
    size: int = Field(description="Bytes.")
    video: VideoFacts | None = Field(None, description="Facts of a film; null for a picture.")


class CardsRecord(Record):
    """What nodes conform ahead of need; a card that was replaced since is known by its content."""

    cards: tuple[CardFacts, ...] = ()
