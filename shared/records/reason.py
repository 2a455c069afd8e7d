"""``<name>.reason.json`` beside a rejected drop, and ``reason.json`` in a failed task: why, and what to do."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record

CANCELLED = "cancelled"
"""The code of a task that an operator has cancelled."""


class FileIdentity(BaseModel):
    """What a drop was when it was judged; tells after a crash if the one in ``raw/`` is still the same."""

    model_config = ConfigDict(frozen=True, extra="allow")

    device: int
    inode: int
    size: int
    mtime_ns: int


class Reason(Record):
    """An explanation for the person whose file or task did not make it."""

    code: str = Field(description="Stable word for programs.")
    reason: str = Field(description="One plain sentence.")
    advice: str = Field(description="What to do about it.")
    measured: dict[str, Any] = Field(default_factory=dict, description="The figures behind the sentence.")
    original_path: str | None = Field(None, description="Where the drop lay, relative to the root.")
    identity: FileIdentity | None = Field(None, description="For drops: what it was in raw/.")
    task_id: str | None = None
    when: str
