"""The application behind the guard: the page, the JSON, the stream, and the media of finished videos."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from heapq import merge
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from console.history import Event, events
from console.logs import Tail
from console.logs import files as log_files
from console.show import Shown, shown
from console.web.guard import COOKIE
from console.web.verbs import TaskId, verbs
from console.web.view import Looking, View
from console.where import Whereabouts, whereabouts
from shared.domain.layout import CAPTIONS, POSTER, SHEET, Layout
from shared.domain.task import TaskState
from shared.records.record import RecordError
from shared.store import Store
from shared.version import PROGRAM

_SECONDS = 1.0  # nodes say what they do once a second
_ALIVE_SECONDS = 15.0  # proxies cut what is silent for long
_KINDS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}
_STATIC = files("console.web") / "static"


def application(layout: Layout, token: str) -> FastAPI:  # noqa: C901 - one small function for each address
    """Everything that is served for one root."""
    app = FastAPI(
        title="Reelmill",
        version=PROGRAM,
        description="The farm behind the page: what it does, and the verbs of its operators.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    store = Store(layout)
    app.mount("/static", StaticFiles(directory=str(_STATIC)), name="static")
    app.include_router(verbs(layout))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return (_STATIC / "index.html").read_text("utf-8")

    @app.post("/api/session")
    def session() -> Response:
        """Have the browser show the token as a cookie too, for pictures and videos; it is in the request already."""
        response = Response(status_code=204)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return response

    @app.get("/api/farm")
    def farm() -> View:
        """The farm as the page shows it."""
        return Looking(layout).look()

    @app.get("/api/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    def stream(request: Request) -> StreamingResponse:
        """The same as server-sent events, as often as it changes."""
        return StreamingResponse(_events(layout, request), media_type="text/event-stream")

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
        """The last lines of the logs of all workers."""
        kept = merge(*(Tail(path).kept() for path in log_files(layout)))
        return [entry.text for entry in deque(kept, maxlen=lines)]

    @app.get("/media/{task_id}/{what}", response_class=FileResponse)
    def media(task_id: TaskId, what: str) -> FileResponse:
        """What a finished task has: ``video``, ``poster``, ``sheet`` or ``captions``; parts of it on request."""
        folder = layout.task(TaskState.FINISHED, task_id)
        video = store.video(task_id)
        found = {
            "video": (video, _KINDS.get(video.suffix, "application/octet-stream")),
            "poster": (folder / POSTER, "image/jpeg"),
            "sheet": (folder / SHEET, "image/jpeg"),
            "captions": (folder / CAPTIONS, "text/vtt"),
        }
        path, kind = found.get(what, (None, ""))
        if path is None or not _is_within(path, folder):
            raise HTTPException(404, "there is no such file")
        return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    return app


def _is_within(path: Path, folder: Path) -> bool:
    """Whether a file is a plain one in its folder, and the folder no link to elsewhere."""
    return path.is_file() and not path.is_symlink() and path.resolve().parent == folder.parent.resolve() / folder.name


async def _events(layout: Layout, request: Request) -> AsyncIterator[str]:
    looking, told, silent = Looking(layout), "", 0.0
    while not await request.is_disconnected():
        view = await asyncio.to_thread(looking.look)
        if (now := view.model_dump_json(by_alias=True)) != told:
            told, silent = now, 0.0
            yield f"data: {now}\n\n"
        elif silent >= _ALIVE_SECONDS:
            silent = 0.0
            yield ": alive\n\n"
        silent += _SECONDS
        await asyncio.sleep(_SECONDS)
