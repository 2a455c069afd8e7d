"""``attempts/<n>.json`` of a task: who started it, when, and how that ended."""

from __future__ import annotations

from pydantic import Field

from shared.domain.retry import Ending
from shared.records.record import Record


class AttemptRecord(Record):
    """One start of a task. It exists from before the work until the task has left the farm."""

    number: int
    token: str = Field(description="Random word that tells this attempt from every other.")
    node: str
    started_at: str
    ended: Ending | None = None
    ended_at: str | None = None
    why: str | None = Field(None, description="In words, how it ended.")
