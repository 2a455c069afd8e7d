"""The files of finished videos: found by id, opened without following a link, served in parts."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from console.web.verbs import TaskId
from shared.domain.layout import CAPTIONS, POSTER, SHEET, Layout
from shared.domain.task import TaskState
from shared.store import Store

_KINDS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}
_FILES = {"poster": (POSTER, "image/jpeg"), "sheet": (SHEET, "image/jpeg"), "captions": (CAPTIONS, "text/vtt")}
_LINKS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})  # what O_NOFOLLOW says, here or there


def media(layout: Layout) -> APIRouter:
    """The addresses of what finished tasks have."""
    router = APIRouter(prefix="/media", tags=["media"])
    store = Store(layout)

    @router.head("/{task_id}/{what}", include_in_schema=False)
    @router.get("/{task_id}/{what}", response_class=Response)
    def file(
        task_id: TaskId,
        what: Literal["video", "poster", "sheet", "captions"],
        download: Annotated[str, Query(max_length=200, description="Save it under this name.")] = "",
    ) -> Response:
        """What a finished task has, or with `Range` a part of it; an output never changes."""
        if what == "video":
            video = store.video(task_id)
            name, kind = video.name, _KINDS.get(video.suffix, "application/octet-stream")
        else:
            name, kind = _FILES[what]
        return _OpenFile(_opened(layout, task_id, name), kind, download)

    return router


def _opened(layout: Layout, task_id: str, name: str) -> int:
    """A file of an output, open for reading; no link below ``output/`` is followed on the way there.

    Raises:
        HTTPException: 404, there is none, or something else is in its place.
    """
    once = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with (
            _folder(os.open(layout.state(TaskState.FINISHED), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as outputs,
            _folder(os.open(task_id, once | os.O_DIRECTORY, dir_fd=outputs)) as output,
        ):
            handle = os.open(name, once | os.O_NONBLOCK, dir_fd=output)
    except FileNotFoundError:
        raise HTTPException(404, "there is no such file") from None
    except OSError as error:
        if error.errno not in _LINKS:
            raise
        raise HTTPException(404, "a link lies in its place, which is not followed") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise HTTPException(404, "what lies in its place is no file")
    return handle


@contextmanager
def _folder(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)


class _OpenFile(FileResponse):
    """A file that is open already, so that what was looked at is what is sent."""

    def __init__(self, handle: int, kind: str, download: str) -> None:
        self._handle = handle
        super().__init__(
            f"/dev/fd/{handle}",
            media_type=kind,
            stat_result=os.fstat(handle),
            filename=download or None,
            headers={"cache-control": "private, max-age=3600"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._handle)
