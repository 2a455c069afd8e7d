"""``<file>.retired`` beside a library file, ``.retired`` in a story: not to be used in future videos."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class RetiredRecord(Record):
    """Who took a library file or a story out of use; that the file is there is what counts."""

    when: str
    by: str = Field(description="Name of the user.")
    note: str = ""
