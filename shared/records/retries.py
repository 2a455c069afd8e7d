"""``attempts/retries.json`` of a task: when an operator gave it all its attempts again."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class Retry(BaseModel):
    """One retry by an operator."""

    model_config = ConfigDict(frozen=True, extra="allow")

    after: int = Field(ge=0, description="Number of the last attempt that does not count any more.")
    when: str
    by: str = Field(description="Name of the user.")
    reason: str | None = Field(None, description="Why the task had failed, in words.")
    kept_by: str | None = Field(None, description="The node that has its video and could not upload it.")


class RetriesRecord(Record):
    """All retries of a task, oldest first. Attempts are numbered on, and their records stay."""

    retries: tuple[Retry, ...] = ()

    @property
    def after(self) -> int:
        """The last attempt that does not count any more; 0 where all count."""
        return max((retry.after for retry in self.retries), default=0)

    @property
    def kept_by(self) -> str | None:
        """The node that had made the video of the task when it was retried last, and could not upload it."""
        return self.retries[-1].kept_by if self.retries else None
