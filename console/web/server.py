"""``reelmill web``: serves the page."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import click
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from console.options import config_option, plain_errors, root_option, root_to_change
from console.web.app import application
from console.web.guard import Guard, is_loopback, read_token
from shared.config import load_config
from shared.domain.errors import MachineTrouble
from shared.log import log_to_file, open_log
from shared.process import EXIT_FAILED, config_path
from shared.settings import Web

_HEADER_SECONDS = 10.0  # a browser sends its request in one go
_MOST_CONNECTIONS = 200
_STOP_SECONDS = 5


class _Impatient(H11Protocol):
    """Cuts a connection on which no request has come whole after some seconds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_HEADER_SECONDS, self._cut_if_idle)

    def _cut_if_idle(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


@click.command("web")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of web.listen.")
@root_option
@config_option
@plain_errors
def web(listen: str | None, given_root: Path | None, config: Path | None) -> None:
    """Serve a page that shows the farm, on this machine only unless web.listen says otherwise."""
    layout = root_to_change(given_root, config)
    settings = load_config(config_path(layout, str(config) if config else None))
    chosen = Web.model_validate({**settings.web.model_dump(), **({"listen": listen} if listen else {})})
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
    guarded = Guard(application(layout, token), token, names, is_open=not is_loopback(host))
    served = uvicorn.Config(
        guarded,
        http=_Impatient,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )
    shown_host = f"[{host}]" if ":" in host else host
    address = f"http://{shown_host}:{listening.getsockname()[1]}/"
    log.info(f"Serving {layout.root} at {address}", name="web_started")
    if sys.stdout.isatty():
        click.echo(f"{address}#token={token}")
    uvicorn.Server(served).run(sockets=[listening])
    log.info("The page has stopped", name="web_stopped")
    if not os.path.isdir(layout.root):  # noqa: PTH112 - False where it cannot be reached
        sys.exit(EXIT_FAILED)
