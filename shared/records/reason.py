"""``<name>.reason.json`` beside a rejected drop, and ``reason.json`` in a failed task: why, and what to do."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.records.record import Record


class Reason(Record):
    """An explanation for the person whose file or task did not make it."""

    code: str = Field(description="Stable word for programs.")
    reason: str = Field(description="One plain sentence.")
    advice: str = Field(description="What to do about it.")
    measured: dict[str, Any] = Field(default_factory=dict, description="The figures behind the sentence.")
    original_path: str | None = Field(None, description="Where the drop lay, relative to the root.")
    task_id: str | None = None
    when: str
