"""One SFTP channel: paramiko's client, with what it keeps to itself.

Those are the server's extensions; a link that broke (:class:`Broken`) told from a server that refused (an OSError, of
which EEXIST, ENOTEMPTY and ENOSPC all say no more than "Failure"); the error of a close; and reads and writes that do
not wait for each other, without the threads that paramiko's own prefetching leaves behind when a link breaks.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from paramiko.channel import Channel
from paramiko.common import DEBUG
from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_EXTENDED_REPLY,
    CMD_HANDLE,
    CMD_INIT,
    CMD_NAME,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_REMOVE,
    CMD_STATUS,
    CMD_VERSION,
    CMD_WRITE,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_EXCL,
    SFTP_FLAG_READ,
    SFTP_FLAG_TRUNC,
    SFTP_FLAG_WRITE,
    SFTPError,
    int64,
)
from paramiko.sftp_attr import SFTPAttributes
from paramiko.sftp_client import SFTPClient

from shared.tree.tree import BLOCK, MOST_BYTES, TreeTrouble
from shared.tree.width import FEW, QUEUE_SECONDS, Width

_VERSION = 3
_SENT_QUEUE_SECONDS = 0.05  # behind what is sent, the requests wait for all that is to come the other way
_SLOW_BYTES = 20e6  # a disk that works off fewer bytes per second than this is taken for one that stands still
POSIX_RENAME, HARD_LINK, FSYNC, HASH = (
    "posix-rename@openssh.com",
    "hardlink@openssh.com",
    "fsync@openssh.com",
    "check-file",
)


class Broken(Exception):
    """The link broke or stood still; whether a request that was on its way has been carried out is unknown."""


class How(IntFlag):
    """How a file is opened."""

    READ = SFTP_FLAG_READ
    WRITE = SFTP_FLAG_WRITE
    CREATE = SFTP_FLAG_CREATE
    TRUNCATE = SFTP_FLAG_TRUNC
    EXCLUSIVE = SFTP_FLAG_EXCL


class Session(SFTPClient):
    """A channel, for one thread at a time. Methods raise OSError for what the server refuses."""

    if TYPE_CHECKING:  # what paramiko's stubs leave out; the conformance tests notice when it changes

        def _send_packet(self, kind: int, packet: Message) -> None: ...
        def _read_packet(self) -> tuple[int, bytes]: ...
        def _request(self, kind: int, *arguments: Any) -> tuple[int, Message]: ...
        def _async_request(self, replies: object, kind: int, *arguments: Any) -> int: ...
        def _read_response(self) -> None: ...
        def _convert_status(self, reply: Message) -> None: ...

    def __init__(self, channel: Channel) -> None:
        self.extensions: frozenset[str] = frozenset()
        super().__init__(channel)

    # -- what paramiko does otherwise ------------------------------------------------------------

    def _send_version(self) -> int:
        """Say hello, and keep what the server says it can do besides."""
        hello = Message()
        hello.add_int(_VERSION)
        self._send_packet(CMD_INIT, hello)
        kind, data = self._read_packet()
        if kind != CMD_VERSION:
            raise Broken("what answers there does not speak SFTP")
        reply = Message(data)
        version = reply.get_int()
        found = set()
        while reply.get_remainder():
            found.add(reply.get_text())
            reply.get_string()
        self.extensions = frozenset(found)
        return version

    def _read_all(self, size: int) -> bytes:
        try:
            return bytes(super()._read_all(size))  # type: ignore[misc]
        except (EOFError, OSError) as error:
            raise Broken(str(error) or type(error).__name__) from error

    def _write_all(self, content: bytes) -> None:
        try:
            super()._write_all(content)  # type: ignore[misc]
        except (EOFError, OSError) as error:
            raise Broken(str(error) or type(error).__name__) from error

    def _adjust_cwd(self, path: str | bytes) -> bytes:
        """A name as bytes, be they valid UTF-8 or not, as Python has them of this machine's files."""
        return os.fsencode(path)

    def _log(self, level: int, message: Any, *arguments: Any) -> None:
        """Say nothing of single requests: paramiko formats a line for each even where nobody reads it."""
        if level > DEBUG:
            super()._log(level, message, *arguments)  # type: ignore[misc]

    # -- folders ---------------------------------------------------------------------------------

    def entries(self, path: str) -> list[tuple[str, int]]:
        """The names in a folder and their modes, links as such; paramiko's own listing fails at names not in UTF-8."""
        kind, reply = self._request(CMD_OPENDIR, self._adjust_cwd(path))
        if kind != CMD_HANDLE:
            raise SFTPError(f"the server answered the opening of {path} with {kind}")
        handle = reply.get_binary()
        found = []
        flight = _Flight()
        try:
            while True:
                while flight.has_room:
                    flight.sent(self._async_request(flight, CMD_READDIR, handle), 0)
                number, _ = flight.next()
                reply = self._reply(flight, number, CMD_NAME)
                for _ in range(reply.get_int()):
                    name = os.fsdecode(reply.get_binary())
                    reply.get_binary()  # the line that ls -l would print
                    mode = SFTPAttributes._from_msg(reply).st_mode or 0  # type: ignore[attr-defined]  # noqa: SLF001
                    if name not in (".", ".."):
                        found.append((name, mode))
        except EOFError:
            self._close_unheard(handle)
        return found

    def remove_all(self, paths: Iterable[str]) -> None:
        """Remove files and links, without waiting for one before the next; one that is gone already is fine.

        The first refusal is raised when all have been tried.
        """
        flight = _Flight()
        refusals: list[OSError] = []
        for path in paths:
            while not flight.has_room:
                self._removed(flight, refusals)
            flight.sent(self._async_request(flight, CMD_REMOVE, self._adjust_cwd(path)), 0)
        while not flight.is_empty:
            self._removed(flight, refusals)
        if refusals:
            raise refusals[0]

    # -- files -----------------------------------------------------------------------------------

    @contextmanager
    def opened(self, path: str, how: How) -> Iterator[bytes]:
        """The handle of an open file; that closing fails is an error, as a full disk may only say so then."""
        handle = self._open(path, how)
        try:
            yield handle
        except Broken:
            raise
        except BaseException:
            with suppress(Broken, OSError):  # what went wrong before is what is to be told
                self._request(CMD_CLOSE, handle)
            raise
        if How.WRITE in how:
            self._request(CMD_CLOSE, handle)
        else:
            self._close_unheard(handle)

    def write_whole(self, path: str, how: How, content: bytes = b"", *, durable: bool = True) -> None:
        """Open a file or folder, write what is small, have it made durable and close it, waiting twice in all."""
        handle = self._open(path, how)
        flight = _Flight()
        numbers = [
            self._async_request(flight, CMD_WRITE, handle, int64(start), content[start : start + BLOCK])
            for start in range(0, len(content), BLOCK)
        ]
        if durable and FSYNC in self.extensions:
            numbers.append(self._async_request(flight, CMD_EXTENDED, FSYNC, handle))
        numbers.append(self._async_request(flight, CMD_CLOSE, handle))
        refusals = []
        for number in numbers:
            try:
                self._reply(flight, number, CMD_STATUS)
            except OSError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    def read_from(self, handle: bytes, offset: int, size: int | None = None) -> Iterator[bytes]:
        """What an open file holds from `offset` to its end, in order, with several requests on their way.

        Of a file that should have a size, no more is asked for than tells whether it goes on behind that.
        """
        flight = _Flight()
        at = offset
        while True:
            while flight.has_room and (flight.is_empty or size is None or at <= size):
                flight.sent(self._async_request(flight, CMD_READ, handle, int64(at), BLOCK), at)
                at += BLOCK
            number, start = flight.next()
            try:
                block = self._reply(flight, number, CMD_DATA).get_string()
            except EOFError:
                return
            yield block
            if len(block) < BLOCK:  # the end, or a server of small answers: ask for what follows directly
                flight = _Flight(1)
                at = start + len(block)

    def read_each(self, paths: Sequence[str]) -> list[bytes | OSError]:
        """What several files hold, in their order, or why one cannot be read; waits as often as for one of them.

        All of them are open at once: a few dozen at most are within what every server allows.
        """
        flight = _Flight()
        asked = [
            self._async_request(flight, CMD_OPEN, self._adjust_cwd(path), int(How.READ), SFTPAttributes())
            for path in paths
        ]
        found: list[bytes | OSError] = []
        handles: dict[int, bytes] = {}
        for place, number in enumerate(asked):
            try:
                handles[place] = self._reply(flight, number, CMD_HANDLE).get_binary()
                found.append(b"")
            except OSError as error:
                found.append(error)
        unread = dict(handles)
        while unread:
            numbers = {
                place: self._async_request(flight, CMD_READ, handle, int64(len(_content(found[place]))), BLOCK)
                for place, handle in unread.items()
            }
            for place, number in numbers.items():
                try:
                    found[place] = _content(found[place]) + self._reply(flight, number, CMD_DATA).get_string()
                    if len(_content(found[place])) > MOST_BYTES:
                        raise TreeTrouble(f"{paths[place]} is larger than {MOST_BYTES} bytes: it is not read whole")
                except EOFError:
                    del unread[place]
                except OSError as error:
                    found[place] = error
                    del unread[place]
        for handle in handles.values():
            self._close_unheard(handle)
        return found

    def write_from(self, handle: bytes, offset: int, blocks: Iterable[bytes]) -> Iterator[int]:
        """Write blocks of at most :data:`BLOCK` bytes, in order; yields up to which offset the server has them."""
        flight = _Flight(queue_seconds=_SENT_QUEUE_SECONDS)
        at = offset
        for block in blocks:
            for piece in flight.pieces(block):
                number = self._async_request(flight, CMD_WRITE, handle, int64(at), piece)
                at += len(piece)
                flight.sent(number, at, len(piece))
                while not flight.has_room:
                    yield self._written(flight)
        while not flight.is_empty:
            yield self._written(flight)

    def write(self, handle: bytes, content: bytes, offset: int = 0) -> None:
        """Write a whole small file, or what comes from an offset on."""
        blocks = (content[start : start + BLOCK] for start in range(0, len(content), BLOCK))
        for _ in self.write_from(handle, offset, blocks):
            pass

    def fsync(self, handle: bytes, size: int = 0) -> None:
        """Make an open file of a size, or a folder, survive a power loss, where the server can."""
        if FSYNC in self.extensions:
            with self._patient(size):
                self._request(CMD_EXTENDED, FSYNC, handle)

    def hard_link(self, source: str, target: str) -> None:
        """Give a file a second name, which must be free."""
        self._request(CMD_EXTENDED, HARD_LINK, self._adjust_cwd(source), self._adjust_cwd(target))

    def sha256(self, handle: bytes, size: int) -> str | None:
        """The hash of an open file as the server counts it; None where it does not (OpenSSH has no such extension)."""
        if HASH not in self.extensions or not size:
            return None
        try:
            with self._patient(size):
                kind, reply = self._request(CMD_EXTENDED, HASH, handle, "sha256", int64(0), int64(size), 0)
        except OSError:  # it has the extension, but not this hash
            return None
        if kind != CMD_EXTENDED_REPLY:
            return None
        rest = reply.get_remainder()
        # Some servers repeat the extension's name before the algorithm's, the drafts do not: the hash comes last.
        return bytes(rest[-32:]).hex() if b"sha256" in rest[:-32] else None

    # -- steps -----------------------------------------------------------------------------------

    def _open(self, path: str, how: How) -> bytes:
        kind, reply = self._request(CMD_OPEN, self._adjust_cwd(path), int(how), SFTPAttributes())
        if kind != CMD_HANDLE:
            raise SFTPError(f"the server answered the opening of {path} with {kind}")
        return reply.get_binary()

    def _close_unheard(self, handle: bytes) -> None:
        """Close what was only read: the answer says nothing, and is passed over when it comes."""
        self._async_request(type(None), CMD_CLOSE, handle)

    def _removed(self, flight: _Flight, refusals: list[OSError]) -> None:
        number, _ = flight.next()
        try:
            self._reply(flight, number, CMD_STATUS)
        except FileNotFoundError:
            pass
        except OSError as error:
            refusals.append(error)

    @contextmanager
    def _patient(self, size: int) -> Iterator[None]:
        """Wait longer for one answer, for which the server has to go through a whole file."""
        usual = self.sock.gettimeout()
        self.sock.settimeout((usual or 0) + size / _SLOW_BYTES)
        try:
            yield
        finally:
            self.sock.settimeout(usual)

    def _written(self, flight: _Flight) -> int:
        number, until = flight.next()
        self._reply(flight, number, CMD_STATUS)
        return until

    def _reply(self, flight: _Flight, number: int, wanted: int) -> Message:
        while number not in flight.come:
            self._read_response()
        kind, reply = flight.come.pop(number)
        if kind == CMD_STATUS:
            self._convert_status(reply)
        if kind != wanted:
            raise SFTPError(f"the server answered with {kind} instead of {wanted}")
        return reply


