"""The sockets under one fetch, kept in hand so that it can be ended from outside."""

from __future__ import annotations

import socket
from threading import Lock

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Wire:
    """The sockets of one try, so that another thread can cut them whatever they are waiting for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self.has_dialled = False
        """Whether a server's name was found, and a connection to it begun."""

    def hold(self, held: socket.socket | None) -> None:
        """Take *held* into this try; after a cut it is cut at once."""
        with self._lock:
            if held is not None:
                self._sockets.append(held)
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End all reading and writing, now and on sockets still to come."""
        with self._lock:
            self._is_cut = True
            for held in self._sockets:
                try:
                    # Not held.shutdown(): a TLS socket drops its state there while the other thread reads.
                    socket.socket.shutdown(held, socket.SHUT_RDWR)
                except OSError:
                    continue  # closed already

    def tie(self, session: requests.Session) -> None:
        """Hold every socket that *session* opens from now on."""
        wire = self

        class Connection(HTTPConnection):
            def connect(self) -> None:
                wire.has_dialled = True
                super().connect()
                wire.hold(self.sock)

        class TLSConnection(HTTPSConnection):
            def connect(self) -> None:
                wire.has_dialled = True
                super().connect()
                wire.hold(self.sock)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class TLSPool(HTTPSConnectionPool):
            ConnectionCls = TLSConnection

        for adapter in session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                adapter.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}
