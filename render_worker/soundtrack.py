"""Makes the sound of a video: at once where it is short, mixed once and encoded in parts where it is long."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

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
from render_worker.pipe import Writer
from render_worker.tool import Tool
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress

_IN_PARTS_SECONDS = 120  # from here on the time saved is more than that of starting a process per part
_PART_SECONDS = (10, 120)  # the first, which the join waits for; the longest, since starting a process takes time
_NICE = 5  # mixing and joining go before encoding: the one feeds it, the other is what ends last


def make_sound(plan: RenderPlan, task: Path, target: Path, tool: Tool) -> None:
    """Mix the tracks of a plan and encode them into `target`, an ADTS file or a pipe; helpers use its name.

    Raises:
        RenderFailed, ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    cores = os.cpu_count() or 1
    if cores == 1 or plan.seconds < _IN_PARTS_SECONDS:
        tool.run("encoding the sound", encode_whole(plan, task, target))
        return
    shortest, longest = (round(seconds * SAMPLE_RATE / PACKET_SAMPLES) for seconds in _PART_SECONDS)
    parts = parts_of(samples_of(plan), shortest, longest)
    mixed = tool.scratch / "mixed.s16"
    with ThreadPoolExecutor(cores, thread_name_prefix="sound") as pool, ThreadPoolExecutor(1) as beside:
        encoding = _Encoding(plan, parts, mixed, replace(tool, nice=tool.nice + _NICE), pool)
        writing = beside.submit(encoding.write, target)
        try:
            tool.run("mixing the sound", mix_down(plan, task, mixed), encoding.follow)
        finally:
            encoding.mixed()
        writing.result()
    mixed.unlink()


class _Encoding:
    """Encodes each part of a mix as soon as all that it needs has been mixed."""

    def __init__(self, plan: RenderPlan, parts: list[Part], mixed: Path, tool: Tool, pool: ThreadPoolExecutor) -> None:
        self._plan = plan
        self._waiting = parts
        self._mixed = mixed
        self._tool = tool
        self._pool = pool
        self._begun: SimpleQueue[Future[Path] | None] = SimpleQueue()

    def follow(self, _: Progress) -> None:
        """Begin what can be begun by now."""
        there = self._mixed.stat().st_size if self._mixed.exists() else 0
        while self._waiting and self._waiting[0].bytes_needed <= there:
            self._begin()

    def mixed(self) -> None:
        """All is mixed, or never will be: begin the rest."""
        while self._waiting:
            self._begin()
        self._begun.put(None)

    def write(self, target: Path) -> None:
        """Put the parts together, each as soon as it is encoded."""
        with Writer(target, self._tool.stopping) as whole:
            for path in self._encoded():
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
                path.unlink()

    def _encoded(self) -> Iterator[Path]:
        while (future := self._begun.get()) is not None:
            yield future.result()

    def _begin(self) -> None:
        part = self._waiting.pop(0)
        self._begun.put(self._pool.submit(self._encode, part))

    def _encode(self, part: Part) -> Path:
        path = self._tool.scratch / f"sound-{part.first}.aac"
        self._tool.run("encoding the sound", encode_part(part, self._mixed, path, self._plan.profile))
        return path