def _content(found: bytes | OSError) -> bytes:
    """What has been read so far, of a file that could be."""
    return b"" if isinstance(found, OSError) else found


class _Flight:
    """Requests on their way that do not wait for each other, answered in their order."""

    def __init__(self, few: int = FEW, queue_seconds: float = QUEUE_SECONDS) -> None:
        self.come: dict[int, tuple[int, Message]] = {}
        self._asked: deque[tuple[int, int, float, int]] = deque()
        self._width = Width(few, queue_seconds)
        self._oldest = 0.0, 0

    @property
    def has_room(self) -> bool:
        return len(self._asked) < self._width.most

    @property
    def is_empty(self) -> bool:
        return not self._asked

    def pieces(self, block: bytes) -> Iterator[bytes]:
        """A block, as it should be sent over this line."""
        start = 0
        while start < len(block):
            piece = block[start : start + self._width.piece]
            yield piece
            start += len(piece)

    def sent(self, number: int, offset: int, size: int = 0) -> None:
        self._asked.append((number, offset, time.monotonic(), size))

    def next(self) -> tuple[int, int]:
        """The oldest request and its offset, to be waited for."""
        number, offset, since, size = self._asked.popleft()
        self._oldest = since, size
        return number, offset

    def _async_response(self, kind: int, reply: Message, number: int) -> None:
        """Called by paramiko, by this name, with each answer."""
        self.come[number] = (kind, reply)
        since, size = self._oldest
        self._width.answered(since, time.monotonic(), size)
