"""``.farm/mounts.json``: which folders of a root are filesystems of their own, so that a lost one is noticed."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class MountsRecord(Record):
    """What was mounted when the main worker last ran."""

    mounts: tuple[str, ...] = Field(description="Folders relative to the root; . is the root itself.")
