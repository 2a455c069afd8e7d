"""What became of drops, as people see it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field

from console.trash import RejectedDrop, drop_id, newest_rejected, rejected_drop, rejected_names
from shared.domain.layout import Layout
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar


class DropView(BaseModel):
    """What became of a drop."""

    model_config = ConfigDict(frozen=True)

    drop: str = Field(description="Where it was dropped, relative to the root.")
    outcome: str = Field(description="scanned or rejected.")
    now: str = Field(description="Where it is, relative to the root.")
    code: str | None = None
    reason: str | None = None
    advice: str | None = None
    drop_id: str | None = Field(None, description="For rejected drops: a word for it that is safe in an address.")


def drops_since(layout: Layout, moment: str) -> tuple[DropView, ...]:
    """What became of every drop dealt with since a moment (UTC ISO 8601), in the order of their names."""
    found: dict[str, DropView] = {}
    for record in layout.scanned.rglob("*.json"):
        with suppress(RecordError, FileNotFoundError):
            sidecar = Sidecar.read(record)
            path = record.with_name(record.name.removesuffix(".json"))
            # A link file and its chunks share one origin; the link file itself says what became of the drop.
            if sidecar.scanned_at >= moment and sidecar.address is None:
                now = str(layout.relative(path))
                found[sidecar.origin.path] = DropView(drop=sidecar.origin.path, outcome="scanned", now=now)
    for name in rejected_names(layout)[0]:
        drop = rejected_drop(layout, name)
        if drop.original and drop.reason and drop.reason.when >= moment:
            found[drop.original] = _rejected_view(layout, drop)
    return tuple(found[name] for name in sorted(found))


def rejected(layout: Layout, names: Iterable[str], most: int) -> tuple[DropView, ...]:
    """Of the named rejected drops those that were refused last, newest first."""
    return tuple(_rejected_view(layout, drop) for drop in newest_rejected(layout, names, most))


def _rejected_view(layout: Layout, drop: RejectedDrop) -> DropView:
    reason = drop.reason
    return DropView(
        drop=drop.original or str(layout.relative(drop.path)),
        outcome="rejected",
        now=str(layout.relative(drop.path)),
        code=reason.code if reason else None,
        reason=reason.reason if reason else drop.trouble,
        advice=reason.advice if reason else None,
        drop_id=drop_id(drop.path.name),
    )
