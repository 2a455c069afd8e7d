"""``.farm/main_worker.json``: what the main worker last said about itself. Deleting it costs nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record

MOST_LISTED = 100
"""Drops and voices that are listed by name; of more than that, the record gives the number."""


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


class NodeVerdict(BaseModel):
    """What is wrong with a render node."""

    model_config = ConfigDict(frozen=True, extra="allow")

    node: str
    what: str = Field(description="late, dead, unhealthy, outdated, low on disk or slow.")
    words: str = Field(description="The same in words, to follow the node's name.")
    since: str


class MainRecord(Record):
    """The main worker's own view, rewritten when it changes."""

    host: str
    pid: int
    program: str
    state: str = Field(description="working, idle or paused.")
    trouble: str | None = Field(None, description="What is in the way through no fault of any drop.")
    paused_since: str | None = None
    pending: tuple[PendingDrop, ...] = Field((), description="The first of the drops that are not in the library yet.")
    pending_count: int = 0
    waiting: tuple[WaitingVoice, ...] = Field((), description="The first of the voices that cannot become tasks yet.")
    waiting_count: int = 0
    nodes: tuple[NodeVerdict, ...] = Field((), description="Nodes with which something is wrong.")
    updated_at: str

    @property
    def words(self) -> str:
        """What the main worker does, on one line."""
        parts = [f"{self.state}: {self.trouble}" if self.trouble else self.state]
        parts += [f"{self.pending_count} in raw/"] if self.pending_count else []
        parts += [f"{self.waiting_count} waiting for material"] if self.waiting_count else []
        return ", ".join(parts)
