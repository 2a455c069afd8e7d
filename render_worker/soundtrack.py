"""Makes the sound of a video: at once where it is short, mixed once and encoded in parts where it is long."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from render_worker.commands.sounds import (
    PACKET_SAMPLES,
    SAMPLE_RATE,
    Part,
    encode_part,
    encode_whole,
    mix_down,
    parts_of,
    samples_of,
)
from render_worker.tool import Tool
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress

_IN_PARTS_SECONDS = 120  # from here on the time saved is more than that of starting a process per part
_PARTS_PER_CORE = 3  # so that no core is idle for long while the last parts are encoded


def make_sound(plan: RenderPlan, task: Path, target: Path, tool: Tool) -> None:
    """Mix the tracks of a plan and encode them into `target`, an ADTS file.

    Raises:
        RenderFailed, ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    cores = os.cpu_count() or 1
    if cores == 1 or plan.seconds < _IN_PARTS_SECONDS:
        tool.run("encoding the sound", encode_whole(plan, task, target))
        return
    seconds = max(_IN_PARTS_SECONDS / 2, plan.seconds / (_PARTS_PER_CORE * cores))
    parts = parts_of(samples_of(plan), round(seconds * SAMPLE_RATE / PACKET_SAMPLES))
    mixed = target.with_suffix(".s16")
    with ThreadPoolExecutor(cores, thread_name_prefix="sound") as pool:
        encoding = _Encoding(plan, parts, mixed, target, tool, pool)
        tool.run("mixing the sound", mix_down(plan, task, mixed), encoding.follow)
        encoding.finish()
    mixed.unlink()


class _Encoding:
    """Encodes each part of a mix as soon as all that it needs has been mixed."""

    def __init__(
        self, plan: RenderPlan, parts: list[Part], mixed: Path, target: Path, tool: Tool, pool: ThreadPoolExecutor
    ) -> None:
        self._plan = plan
        self._waiting = list(enumerate(parts))
        self._mixed = mixed
        self._target = target
        self._tool = tool
        self._pool = pool
        self._encoded: list[tuple[Path, Future[None]]] = []

    def follow(self, _: Progress) -> None:
        """Begin what can be begun by now."""
        there = self._mixed.stat().st_size if self._mixed.exists() else 0
        while self._waiting and self._waiting[0][1].bytes_needed <= there:
            self._begin()

    def finish(self) -> None:
        """All is mixed: encode the rest, and put the parts together."""
        while self._waiting:
            self._begin()
        with self._target.open("wb") as whole:
            for path, future in self._encoded:
                future.result()
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
                path.unlink()

    def _begin(self) -> None:
        number, part = self._waiting.pop(0)
        path = self._target.with_suffix(f".{number}.aac")
        command = encode_part(part, self._mixed, path, self._plan.profile)
        self._encoded.append((path, self._pool.submit(self._run, command)))

    def _run(self, command: list[str]) -> None:
        self._tool.run("encoding the sound", command)
