"""Serves the page: where it listens, who may come in, and how it ends."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import ValidationError

from console.saying import say
from console.web.app import application, live_view
from console.web.guard import Guard, cookie_of, is_loopback, read_token
from console.web.patience import Patience
from shared.config import Config, ConfigError
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.log import Logger, log_to_file, open_log
from shared.notify import Notifier
from shared.process import EXIT_FAILED, on_stop_signals
from shared.settings import Web

_MOST_CONNECTIONS = 200
_STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """One that ends well when it is asked to end, instead of by the signal that asked; systemd hears of its loop."""

    def __init__(self, config: uvicorn.Config, systemd: Notifier) -> None:
        super().__init__(config)
        self._systemd = systemd

    async def on_tick(self, counter: int) -> bool:
        self._systemd.ready()
        self._systemd.alive()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self._systemd.stopping()
        self.should_exit = True


class _Passed(logging.Handler):
    """What the libraries complain of becomes lines of our log."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning(record.getMessage(), name="web_server", exc_info=record.exc_info or None)


def serve(layout: Layout, settings: Config, listen: str | None) -> None:
    """Serve the page of a root until a signal comes.

    Args:
        listen: HOST:PORT instead of the configured one.

    Raises:
        ConfigError: `listen` is no such thing.
        RootError: the token cannot be used.
        MachineTrouble: it cannot listen there.
    """
    chosen = settings.web
    if listen:
        try:
            chosen = Web(listen=listen, names=settings.web.names)
        except ValidationError:
            raise ConfigError("--listen", (f"{listen} is not HOST:PORT, such as 127.0.0.1:8420",)) from None
    host, _, port = chosen.listen.rpartition(":")
    host = host.strip("[]")
    log = open_log("web", settings.log)
    log_to_file(settings.log, layout.log_file("web"))
    token = read_token(layout.web_token)
    try:
        listening = socket.create_server(
            (host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, reuse_port=False
        )
    except OSError as error:
        raise MachineTrouble(f"cannot listen at {chosen.listen}: {error.strerror or error}; see web.listen") from error
    names = frozenset(
        {"localhost", socket.gethostname().lower(), host.lower(), *(name.lower() for name in chosen.names)}
    )
    least = settings.worker.min_free_bytes
    live = live_view(layout, least)
    # Names that others know it by are a way for them to reach it, be it through a proxy.
    is_open = not is_loopback(host) or bool(chosen.names)
    guarded = Guard(application(layout, live, cookie_of(token), least), token, names, is_open, log)
    served = uvicorn.Config(
        guarded,
        http=Patience,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here goes by who a proxy says is asking
        ws="none",
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )
    shown_host = f"[{host}]" if ":" in host else host
    address = f"http://{shown_host}:{listening.getsockname()[1]}/"
    log.info(f"Serving {layout.root} at {address}", name="web_started")
    if sys.stdout.isatty():
        say(f"{address}#token={token}")
    systemd = Notifier.taken_from(os.environ, log)
    systemd.doing(f"serving {address}")
    server = _Server(served, systemd)
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = [_Passed(log)], False

    def stop() -> None:
        server.stop()
        live.stop()

    on_stop_signals(stop)
    server.run(sockets=[listening])
    log.info("The page has stopped", name="web_stopped")
    if not os.path.isdir(layout.root):  # noqa: PTH112 - False where it cannot be reached
        sys.exit(EXIT_FAILED)
