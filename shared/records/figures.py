"""``.farm/figures/<day>/<node>.jsonl``, line by line, and ``.farm/figures.json``: what nodes did, and what it makes.

The lines are written by the nodes, the figures by the main worker. Deleting either costs nothing but the past.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pydantic import Field, field_validator

from shared.domain.figures import Counts, Figures
from shared.records.record import Record


class FiguresLine(Record):
    """What a node did since the line before, on one line."""

    at: str = Field(description="When that time ended, by the node's clock (UTC).")
    task_id: str | None = Field(None, description="The task that ended with it.")
    outcome: str | None = Field(None, description="How that task ended: finished, failed or given back.")
    rendering: float = Field(0.0, ge=0, description="Seconds in which a task was rendered.")
    starved: float = Field(0.0, ge=0, description="Seconds in which one waited and none was rendered.")
    idle: float = Field(0.0, ge=0, description="Seconds in which none waited.")
    exposed: float = Field(0.0, ge=0, description="Seconds of transfers beside which nothing was rendered.")
    fetching: float = Field(0.0, ge=0, description="Seconds in which files of tasks came, beside whatever.")
    delivering: float = Field(0.0, ge=0, description="Seconds in which videos went, beside whatever.")
    fetched_bytes: int = Field(0, ge=0)
    delivered_bytes: int = Field(0, ge=0)
    finished: int = Field(0, ge=0, description="Tasks.")
    failed: int = Field(0, ge=0, description="Tasks whose attempt failed here.")
    given_back: int = Field(0, ge=0, description="Tasks that went back through no fault of theirs.")
    render_seconds: float = Field(0.0, ge=0, description="How long the finished tasks were rendered.")

    @field_validator("*")
    @classmethod
    def _check_finite(cls, value: object) -> object:
        """A file can be edited or damaged, and one such line would spoil every sum."""
        if isinstance(value, float) and not value < float("inf"):
            raise ValueError("must be finite")
        return value

    @field_validator("at")
    @classmethod
    def _check_time(cls, value: str) -> str:
        if datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("must say its time zone, such as Z")
        return value

    @classmethod
    def of(cls, at: float, counts: Counts, task_id: str | None = None, outcome: str | None = None) -> FiguresLine:
        """The line of what was counted up to a time (seconds since 1970, UTC)."""
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = {name: round(value, 3) for name, value in vars(counts).items()}
        return cls(at=when, task_id=task_id, outcome=outcome, **values)

    @property
    def seconds(self) -> float:
        """When that time ended, in seconds since 1970 (UTC)."""
        return datetime.fromisoformat(self.at).timestamp()

    @property
    def counts(self) -> Counts:
        return Counts(**{name: getattr(self, name) for name in Counts.__dataclass_fields__})

    def to_line(self) -> bytes:
        """The line with its end; what is 0 or nothing is left out."""
        values = self.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": self.version}
        return (json.dumps(values, separators=(",", ":")) + "\n").encode()


class FiguresRecord(Record):
    """The figures, by window: ``hour``, ``last_24_hours`` and ``today``."""

    made_at: str
    since: dict[str, str] = Field(description="When each window began (UTC).")
    farm: dict[str, Figures]
    nodes: dict[str, dict[str, Figures]] = Field(description="The same of each node.")
    damaged_lines: int = Field(0, description="Lines that could not be read: a power loss may cut one off.")
    unread: tuple[str, ...] = Field((), description="Files that could not be read, and why.")
