"""``.farm/orders/farm.json`` and ``.farm/orders/node-<node>.json``: what operators have told the nodes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class Order(BaseModel):
    """One order, and who gave it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    by: str
    when: str
    why: str = ""
    at_once: bool = Field(False, description="Whether what is being rendered goes back to the queue as well.")


class OrdersRecord(Record):
    """What holds for the whole farm, or for one node, until it is taken back."""

    pause: Order | None = Field(None, description="Take no tasks.")
    drain: Order | None = Field(None, description="Finish what is being rendered, and end. Nodes only.")
    hours: tuple[str, ...] = Field((), description="Take tasks only in these hours, by the node's clock. Nodes only.")
