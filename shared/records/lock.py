"""The content of a lock file: who holds it, and a counter that shows life."""

from __future__ import annotations

from shared.records.record import Record


class LockRecord(Record):
    """Rewritten in place at every heartbeat, with the counter one higher."""

    node: str
    token: str
    boot: str
    pid: int
    counter: int = 0
