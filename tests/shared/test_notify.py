"""What a worker tells systemd: datagrams on a real socket, in the words of sd_notify(3)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.log import Logger, open_log
from shared.notify import Notifier
from shared.settings import Log


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that listens as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


@pytest.fixture
def told(manager: socket.socket) -> Callable[[], list[str]]:
    """Everything that has arrived and was not read yet."""

    def read() -> list[str]:
        manager.setblocking(False)
        found = []
        try:
            while True:
                found.append(manager.recv(65536).decode())
        except BlockingIOError:
            return found

    return read


def line_to(manager: socket.socket, log: Logger, **variables: str) -> Notifier:
    return Notifier.taken_from({"NOTIFY_SOCKET": manager.getsockname(), **variables}, log)


def test_everything_a_worker_says_arrives(manager: socket.socket, log: Logger, told: Callable[[], list[str]]) -> None:
    """Ready only once, and the same words only once: `systemctl status` shows the last."""
    line = line_to(manager, log)
    line.ready()
    line.ready()
    line.doing("idle")
    line.doing("idle")
    line.doing("working")
    line.stopping()
    assert told() == ["READY=1", "STATUS=idle", "STATUS=working", "STOPPING=1\nSTATUS=stopping"]


def test_a_hostile_name_cannot_speak_for_the_worker(
    manager: socket.socket, log: Logger, told: Callable[[], list[str]]
) -> None:
    """A line break in a file's name would begin a message of its own, such as STOPPING=1."""
    line_to(manager, log).doing("rendering a\nSTOPPING=1\x1b[2J\udcff" + 1000 * "x")
    (message,) = told()
    assert message.startswith("STATUS=rendering a\\nSTOPPING=1\\x1b[2J\\udcff")
    assert len(message) < 500


def test_nobody_listens_and_nothing_happens(log: Logger) -> None:
    """A worker that was started by hand says nothing, and its rest is as long as asked for."""
    line = Notifier.taken_from({"WATCHDOG_USEC": "1000000"}, log)
    assert line.watchdog_seconds is None
    line.ready()
    line.alive()
    line.doing("idle")
    started = time.monotonic()
    line.rest(threading.Event(), 0.05)
    assert time.monotonic() - started >= 0.05


def test_the_variables_are_taken_out_of_the_environment(manager: socket.socket, log: Logger) -> None:
    """No ffmpeg may speak for its worker."""
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.taken_from(environment, log)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": f"{os.getpid()}"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_the_one_meant_for_this_process(
    manager: socket.socket, log: Logger, variables: dict[str, str], seconds: float | None
) -> None:
    """As sd_watchdog_enabled(3) decides it: the time in microseconds, and whose it is."""
    assert line_to(manager, log, **variables).watchdog_seconds == seconds


def test_pings_come_four_times_within_the_limit_however_often_there_is_life(
    manager: socket.socket, log: Logger, told: Callable[[], list[str]]
) -> None:
    """A loop may turn a thousand times a second."""
    line = line_to(manager, log, WATCHDOG_USEC="400000")
    end = time.monotonic() + 0.35
    while time.monotonic() < end:
        line.alive()
    assert told() == ["WATCHDOG=1"] * 4


def test_a_long_rest_is_no_silence_and_ends_at_once_when_it_must(
    manager: socket.socket, log: Logger, told: Callable[[], list[str]]
) -> None:
    """`worker.poll_seconds` may be longer than the watchdog's patience."""
    line = line_to(manager, log, WATCHDOG_USEC="200000")
    line.rest(threading.Event(), 0.5)
    assert len(told()) >= 6
    ended = threading.Event()
    threading.Timer(0.1, ended.set).start()
    started = time.monotonic()
    line.rest(ended, 600)
    assert time.monotonic() - started < 5


def test_an_abstract_socket_is_reached(log: Logger) -> None:
    """Its name begins with @ in the environment and with a zero byte in the kernel."""
    name = f"reelmill-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(10)
        Notifier.taken_from({"NOTIFY_SOCKET": f"@{name}"}, log).ready()
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["vsock:2:1234", "/nonexistent/notify"])
def test_a_socket_that_cannot_be_reached_is_told_once_and_hinders_nothing(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wonders why systemd restarts the worker finds it in the log."""
    log = open_log("tests", Log(file=False))
    line = Notifier.taken_from({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}, log)
    for _ in range(3):
        line.ready()
        line.doing("idle")
        line.alive()
    assert capsys.readouterr().err.count("event=notify_lost") == 1


def test_a_full_socket_blocks_nobody(manager: socket.socket, log: Logger) -> None:
    """A manager that does not read must not stop a render."""
    line = line_to(manager, log)
    started = time.monotonic()
    for number in range(5_000):
        line.doing(f"{number}")
    assert time.monotonic() - started < 30
