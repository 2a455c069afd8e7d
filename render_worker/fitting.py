"""Whether a node can encode a task and has room for it; what else is wrong is found out once it is claimed."""

from __future__ import annotations

from dataclasses import dataclass

from render_worker.planning import plan_of, profile_of, wants_segments
from render_worker.room import Room
from render_worker.segments.cache import SegmentCache
from render_worker.segments.uses import uses_of
from render_worker.ways import Ways
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.plan import PlanError
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.records.metadata import Metadata
from shared.records.record import RecordError


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
            render = profile_of(metadata, self.config).render
            if not (ways := self.ways.of(metadata.render.profile)):
                return False
            plan = plan_of(metadata, self.config, ways[0].encoder)
            if self.room.surely_holds(plan):
                return True
            task = self.layout.task(TaskState.WAITING, metadata.task_id)
            is_joined = wants_segments(plan, render)
            uses = uses_of(plan, metadata, task, self.ffmpeg.version, self.cache.has) if is_joined else []
        except (OSError, RecordError, PlanError):
            return True
        segments = {(use.wanted.key, use.wanted.recipe.frames) for use in uses}
        return self.room.holds(metadata.task_id, metadata.label, plan, segments, now)
