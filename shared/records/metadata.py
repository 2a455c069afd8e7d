"""``metadata.json`` of a task: the keys of the specification, and what makes a task self-contained."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class Input(BaseModel):
    """One file the render reads, known by content even where the task's links dangle."""

    model_config = ConfigDict(frozen=True, extra="allow")

    path: str = Field(description="Path relative to the project root.")
    sha256: str
    size: int = Field(description="Bytes.")
    seconds: float | None = Field(None, description="Playable length of sound or picture.")
    channels: int | None = Field(None, description="Channels of a sound.")


class RenderRequest(BaseModel):
    """What the video shall be."""

    model_config = ConfigDict(frozen=True, extra="allow")

    resolution: str
    frame_rate: float
    logo: str | None = None
    output_format: str = "mp4"


class Metadata(Record):
    """One task."""

    task_id: str
    category: str
    story_name: str
    voice_file: str
    voice_duration: float
    music_file: str | None
    inputs: dict[str, Input]
    video_files: tuple[str, ...]
    render: RenderRequest
    chapter: str
    titles: tuple[str, ...] = Field((), description="Category, story and chapter as the operator wrote them.")
    frame_file: str | None = None
    seed: int
    priority: int = 50
    created_at: str
