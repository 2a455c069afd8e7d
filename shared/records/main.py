"""``.farm/main_worker.json``: what the main worker last said about itself. Deleting it costs nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class WaitingVoice(BaseModel):
    """A voice that cannot become a task yet."""

    model_config = ConfigDict(frozen=True, extra="allow")

    voice: str = Field(description="Path relative to the root.")
    category: str
    story: str
    reason: str


class PendingDrop(BaseModel):
    """A drop that is not in the library yet."""

    model_config = ConfigDict(frozen=True, extra="allow")

    drop: str = Field(description="Path relative to the root.")
    doing: str = Field(description="settling, checking, or the trouble it waits out.")


class MainRecord(Record):
    """The main worker's own view, rewritten when it changes."""

    host: str
    pid: int
    program: str
    state: str
    trouble: str | None = None
    pending: tuple[PendingDrop, ...] = ()
    waiting: tuple[WaitingVoice, ...] = ()
    updated_at: str
