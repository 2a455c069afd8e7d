"""``.farm/alerts.json``: which troubles have been told, what has not been delivered yet, and what was seen last."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.alert import Kind, State
from shared.records.record import Record


class Alert(BaseModel):
    """One thing that is told, the same by every channel."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str = Field(description="Tells it from every other alert; one that arrives twice has the same.")
    kind: Kind
    state: State = Field(description="happened once, began, or over.")
    about: str = Field(description="Task, drop, node or folder that it is about.")
    title: str = Field(description="In words, on one line.")
    details: dict[str, str] = Field(default_factory=dict, description="Path, link, reason, advice and the like.")
    farm: str = Field(description="Host and root.")
    when: str


class Told(BaseModel):
    """A trouble that has begun and is not over."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Kind
    about: str
    since: str


class Undelivered(BaseModel):
    """An alert that a channel has not taken yet."""

    model_config = ConfigDict(frozen=True, extra="allow")

    channel: str
    alert: Alert


class AlertsRecord(Record):
    """What must outlive a main worker so that it neither tells anything twice nor forgets to tell."""

    told: tuple[Told, ...] = ()
    recent: tuple[bool, ...] = Field((), description="Whether each of the last tasks that ended was finished.")
    marks: dict[str, int] = Field(
        default_factory=dict, description="By folder, when the last entry seen came there: st_ctime_ns."
    )
    undelivered: tuple[Undelivered, ...] = ()
