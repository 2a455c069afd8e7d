"""``.farm/lease.json``: how long a worker may be silent before it counts as dead, one value for a whole root."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class LeaseRecord(Record):
    """Written by the first worker of a root; every other follows it, whatever its own configuration says."""

    rules: int = Field(
        1, description="Version of the rules by which tasks are shared; who knows only older ones takes no task."
    )
    lease_seconds: float = Field(ge=0.1)
