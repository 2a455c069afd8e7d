"""``<file>.json`` beside each library file: what it is, where it came from, what was made of it."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.domain.drop import Kind
from shared.domain.media import AudioFacts, LoudnessFacts, PictureFacts, VideoFacts
from shared.records.record import Record
from shared.records.story import StorySettings


class Origin(BaseModel):
    """The drop a library file was made from; enough to recognise it again after a crash."""

    model_config = ConfigDict(frozen=True, extra="allow")

    path: str = Field(description="Path of the drop, relative to the root, as the operator named it.")
    sha256: str = Field(description="Hash of the dropped bytes.")
    size: int = Field(description="Bytes dropped.")
    device: int
    inode: int
    mtime_ns: int
    evidence: str = Field(description="Why the drop was taken to be complete.")


class Sidecar(Record):
    """The record of one library file."""

    kind: Kind
    category: str
    story: str | None = None
    chapter: str | None = Field(
        None, description="For voices, their texts and cards: the chapter, or the card, this file is a version of."
    )
    titles: tuple[str, ...] = Field((), description="Category and story as the operator wrote them.")
    sha256: str = Field(description="Hash of this file's content.")
    size: int = Field(description="Size of this file in bytes.")
    origin: Origin
    scanned_at: str
    video: VideoFacts | None = None
    picture: PictureFacts | None = None
    audio: AudioFacts | None = None
    loudness: LoudnessFacts | None = None
    address: str | None = Field(None, description="For text: where it was fetched.")
    title: str | None = None
    words: int | None = None
    settings: StorySettings | None = Field(None, description="For a story's settings: what they say.")

    @field_validator("video", "audio")
    @classmethod
    def _check_length(cls, facts: VideoFacts | AudioFacts | None) -> VideoFacts | AudioFacts | None:
        """A record can be edited, and plans are made with this figure."""
        if facts is not None and not 0 < facts.seconds < math.inf:
            raise ValueError(f"seconds = {facts.seconds}: must be more than 0 and finite")
        return facts

    task_id: str | None = Field(None, description="For voices: the task made of it; it is never made twice.")
