"""What the stream says of a farm that comes and goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel

from console.web import events
from console.web.events import Events
from shared.domain.errors import RootError

if TYPE_CHECKING:
    import pytest


class Farm(BaseModel):
    """One that is seen, for tests."""

    name: str = "farm"


def told(event: str) -> dict[str, str]:
    name, _, data = event.rstrip("\n").rpartition("data: ")
    assert name in {"", "event: unreachable\n"}
    found: dict[str, str] = json.loads(data)
    return found


def test_it_is_told_since_when_a_farm_cannot_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look that failed of those in a row, be it that it hung; the words may become others."""
    clock = (f"2026-11-27T06:00:{second:02d}Z" for second in range(60))
    monkeypatch.setattr(events, "utc_now", lambda: next(clock))
    failing: list[Exception] = [RootError("there is no folder /farm"), OSError(107, "Transport endpoint")]
    looks = iter([None, *failing, None, failing[0], None])

    def look() -> Farm:
        if error := next(looks):
            raise error
        return Farm()

    farm = Events(look)  # 0: made
    assert told(farm.now()) == {"name": "farm"}
    assert told(farm.now()) == {"why": "there is no folder /farm", "since": "2026-11-27T06:00:02Z"}
    assert told(farm.now())["since"] == "2026-11-27T06:00:02Z"
    assert told(farm.now()) == {"name": "farm"}
    late = told(farm.late())  # as if that look, begun at 4, had hung before
    assert late["since"] == "2026-11-27T06:00:04Z"
    assert "network mount" in late["why"]
    assert told(farm.now()) == {"why": "there is no folder /farm", "since": "2026-11-27T06:00:04Z"}
    assert told(farm.now()) == {"name": "farm"}
    assert farm.late() == farm.late()
