"""What a worker tells systemd about itself (sd_notify(3)): that it is ready, what it does, that it lives, that it ends.

Elsewhere nobody listens, and nothing is sent. The protocol is a datagram of ``KEY=VALUE`` lines to the socket that the
environment names, and that is all of it, so no library stands here.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import MutableMapping
from typing import Self

from shared.domain.names import readable
from shared.log import Logger

_PINGS_PER_LIMIT = 4  # sd_watchdog_enabled(3) advises two; a ping may be late on a busy machine
_MOST_WORDS = 400  # characters of a status that systemctl shows on one line


class Notifier:
    """One worker's line to systemd, safe to use from several threads. It never blocks, and never ends any work.

    `watchdog_seconds` is the silence after which systemd takes this process for wedged and kills it; None: it does not
    look.
    """

    def __init__(self, address: str | None, watchdog_seconds: float | None, log: Logger) -> None:
        self._address = address
        self.watchdog_seconds = watchdog_seconds if address else None
        self._log = log
        self._due = 0.0
        self._said: str | None = None
        self._is_ready = self._has_complained = False
        self._mutex = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], log: Logger) -> Self:
        """The line that the environment names. Its variables are taken out: no child may speak for its worker."""
        address = environ.pop("NOTIFY_SOCKET", None)
        microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_meant = pid in ("", str(os.getpid()))
        watchdog = int(microseconds) / 1e6 if is_meant and microseconds.isdecimal() else None
        if address and not address.startswith(("/", "@")):
            log.warning(
                f"NOTIFY_SOCKET = {readable(address)} is no socket of this machine; systemd is told nothing",
                name="notify_lost",
            )
            address = None
        return cls(address, watchdog or None, log)

    def ready(self) -> None:
        """Say, once, that the worker has begun its work; from now on it must not fall silent."""
        with self._mutex:
            if not self._is_ready:
                self._is_ready = True
                self._send("READY=1")

    def alive(self) -> None:
        """Say that the work moves on. Only what does the work may call this; it is cheap, so call it at every turn."""
        if self.watchdog_seconds is None or time.monotonic() < self._due:
            return
        with self._mutex:
            self._due = time.monotonic() + self.watchdog_seconds / _PINGS_PER_LIMIT
            self._send("WATCHDOG=1")

    def doing(self, words: str) -> None:
        """Say what the worker does, as `systemctl status` shows it; the same words again are not sent."""
        with self._mutex:
            if words != self._said:
                self._said = words
                self._send(f"STATUS={readable(words)[:_MOST_WORDS]}")

    def stopping(self) -> None:
        """Say that the worker ends because it was asked to."""
        with self._mutex:
            self._send("STOPPING=1\nSTATUS=stopping")

    def rest(self, until: threading.Event, seconds: float) -> None:
        """Wait for an event, but no longer than some seconds: a wait that is meant is no silence."""
        end = time.monotonic() + seconds
        while not until.is_set() and (left := end - time.monotonic()) > 0:
            self.alive()
            until.wait(min(left, (self.watchdog_seconds or seconds) / _PINGS_PER_LIMIT))

    def _send(self, message: str) -> None:
        if self._socket is None or self._address is None:
            return
        # An abstract socket's name begins with a zero byte, which an environment variable cannot hold.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), socket.MSG_DONTWAIT, address)
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                self._log.warning(
                    f"systemd cannot be told how this worker fares ({readable(self._address)}: {error.strerror}); "
                    "if this goes on, its watchdog will take the worker for wedged",
                    name="notify_lost",
                )
