"""``.farm/agenda/<node>.json``: tasks that the main worker suggests to a node. Deleting it costs nothing."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class AgendaRecord(Record):
    """What fits one node best; it tries these first, and any other waiting task after them."""

    tasks: tuple[str, ...] = Field((), description="Ids, best first.")
    made_at: str = ""
