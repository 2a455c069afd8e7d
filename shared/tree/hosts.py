"""Whether a server is the one it was last time: OpenSSH's `known_hosts`, kept by who set the node up."""

from __future__ import annotations

import os
from enum import Enum, auto
from pathlib import Path

from paramiko.client import MissingHostKeyPolicy, SSHClient
from paramiko.hostkeys import HostKeyEntry
from paramiko.pkey import PKey

from shared.tree.tree import TreeTrouble


class Refusal(Enum):
    """Why there is no link, where waiting does not help."""

    STRANGER = auto()
    OTHER_KEY = auto()
    LOCKED_KEY = auto()
    NOT_LET_IN = auto()
    UNREADABLE = auto()
    NO_KEY = auto()
    NO_SFTP = auto()


class LinkRefused(TreeTrouble):
    """There is a server, but it is not to be trusted or does not let this node in: somebody has to do something."""

    def __init__(self, why: Refusal, message: str) -> None:
        super().__init__(message, everywhere=True)
        self.why = why


class Strangers(MissingHostKeyPolicy):
    """What becomes of a host that is not in `known_hosts`: refused, or believed once and written down."""

    def __init__(self, known_hosts: Path, *, trust_first: bool) -> None:
        self._known_hosts = known_hosts
        self._trust_first = trust_first

    def missing_host_key(self, _client: SSHClient, hostname: str, key: PKey) -> None:
        """Called by paramiko in the middle of a handshake; raising ends it."""
        fingerprint = f"{key.get_name()} {key.fingerprint}"
        if not self._trust_first:
            raise LinkRefused(
                Refusal.STRANGER,
                f"{hostname} is not in {self._known_hosts}. It shows the key {fingerprint}. Compare that with what "
                f"ssh-keygen -lf says on the server, then add it: ssh-keyscan prints the line that is missing",
            )
        self._known_hosts.parent.mkdir(parents=True, exist_ok=True)
        line = HostKeyEntry([hostname], key).to_line() or ""
        handle = os.open(self._known_hosts, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, line.encode())  # one write, so that two workers that start together leave whole lines
        finally:
            os.close(handle)
