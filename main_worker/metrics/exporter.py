"""How Prometheus gets the metrics: served at an address, and as a text file for node_exporter."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from main_worker.metrics.families import Families
from shared.domain.errors import MachineTrouble
from shared.files import write_hint
from shared.settings import Metrics

FILE = "reelmill.prom"
_CLIENT_SECONDS = 10.0  # a client that connects and asks nothing would hold a thread for ever
_POLL_SECONDS = 0.2  # how soon the server sees that it is to end


class _Quiet(WSGIRequestHandler):
    timeout = _CLIENT_SECONDS

    def log_message(self, *_: object) -> None:
        """The log of the farm is not that of requests."""


class _Server(ThreadingWSGIServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away amid an answer is nobody's trouble."""


class _ServerOfSix(_Server):
    address_family = socket.AF_INET6


class Exporter:
    """What one main worker tells Prometheus, from :attr:`families`."""

    def __init__(self, settings: Metrics) -> None:
        self._settings = settings
        self._server: _Server | None = None
        self.families = Families()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self.families)

    @property
    def port(self) -> int | None:
        """Where it is served now, or None."""
        return self._server.server_port if self._server else None

    def tell(self) -> list[MachineTrouble]:
        """Serve, if it is not served yet, and write the file; what did not work is tried again at the next call."""
        troubles = []
        for step in (self._serve, self._write):
            try:
                step()
            except MachineTrouble as error:
                troubles.append(error)
        return troubles

    def close(self) -> None:
        """End serving, and take the file away: figures of a main worker that has stopped are old ones."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._settings.textfile:
            self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return Path(self._settings.textfile).expanduser() / FILE

    def _serve(self) -> None:
        listen = self._settings.listen
        if self._server or not listen:
            return
        host, _, port = listen.rpartition(":")
        bare = host.strip("[]")
        try:
            kind = _ServerOfSix if ":" in bare else _Server
            server = make_server(bare, int(port), make_wsgi_app(self._registry), kind, _Quiet)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise MachineTrouble(
                f"Prometheus cannot be served at metrics.listen = {listen}: {why}. Stop what listens there, or choose "
                f'another port; metrics.listen = "" serves nothing. Everything else goes on, and it is tried again'
            ) from error
        self._server = server
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True).start()

    def _write(self) -> None:
        if not self._settings.textfile:
            return
        try:
            write_hint(self._path, generate_latest(self._registry))
        except OSError as error:
            raise MachineTrouble(
                f"Metrics cannot be written to metrics.textfile = {self._settings.textfile}: {error.strerror}. Make "
                f'this folder, let this user write into it, or set metrics.textfile = "". Everything else goes on'
            ) from error
