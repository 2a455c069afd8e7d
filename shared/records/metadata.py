"""``metadata.json`` of a task: the keys of the specification, and what makes a task self-contained."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.domain.media import LoudnessFacts, VideoFacts
from shared.domain.pauses import read
from shared.domain.plan import Cut, Format
from shared.domain.task import DEFAULT_PROFILE, PROFILE_NAME
from shared.records.record import Record

SCHEMA = 1
"""The newest format of ``metadata.json`` that this program knows."""

CLIP_DIGITS = 8
"""Of a clip's SHA-256 in hints about nodes: enough to tell the clips of one farm apart."""

_MOST_LUFS = 120.0
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Input(BaseModel):
    """One file the render reads, known by content even where the task's links dangle."""

    model_config = ConfigDict(frozen=True, extra="allow")

    path: str = Field(description="Path relative to the project root.")
    sha256: str
    size: int = Field(description="Bytes.")
    seconds: float | None = Field(None, description="Playable length of sound or picture.")
    channels: int | None = Field(None, description="Channels of a sound.")
    loudness: LoudnessFacts | None = Field(None, description="Of a sound; mono with 3 dB less on both sides.")
    pauses: str | None = Field(None, description="Where nobody speaks in a voice: start-end, in seconds.")
    video: VideoFacts | None = Field(None, description="Facts of a clip's picture.")

    @field_validator("loudness")
    @classmethod
    def _check_loudness(cls, facts: LoudnessFacts | None) -> LoudnessFacts | None:
        """A record can be edited, and gains are made of this."""
        if facts and not -_MOST_LUFS <= facts.integrated <= _MOST_LUFS:
            raise ValueError(f"integrated = {facts.integrated}: no sound has that many LUFS")
        return facts

    @field_validator("pauses")
    @classmethod
    def _check_pauses(cls, written: str | None) -> str | None:
        if written is not None:
            read(written)
        return written


class RenderRequest(BaseModel):
    """What the video shall be."""

    model_config = ConfigDict(frozen=True, extra="allow")

    resolution: str = Field(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")
    frame_rate: float = Field(ge=1, le=120)
    logo: str | None = None
    profile: str = Field(
        DEFAULT_PROFILE, pattern=PROFILE_NAME, description="Profile of the configuration that says the rest."
    )
    output_format: Format = Field("mp4", description="Container of the video.")
    transition: Cut = Field("cut", description="Between its clips; there are enough of them for it.")
    transition_seconds: float = Field(0.5, ge=0.1, le=1.5)
    card_seconds: float = Field(5.0, ge=0.5, le=60, description="How long a card that is a single picture is shown.")


class CaptionsRequest(BaseModel):
    """The captions of a video; its input's path is that of the text they were made of."""

    model_config = ConfigDict(frozen=True, extra="allow")

    file: str = Field(description="WebVTT, in the task's folder.")
    language: str = Field(description="ISO 639-2.")
    cues: int = Field(ge=1, description="How many there are.")
    shown: Literal["track", "burned"] = Field("track", description="As a track of the video, or drawn into it.")


class Metadata(Record):
    """One task."""

    task_id: str
    category: str
    story_name: str
    voice_file: str
    voice_duration: float = Field(gt=0, allow_inf_nan=False)
    music_file: str | None
    captions: CaptionsRequest | None = None
    inputs: dict[str, Input]
    video_files: tuple[str, ...]
    render: RenderRequest
    chapter: str
    titles: tuple[str, ...] = Field((), description="Category, story and chapter as the operator wrote them.")
    frame_file: str | None = Field(None, description="The decorative film over the picture.")
    title_file: str | None = Field(None, description="The card at the beginning: a film, or a picture.")
    end_file: str | None = Field(None, description="The card at the end: a film, or a picture.")
    seed: int
    priority: int = 50
    created_at: str

    @property
    def label(self) -> str:
        """Category, story and chapter, as the operator wrote them, and the profile where it is a special one."""
        titles = "/".join(self.titles or (self.category, self.story_name, self.chapter))
        return titles if self.render.profile == DEFAULT_PROFILE else f"{titles} ({self.render.profile})"

    @model_validator(mode="after")
    def _names_are_inputs(self) -> Self:
        """Every file a render opens is one plain name in the task's folder, and `inputs` says what it is."""
        music = (self.music_file,) if self.music_file else ()
        logo = (self.render.logo,) if self.render.logo else ()
        captions = (self.captions.file,) if self.captions else ()
        others = (name for name in (self.frame_file, self.title_file, self.end_file) if name)
        for name in (self.voice_file, *music, *captions, *self.video_files, *logo, *others):
            if name not in self.inputs:
                raise ValueError(f"{name!r} is not among the inputs")
        if len(set(self.video_files)) < len(self.video_files):
            raise ValueError("video_files names a file twice; give each part a name of its own")
        for name in self.inputs:
            if not _PLAIN_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a plain file name")
        return self
