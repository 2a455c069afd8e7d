"""Is there room on the disk for what a render will write? Asked before a task is taken, not found out at its end."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from render_worker.commands.sounds import BYTES_PER_SAMPLE, SAMPLE_RATE
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.domain.plan import RenderPlan
from shared.log import Logger
from shared.segments import SegmentCache

# An estimate for moving pictures at x264's usual quality: 1080p at 30 frames a second counts 6 Mbit/s.
_BITS_PER_PIXEL = 0.1
_AGAIN_SECONDS = 60.0  # more conformed clips may be there to give way


def needed_bytes(plan: RenderPlan, conform_frames: int) -> int:
    """About how many bytes a render writes: its film, the sound on its way, and segments of so many frames."""
    canvas = plan.canvas
    pixels = canvas.width * canvas.height * (plan.frames + conform_frames)
    sound = plan.seconds * (SAMPLE_RATE * BYTES_PER_SAMPLE + plan.profile.audio_kbps * 125)
    return round(pixels * _BITS_PER_PIXEL / 8 + sound)


def check_room(folder: Path, plan: RenderPlan, conform_frames: int) -> None:
    """Raise MachineTrouble where a render will not find the room that it needs."""
    free, needed = shutil.disk_usage(folder).free, needed_bytes(plan, conform_frames)
    if free < needed:
        raise MachineTrouble(
            f"Low disk space: {free / 1e9:.1f}GB remaining, and this video needs about {needed / 1e9:.1f}GB on its way",
            everywhere=True,
        )


@dataclass(frozen=True)
class _Lack:
    """How many bytes a task needs that did not fit, and until when (monotonic seconds) nobody thinks of it again."""

    needed: int
    until: float


@dataclass
class Room:
    """The free space of a root's disk, of which conformed clips take only what nothing else needs.

    Attributes:
        least: free bytes below which nothing is begun.
    """

    layout: Layout
    cache: SegmentCache
    least: int
    log: Logger
    _is_low: bool = False
    _too_large: dict[str, _Lack] = field(default_factory=dict)

    @property
    def is_low(self) -> bool:
        """Whether there was too little for anything when this was last looked at."""
        return self._is_low

    @property
    def has_plenty(self) -> bool:
        """Whether there is room for what is made ahead of need; it must not bring anybody near the limit."""
        return not self._is_low and self._free() >= 2 * self.least

    def look(self) -> bool:
        """Whether there is room to begin anything; told when that changes."""
        free = self._freed(self.least)
        low = free < self.least
        if low and not self._is_low:
            self.log.warning(f"Low disk space: {free / 1e9:.1f}GB remaining", name="low_disk", free_bytes=free)
        if self._is_low and not low:
            self.log.info(f"Disk space is back: {free / 1e9:.1f}GB remaining", name="disk_ok", free_bytes=free)
        self._is_low = low
        return not low

    def may_hold(self, task_id: str, now: float) -> bool:
        """Whether it is worth a thought, as of now (monotonic seconds), if a task fits that did not."""
        lack = self._too_large.get(task_id)
        return lack is None or now >= lack.until or self._free() >= lack.needed

    def surely_holds(self, plan: RenderPlan) -> bool:
        """Whether a task fits even if nothing of it is conformed yet."""
        clips = {shot.source: shot.clip_frames for shot in plan.shots}
        return self._free() >= needed_bytes(plan, sum(clips.values()))

    def holds(
        self, task_id: str, label: str, plan: RenderPlan, segments: Collection[tuple[str, int]], now: float
    ) -> bool:
        """Whether a task fits, its missing segments included; one that does not is told once, and waits.

        Args:
            segments: the name and the frames of each segment that it uses.
        """
        missing = sum(frames for key, frames in segments if not self.cache.has(key))
        needed = needed_bytes(plan, missing)
        free = self._freed(needed, keep=[key for key, _ in segments])
        if free >= needed:
            self._too_large.pop(task_id, None)
            return True
        if task_id not in self._too_large:
            self.log.warning(
                f"Low disk space: {free / 1e9:.1f}GB remaining, and {label} needs about {needed / 1e9:.1f}GB on its "
                "way; it waits for room, or for another node",
                name="task_too_large",
                task=task_id,
                free_bytes=free,
            )
        self._too_large[task_id] = _Lack(needed, now + _AGAIN_SECONDS)
        return False

    def forget_all_but(self, waiting: Collection[str]) -> None:
        """Forget what did not fit and does not wait any more."""
        self._too_large = {task_id: lack for task_id, lack in self._too_large.items() if task_id in waiting}

    def _free(self) -> int:
        return shutil.disk_usage(self.layout.root).free

    def _freed(self, wanted: int, keep: Collection[str] = ()) -> int:
        """Free bytes, after conformed clips have been dropped for it where that helps."""
        free = self._free()
        if free < wanted and self._shares_the_disk():
            dropped = self.cache.drop_oldest(lambda: self._free() >= wanted, keep)
            if dropped:
                self.log.info(f"Dropped {dropped} conformed clips for their room", name="cache_shrunk", count=dropped)
            free = self._free()
        return free

    def _shares_the_disk(self) -> bool:
        try:
            return self.layout.segments.stat().st_dev == self.layout.root.stat().st_dev
        except FileNotFoundError:
            return False
