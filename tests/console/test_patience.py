"""What becomes of clients that ask for much and do not read it, over real connections."""

from __future__ import annotations

import asyncio
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

import pytest
import uvicorn

from console.web.app import application
from console.web.live import Live
from console.web.patience import Patience
from shared.domain.layout import FINAL, Layout
from shared.domain.task import TaskState

SECONDS = 1.0
TASK = "7f9c2ba4-e88f-827d-6160-45507605853e"
LARGE, MODEST = 64 << 20, 3 << 20  # far beyond what sockets hold by themselves, and about that


class Hasty(Patience):
    """One for tests."""

    reader_seconds: ClassVar = SECONDS


class Served:
    """A server in a thread of this process, whose connections and open files can be counted."""

    def __init__(self, layout: Layout, words: Iterator[int]) -> None:
        self.layout = layout
        live = Live(lambda: f"data: {next(words)} {'x' * 500_000}\n\n", 0.01)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(layout, live, "cookie"),
                http=Hasty,
                ws="none",
                lifespan="off",
                log_config=None,
                timeout_keep_alive=1,
            )
        )
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([self._listening])))
        self._live = live

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._live.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def ask(self, path: str, **headers: str) -> socket.socket:
        """A connection on which something was asked for, and nothing is read yet."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # so that little waits on this side
        connection.connect(self._listening.getsockname())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode())
        return connection

    def is_quiet(self) -> bool:
        """Whether nobody is connected, nothing is answered, and no video is open."""
        held = [link for link in Path("/proc/self/fd").iterdir() if _target(link).endswith(f"{TASK}/{FINAL}")]
        return not (self._server.server_state.connections or self._server.server_state.tasks or held)


def _target(link: Path) -> str:
    with suppress(OSError):  # it is closed meanwhile
        return str(link.readlink())
    return ""


@pytest.fixture
def served(layout: Layout) -> Iterator[Served]:
    """The page of a root in which all answers can be large."""
    output = layout.task(TaskState.FINISHED, TASK)
    output.mkdir()
    with (output / FINAL).open("wb") as video:
        video.truncate(LARGE)
    (output / "poster.jpg").write_bytes(bytes(range(256)) * (MODEST // 256))
    for number in range(20):
        line = f'2026-11-27T06:00:{number:02d}Z INFO main_worker "{"x" * 1000}" event=e\n'
        (layout.logs / f"render_worker-{number}.log").write_text(line * 60)
    with Served(layout, itertools.count()) as found:
        yield found


def until(happened: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/media/{TASK}/video", {}),
        (f"/media/{TASK}/video", {"Range": "bytes=1000-"}),
        ("/api/stream", {}),
        ("/api/logs?lines=1000", {}),
    ],
)
def test_one_who_reads_nothing_is_cut_off(served: Served, path: str, headers: dict[str, str]) -> None:
    """After the limit and not before, be the answer still being made or long complete; nothing of it is kept."""
    begun = time.monotonic()
    with served.ask(path, **headers) as connection:
        ending = select.poll()
        ending.register(connection, 0)  # of errors and ends it tells always
        assert ending.poll(int(SECONDS * 700)) == []
        assert ending.poll(5_000), "the connection is held"
        assert SECONDS <= time.monotonic() - begun < SECONDS + 3
        until(served.is_quiet)


def test_no_remainder_is_small_enough_to_be_kept(served: Served) -> None:
    """Whatever of an answer lies with the server once it is complete: from nothing to what it takes for much."""
    ends = range(100_000, 700_000, 20_000)
    asking = [served.ask(f"/media/{TASK}/video", Range=f"bytes=0-{end}") for end in ends]
    try:
        until(lambda: not served.is_quiet())
        until(served.is_quiet)
    finally:
        for connection in asking:
            connection.close()


def test_one_who_reads_slowly_is_served_whole(served: Served) -> None:
    """Several times as long as one who reads nothing would be waited for."""
    got = bytearray()
    begun = time.monotonic()
    with served.ask(f"/media/{TASK}/poster", Connection="close") as connection:
        while block := connection.recv(16 * 1024):
            got += block
            time.sleep(0.02)
    assert time.monotonic() - begun > 3 * SECONDS
    assert bytes(got).endswith(b"\r\n\r\n" + bytes(range(256)) * (MODEST // 256))


def test_one_who_begins_to_read_in_time_is_served_whole(served: Served) -> None:
    """Again and again: each time it took something, it is waited for anew."""
    got = 0
    with served.ask(f"/media/{TASK}/video", Range=f"bytes=0-{MODEST - 1}", Connection="close") as connection:
        for _ in range(4):
            time.sleep(SECONDS * 0.6)
            got += len(connection.recv(600_000, socket.MSG_WAITALL))
        while block := connection.recv(1 << 20):
            got += len(block)
    assert got > MODEST
