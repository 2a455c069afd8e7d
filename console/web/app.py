"""The application behind the guard: the page, the JSON, the stream, and the media of finished videos."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from heapq import merge
from importlib.resources import files
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig

from console.history import Event, events
from console.logs import Tail, latest
from console.options import in_words
from console.show import Shown, shown
from console.web.events import ALIVE, Events
from console.web.guard import COOKIE
from console.web.live import Live
from console.web.media import media
from console.web.plain import PlainJSON
from console.web.verbs import TaskId, verbs
from console.web.view import Looking, Video, View
from console.where import Whereabouts, whereabouts
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.records.record import RecordError
from shared.store import Store
from shared.version import PROGRAM

_ALIVE_SECONDS = 15.0  # proxies cut what is silent for long
_MOST_LOGS, _LOG_BYTES = 20, 64 * 1024  # a page that shows them asks every two seconds
_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_STATIC = files("console.web") / "static"


def live_view(layout: Layout, min_free_bytes: int | None = None) -> Live:
    """What the stream of a root tells, looked at once for all who watch."""
    events = Events(Looking(layout, min_free_bytes).look)
    return Live(events.now, late=events.late)


def application(  # noqa: C901 - one small function for each address
    layout: Layout, live: Live, cookie: str, min_free_bytes: int | None = None
) -> FastAPI:
    """Everything that is served for one root.

    Args:
        cookie: what a browser shows with pictures and videos once it has shown the token.
        min_free_bytes: as configured; None where nobody knows.
    """
    app = FastAPI(
        title="Reelmill",
        version=PROGRAM,
        description="The farm behind the page: what it does, and the verbs of its operators.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        default_response_class=PlainJSON,
        telemetry=_SILENT,
    )
    store = Store(layout)
    app.mount("/static", StaticFiles(directory=str(_STATIC)), name="static")
    app.include_router(verbs(layout))
    app.include_router(media(layout))
    for kind in (OSError, ReelmillError):
        app.add_exception_handler(kind, _unreachable)

    @app.head("/", include_in_schema=False)
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return (_STATIC / "index.html").read_text("utf-8")

    @app.post("/api/session")
    def session() -> Response:
        """Have the browser show a cookie with pictures and videos, which cannot send the token."""
        response = Response(status_code=204)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
        return response

    @app.get("/api/farm")
    def farm() -> View:
        """The farm as the page shows it."""
        return Looking(layout, min_free_bytes).look()

    @app.get("/api/videos")
    def videos(
        after: Annotated[str, Query(max_length=36)], limit: Annotated[int, Query(ge=1, le=100)] = 24
    ) -> list[Video]:
        """The finished videos that are older than one of them, newest first."""
        return Looking(layout).older(after, limit)

    @app.get("/api/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    def stream() -> StreamingResponse:
        """The same as server-sent events, whenever it changes.

        One named `unreachable` says since when and why it cannot be read, `alive` that nothing has changed.
        """
        return StreamingResponse(_events(live), media_type="text/event-stream")

    @app.get("/api/tasks/{task_id}")
    def task(task_id: TaskId) -> Shown:
        """All that is known of a task."""
        state = store.find(task_id)
        if state is None:
            raise HTTPException(404, f"there is no task {task_id}")
        try:
            label = store.metadata(state, task_id).label
        except (RecordError, FileNotFoundError):
            label = task_id
        return shown(layout, task_id, label, state)

    @app.get("/api/history")
    def history(limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[Event]:
        """What ended last, newest first."""
        return events(layout, limit)

    @app.get("/api/where")
    def where(name: Annotated[str, Query(min_length=1, max_length=500)]) -> list[Whereabouts]:
        """What became of the drops of a name."""
        return list(whereabouts(layout, name))

    @app.get("/api/logs")
    def logs(lines: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[str]:
        """The last lines of the logs of all workers, by time: of the ends of the twenty that were written last."""
        last = deque(merge(*(Tail(path).last(_LOG_BYTES) for path in latest(layout, _MOST_LOGS))), maxlen=lines)
        return [line for entry in last for line in entry.text.splitlines()][-lines:]

    return app


async def _events(live: Live) -> AsyncIterator[str]:
    async with aclosing(live.changes(_ALIVE_SECONDS)) as changes:
        async for event in changes:
            yield event or ALIVE


async def _unreachable(_request: Request, error: Exception) -> Response:
    words = in_words(error) if isinstance(error, OSError | ReelmillError) else str(error)
    return PlainJSON({"detail": words}, 503)
