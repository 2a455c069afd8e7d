"""When what waits will be done."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from contextlib import suppress
from statistics import fmean

from console.farm.node import NodeView, farm_pause, nodes
from console.farm.task import TaskView, tasks
from shared.domain.eta import Capacity
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.records.metadata import Metadata
from shared.records.node import Direction
from shared.records.orders import Order
from shared.records.record import RecordError
from shared.store import Store

_SAMPLE = 100  # waiting tasks whose lengths are read; a hundred tell the mean of 100,000 to some percent


def done_in(layout: Layout, ahead: Collection[str], metadata: Metadata) -> float | None:
    """About how many seconds until a waiting task is done; None where nobody can tell, or no node can make it.

    Args:
        ahead: the tasks that wait before it.
    """
    workers = nodes(layout)
    if not any(worker.takes_tasks and worker.record.makes(metadata.render.profile) for worker in workers):
        return None
    store, own = Store(layout), metadata.voice_duration
    processing = tasks(layout, store, TaskState.PROCESSING, store.ids(TaskState.PROCESSING))
    capacity = _capacity(workers, processing, farm_pause(layout))
    return capacity.done_in(len(ahead) * (_mean_seconds(store, ahead) or own), own)


def all_done_in(
    store: Store,
    waiting: Collection[str],
    workers: Collection[NodeView],
    processing: Iterable[TaskView],
    pause: Order | None,
) -> float | None:
    """About how many seconds until the last of the waiting tasks is done; None where nobody can tell, or none waits.

    That one is taken to be as long as they are on average.
    """
    mean = _mean_seconds(store, waiting)
    return _capacity(workers, processing, pause).done_in((len(waiting) - 1) * mean, mean) if mean else None


def _mean_seconds(store: Store, waiting: Collection[str]) -> float | None:
    """How long the voices of waiting tasks are on average; None where none can be read.

    Of very many only some are read, those whose ids come first. An id is a hash, so they are as good as drawn by lot;
    and they are the same at each look, so that the estimate does not jump about.
    """
    lengths = []
    for task_id in heapq.nsmallest(_SAMPLE, waiting):
        with suppress(RecordError, OSError):  # one that cannot be read keeps nobody from looking
            lengths.append(store.metadata(TaskState.WAITING, task_id).voice_duration)
    return fmean(lengths) if lengths else None


def _capacity(workers: Collection[NodeView], processing: Iterable[TaskView], pause: Order | None) -> Capacity:
    """What the nodes can do as things are now; that one comes, goes or reaches the end of its hours is not foreseen.

    Every node counts for every task, whatever profiles it can encode.
    """
    left: dict[str | None, float] = {}  # of each task in work, the share that is still to be rendered
    for worker in workers:
        left[worker.record.task_id] = 1 - (worker.record.percent or 0.0) / 100
        left |= {one.task_id: 0.0 for one in worker.record.transfers if one.direction is Direction.DELIVERING}
    begun = sum((task.seconds or 0.0) * left.get(task.task_id, 1.0) for task in processing)
    paces = tuple(worker.record.pace for worker in workers if worker.takes_tasks and not pause)
    return Capacity(paces, begun)
