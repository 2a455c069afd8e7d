"""``render.json`` beside a finished video: facts, hashes, timings, and every check it passed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class Check(BaseModel):
    """One check of the gate: what was measured against which limit."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    passed: bool
    measured: Any
    limit: Any


class RenderRecord(Record):
    """How one output was made."""

    task_id: str
    attempt: int
    token: str
    node: str
    program: str
    ffmpeg: str
    encoder: str
    decoder: str | None = Field(None, description="Hardware that decoded the clips; null where the processor did.")
    mode: str = Field(description="segments: conformed clips joined by copy; direct: all in one command.")
    plan: dict[str, Any]
    checks: tuple[Check, ...]
    sha256: str
    size: int
    seconds: float = Field(description="Length of the video.")
    frames: int
    stepped_down: tuple[str, ...] = Field((), description="What failed before, where an encoder failed for this video.")
    fallback: str | None = Field(None, description="Why segments would not do, where mode is direct for that.")
    counts: dict[str, int] = Field(
        default_factory=dict, description="Segments conformed and reused, frames encoded for this video alone."
    )
    missing_glyphs: tuple[str, ...] = Field(
        (), description="Signs of burned captions that no font of the node has; the video shows boxes for them."
    )
    timings: dict[str, float] = Field(description="Seconds spent in each phase.")
    started_at: str
    finished_at: str
