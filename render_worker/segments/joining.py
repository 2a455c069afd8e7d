"""Joins parts by stream copy with their sound, which is there or is being made meanwhile."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from render_worker.commands.join import NOT_DECODED_SAID, Part, join, part_list
from render_worker.pipe import make_pipe
from render_worker.progress import Work
from render_worker.soundtrack import Sound, make_sound
from render_worker.tool import RenderFailed, Tool
from shared.domain.errors import Stopped
from shared.domain.plan import RenderPlan

_BROKEN_PIPE = os.strerror(errno.EPIPE)  # in the words of whoever wrote the sound, ffmpeg included
_LISTING, _SOUND = "parts.ffconcat", "sound.aac"


class NotJoinable(RenderFailed):
    """Segments that cannot be joined by copy, although they were made alike."""


def join_made(
    plan: RenderPlan, parts: Sequence[Part], sound: Path, task: Path, final: Path, tool: Tool, work: Work
) -> None:
    """Make a film of parts in scratch and of a sound, an ADTS file or a pipe.

    Raises:
        NotJoinable: the join failed.
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    listing = tool.scratch / _LISTING
    listing.write_text(part_list(parts, plan.canvas.rate), "ascii")
    try:
        replace(tool, expected=NOT_DECODED_SAID).run("joining", join(plan, listing, sound, task, final), work.at)
    except RenderFailed as error:
        raise NotJoinable(str(error)) from error


def join_making(plan: RenderPlan, parts: Sequence[Part], task: Path, final: Path, tool: Tool, work: Work) -> Sound:
    """The same with the plan's sound, which comes through a pipe; the first failure ends both.

    Returns the sound as it was heard when it was encoded.

    Raises:
        NotJoinable: the join failed, or ended before its sound did.
        RenderFailed: the sound could not be made.
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    sound = tool.scratch / _SOUND
    sound.unlink(missing_ok=True)  # of a join that failed
    if not make_pipe(sound):
        made = make_sound(plan, task, sound, tool)
        join_made(plan, parts, sound, task, final, tool, work)
        sound.unlink()
        return made
    no_sound = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="join") as beside:
        joiner = replace(tool, stopping=lambda: no_sound.is_set() or tool.stopping())
        joining = beside.submit(join_made, plan, parts, sound, task, final, joiner, work)
        listened = replace(tool, stopping=lambda: _has_failed(joining) or tool.stopping())
        try:
            made = make_sound(plan, task, sound, listened)
        except BaseException as error:
            no_sound.set()
            cause = joining.exception()
            if cause and not isinstance(cause, Stopped):
                raise cause from error
            if isinstance(error, RenderFailed | BrokenPipeError) and _BROKEN_PIPE in str(error):
                raise NotJoinable("the join ended before its sound did") from error
            raise
        joining.result()
    sound.unlink()
    return made


def _has_failed(future: Future[Any]) -> bool:
    return future.done() and future.exception() is not None
