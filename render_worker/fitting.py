"""Whether a node can encode a task and has room for it; what else is wrong is found out once it is claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from render_worker.planning import plan_of, profile_of, wants_segments
from render_worker.room import Room
from render_worker.segments.uses import Use, uses_of
from render_worker.ways import Ways
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.plan import PlanError, RenderPlan
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.segments import SegmentCache


@dataclass(frozen=True)
class Fitting:
    """What this node is able to make now."""

    config: Config
    layout: Layout
    ffmpeg: Ffmpeg
    ways: Ways
    cache: SegmentCache
    room: Room

    def fits(self, metadata: Metadata, now: float) -> bool:
        """Whether a waiting task can be made here; `now` in monotonic seconds."""
        if not self.room.may_hold(metadata.task_id, now):
            return False
        try:
            if not (plan := self._plan(metadata)):
                return False
            if self.room.surely_holds(plan):
                return True
            uses = self._uses(plan, metadata, self.layout.task(TaskState.WAITING, metadata.task_id), self.cache.has)
        except (OSError, RecordError, PlanError):
            return True
        segments = {(use.wanted.key, use.wanted.recipe.frames) for use in uses}
        return self.room.holds(metadata.task_id, metadata.label, plan, segments, now)

    def missing(self, metadata: Metadata, task: Path, has: Callable[[str], bool]) -> list[str]:
        """The segments that a task would use if there were those that `has` knows, and that are not here.

        Args:
            task: the folder with its files.

        Raises:
            OSError, RecordError, PlanError: that cannot be told.
        """
        plan = self._plan(metadata)
        uses = self._uses(plan, metadata, task, lambda key: self.cache.has(key) or has(key)) if plan else []
        return [key for key in dict.fromkeys(use.wanted.key for use in uses) if not self.cache.has(key)]

    def _plan(self, metadata: Metadata) -> RenderPlan | None:
        """How this node would make a task; None if it cannot encode it."""
        profile_of(metadata, self.config)  # one that nobody knows is no matter of encoders
        ways = self.ways.of(metadata.render.profile)
        return plan_of(metadata, self.config, ways[0].encoder) if ways else None

    def _uses(self, plan: RenderPlan, metadata: Metadata, task: Path, has: Callable[[str], bool]) -> list[Use]:
        if not wants_segments(plan, profile_of(metadata, self.config).render):
            return []
        return uses_of(plan, metadata, task, self.ffmpeg.version, has)
