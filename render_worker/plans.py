"""``--dry-run``: the plans of waiting tasks, and how much of them is conformed already. Nothing is changed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from render_worker.planning import plan_of, profile_of, wants_segments
from render_worker.render import plain
from render_worker.segments.uses import uses_of
from render_worker.ways import Ways
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.plan import PlanError
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.queue import Queue
from shared.records.metadata import Metadata
from shared.records.record import RecordError
from shared.segments import SegmentCache
from shared.store import Store


def print_plans(config: Config, layout: Layout, ffmpeg: Ffmpeg, ways: Ways) -> None:
    """Print one JSON object per waiting task, a line each, in the order in which they would be taken."""
    store, cache = Store(layout), SegmentCache(layout, "", 0)
    for task_id in Queue(store).waiting():
        try:
            metadata = store.metadata(TaskState.WAITING, task_id)
            told = _told(config, layout, metadata, cache, ffmpeg, ways)
        except FileNotFoundError:  # somebody took it meanwhile
            continue
        except (RecordError, PlanError) as error:
            told = {"problem": str(error)}
        sys.stdout.write(json.dumps({"task": task_id, **told}) + "\n")


def _told(
    config: Config, layout: Layout, metadata: Metadata, cache: SegmentCache, ffmpeg: Ffmpeg, ways: Ways
) -> dict[str, Any]:
    render = profile_of(metadata, config).render
    plan = plan_of(metadata, config, ways.of(metadata.render.profile)[0].encoder)
    task, joins = layout.task(TaskState.WAITING, metadata.task_id), wants_segments(plan, render)
    uses = uses_of(plan, metadata, task, ffmpeg.version, cache.has) if joins else []
    segments = [
        {
            "key": use.wanted.key,
            "source": use.wanted.source,
            "start": use.wanted.recipe.start,
            "frames": use.frames,
            "of": use.wanted.recipe.frames,
            "conformed": cache.has(use.wanted.key),
        }
        for use in uses
    ]
    return {
        "label": metadata.label,
        "mode": "segments" if joins else "direct",
        "plan": plain(asdict(plan)),
        "segments": segments,
    }
