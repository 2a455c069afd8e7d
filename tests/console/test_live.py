"""One look at the farm for all who watch it, and what they are told where it is late."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

from console.web.live import Live


def test_all_who_watch_share_one_look() -> None:
    """And nobody looks where nobody watches."""
    looks = 0

    def look() -> str:
        nonlocal looks
        looks += 1
        return f"{looks}"

    async def watch(live: Live) -> list[str]:
        found: list[str] = []
        async with aclosing(live.changes(10)) as changes:
            async for told in changes:
                found.append(told)
                if len(found) == 3:
                    break
        return found

    async def several() -> list[list[str]]:
        live = Live(look, 0.05)
        found = await asyncio.gather(*(watch(live) for _ in range(5)))
        before = looks
        await asyncio.sleep(0.3)
        assert looks <= before + 1
        return [*found, await watch(live)]

    found = asyncio.run(several())
    assert len({tuple(told) for told in found[:5]}) == 1
    assert looks <= 9


def test_a_silent_farm_is_told_to_be_alive() -> None:
    """By an empty text, so that a lost connection is noticed; an end of the server ends it."""

    async def watch() -> list[str]:
        live = Live(lambda: "the same", 0.01)
        found: list[str] = []
        async for told in live.changes(0.05):
            found.append(told)
            if len(found) == 3:
                live.stop()
        return found

    assert asyncio.run(watch()) == ["the same", "", ""]


def test_a_look_that_hangs_is_told() -> None:
    """As on a network mount whose server has gone; what it tells once it ends follows."""
    goes_on = threading.Event()
    looks = iter((True, False))

    def look() -> str:
        if next(looks, False):
            return "the farm"
        goes_on.wait(20)
        return "the farm again"

    async def watch() -> list[str]:
        live = Live(look, 0.01, late=lambda: "it is late", late_seconds=0.1)
        found: list[str] = []
        async for told in live.changes(5):
            found.append(told)
            if told == "it is late":
                goes_on.set()
            if len(found) == 3:
                live.stop()
        return found

    assert asyncio.run(watch()) == ["the farm", "it is late", "the farm again"]
