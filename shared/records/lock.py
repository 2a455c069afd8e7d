"""The content of a lock file: who holds it, and a counter that shows life."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class LockRecord(Record):
    """Rewritten in place at every heartbeat, with the counter one higher."""

    node: str
    token: str
    boot: str
    pid: int
    device: int | None = Field(
        None,
        description="Number of the filesystem in that boot: two mounts of one share do not see each other's flocks.",
    )
    counter: int = 0
