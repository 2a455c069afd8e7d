"""Receivers of alerts: a real HTTP server, a real mail server, and an alert to send."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.records.alerts import Alert

PATIENCE = 60.0  # with what is bound to happen


class Receiver:
    """An HTTP server that keeps what it is sent, and answers as it is told.

    Attributes:
        answers: statuses for the next requests; the last stays.
        delay: seconds before it answers.
    """

    def __init__(self) -> None:
        self.answers = [200]
        self.delay = 0.0
        self.location = ""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self._asked_to_stop = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._answer(self, body)

            def do_GET(self) -> None:
                receiver._answer(self, b"{}")

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in list(self.requests)]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that is bound to happen."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.bodies
            time.sleep(0.02)

    def got(self, **values: object) -> list[dict[str, Any]]:
        """The alerts with some values."""
        return [body for body in self.bodies if all(body.get(key) == value for key, value in values.items())]

    def close(self) -> None:
        self._asked_to_stop.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.requests.append((handler.command, handler.path, json.loads(body)))
        self._asked_to_stop.wait(self.delay)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        handler.send_response(status)
        if self.location:
            handler.send_header("Location", self.location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What :class:`Receiver` says."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def alert_of() -> Callable[..., Alert]:
    """Makes an alert, with some values changed."""

    def make(**changes: object) -> Alert:
        values: dict[str, object] = {
            "id": "5f0c",
            "kind": "task_failed",
            "state": "happened",
            "about": "3c1a",
            "title": "Failed fantasy/dragon: ffmpeg ended with status 1",
            "details": {"advice": "Look into stderr.log.", "path": "trash/failed/3c1a"},
            "farm": "box:/srv/reelmill",
            "when": "2026-11-20T18:03:44.000Z",
        }
        return Alert.model_validate(values | changes)

    return make
