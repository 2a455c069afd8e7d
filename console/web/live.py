"""The farm as it changes: one look for all who watch, and none while nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

_SECONDS = 1.0  # nodes say what they do once a second
_REST = 4  # times as long as a look took: on a very large farm the page costs a fifth of a core, not all of one
_LATE_SECONDS = 10.0  # a look takes one on a very large farm; on a network mount that hangs it never ends


class Live:
    """Looks at the farm while somebody watches.

    Args:
        look: tells the farm; called in a thread of its own, never twice at a time.
        late: tells what is to be said while a look has not ended for `late_seconds`.
    """

    def __init__(
        self,
        look: Callable[[], str],
        seconds: float = _SECONDS,
        *,
        late: Callable[[], str] | None = None,
        late_seconds: float = _LATE_SECONDS,
    ) -> None:
        self._look = look
        self._late = late
        self._seconds = seconds
        self._late_seconds = late_seconds
        self._told = ""
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._stopped = False

    async def changes(self, alive_seconds: float) -> AsyncGenerator[str, None]:
        """What a look tells, now and whenever it differs; ends when the server does, or when looking fails.

        An empty text comes where nothing has changed for `alive_seconds`.
        """
        self._loop = asyncio.get_running_loop()
        self._watchers += 1
        looking = self._looking = self._looking or self._loop.create_task(self._keep_looking())
        seen = ""
        try:
            while self._looking is looking:
                if not await self._hears_more_than(seen, alive_seconds):
                    yield ""
                elif self._told and self._told != seen:
                    seen = self._told
                    yield seen
        finally:
            self._watchers -= 1

    def stop(self) -> None:
        """End what is being watched. From any thread."""
        self._stopped = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it all who watched
                self._loop.call_soon_threadsafe(self._hurry.set)

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._watchers and not self._stopped:
                begun = loop.time()
                await self._tell_of(await self._looked())
                rest = max(self._seconds, _REST * (loop.time() - begun))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), rest)
        finally:
            self._looking, self._told = None, ""
            await self._tell()

    async def _looked(self) -> str:
        """What a look tells; tells of one that is late, and goes on waiting."""
        look = asyncio.ensure_future(asyncio.to_thread(self._look))
        await asyncio.wait({look}, timeout=self._late_seconds)
        if self._late is not None and not look.done():
            await self._tell_of(self._late())
        return await look

    async def _tell_of(self, found: str) -> None:
        if found != self._told:
            self._told = found
            await self._tell()

    async def _hears_more_than(self, seen: str, seconds: float) -> bool:
        """Waits for news, unless there are some already; whether there were any in time."""
        async with self._news:
            if self._told != seen:
                return True
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return False
        return True

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
