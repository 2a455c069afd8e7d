"""What a dry run says of one file in ``raw/``: one line of JSON each, on standard output."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Forecast(BaseModel):
    """What would become of one file in ``raw/``, and why."""

    model_config = ConfigDict(frozen=True, extra="allow")

    drop: str = Field(description="Path relative to the root.")
    outcome: Literal["accept", "reject", "wait", "leave"]
    why: str = Field(description="In words.")
    becomes: str | None = Field(None, description="The library file it would become, relative to the root.")
    code: str | None = Field(None, description="As in the reason that a rejected drop would get.")
    advice: str | None = None
    measured: dict[str, Any] = Field(default_factory=dict, description="The figures behind it.")
