"""How long a connection may keep the server waiting: with a request, and with taking its answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_UNSENT_BYTES = 128 * 1024
"""What the kernel keeps for a reader beyond what is on its way: else megabytes, of which a slow one long takes none."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing drops what was not sent, instead of keeping it for nobody


class Patience(H11Protocol):
    """Ends connections on which nothing goes on: no whole request comes, or an answer is not read.

    Attributes:
        request_seconds: for a request to come whole, be it the first or a later one.
        reader_seconds: for a reader to take anything of what waits for it.
    """

    request_seconds: ClassVar = 10.0  # a browser sends its request in one go
    # A phone that changes networks, or a laptop that is shut for a moment, comes back within it. Players that are
    # paused stop reading too: cut off, they ask for the rest when they need it.
    reader_seconds: ClassVar = 60.0

    _request_due: asyncio.TimerHandle | None = None
    _reader_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        # Told of every byte that waits here: below the usual mark an answer could be left unread for ever unnoticed.
        transport.set_write_buffer_limits(high=0)
        self._set(socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), _UNSENT_BYTES)
        self._watch_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader_due is None:
            self._reader_due = self.loop.call_later(self.reader_seconds, self._give_up_reader)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_reader_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_request_watch()
        self._end_reader_watch()
        super().connection_lost(exc)

    def _watch_request(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_request_watch()
        elif self._request_due is None:
            self._request_due = self.loop.call_later(self.request_seconds, self.transport.close)

    def _end_request_watch(self) -> None:
        if self._request_due is not None:
            self._request_due.cancel()
            self._request_due = None

    def _end_reader_watch(self) -> None:
        if self._reader_due is not None:
            self._reader_due.cancel()
            self._reader_due = None

    def _give_up_reader(self) -> None:
        self._set(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()  # closing would wait for what is not read

    def _set(self, level: int, option: int | None, value: int | bytes) -> None:
        """An option of the socket, where the system has it: it works without, and needs more memory."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if option is not None and connection is not None:
            with suppress(OSError):
                connection.setsockopt(level, option, value)
