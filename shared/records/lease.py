"""``.farm/lease.json``: how long a worker may be silent before it counts as dead, one value for a whole root."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class LeaseRecord(Record):
    """Written by the first worker of a root; every other follows it, whatever its own configuration says."""

    lease_seconds: float = Field(ge=0.1)
