"""Why a task is where it is, in a sentence or two: ``reelmill status --why``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from console.farm.queue import done_in
from console.tables import about
from shared.domain.layout import REASON, Layout
from shared.domain.node import NodeState
from shared.domain.retry import COUNTED
from shared.domain.task import TaskState
from shared.nodes import is_gone_here
from shared.orders import Orders
from shared.queue import Queue
from shared.records.attempt import AttemptRecord
from shared.records.main import MainRecord
from shared.records.metadata import SCHEMA, Metadata
from shared.records.node import NodeRecord
from shared.records.reason import Reason
from shared.records.record import RecordError
from shared.store import Store


def why(layout: Layout, task_id: str, state: TaskState) -> Iterator[str]:
    """Sentences about one task that was found in a state."""
    if state is TaskState.FINISHED:
        yield f"It is finished: {layout.relative(Store(layout).video(task_id))}"
    elif state is TaskState.FAILED:
        yield from _failed(layout, task_id)
    elif state is TaskState.PROCESSING:
        yield from _processing(layout, task_id)
    else:
        yield from _waiting(layout, task_id)


def _failed(layout: Layout, task_id: str) -> Iterator[str]:
    try:
        reason = Reason.read(layout.task(TaskState.FAILED, task_id) / REASON)
    except (FileNotFoundError, RecordError) as error:
        yield f"It has failed, and its reason cannot be read: {error}"
    else:
        yield f"It has failed: {reason.reason}"
        yield reason.advice


def _processing(layout: Layout, task_id: str) -> Iterator[str]:
    attempts = Store(layout).attempts(TaskState.PROCESSING, task_id)
    if not attempts:
        yield "A worker has just taken it, or died while it did; then it goes back to the queue by itself."
        return
    last = attempts[-1]
    verdict = _verdicts(layout).get(last.node)
    record = _records(layout).get(last.node)
    carried = next((one for one in record.transfers if one.task_id == task_id), None) if record else None
    is_ahead = record and record.task_id not in (task_id, None)
    does = "has it ahead of its turn" if is_ahead and not carried else "has it" if carried else "renders it"
    yield f"Node {last.node} {does} since {last.started_at}, attempt {len(attempts)}."
    if record and is_gone_here(layout, record):
        yield f"Node {last.node} is gone; the task goes back to the queue by itself."
    elif verdict:
        yield f"Node {last.node} {verdict}."
    elif carried:
        yield f"It is {carried.words}."
    elif record and is_ahead:
        yield f"It comes after {record.label or 'another one'}."
    elif record and record.task_id == task_id and record.percent is not None:
        yield f"It is {record.phase}: {record.percent:.0f} % done."
    elif record is None:
        yield f"Node {last.node} does not say what it does; if it is dead the task goes back to the queue by itself."


def _waiting(layout: Layout, task_id: str) -> Iterator[str]:
    store = Store(layout)
    try:
        metadata = store.metadata(TaskState.WAITING, task_id)
    except FileNotFoundError:
        yield "It has just been taken."
        return
    except RecordError as error:
        yield f"It will be failed by the next worker that takes tasks: {error}"
        return
    order = Queue(store).waiting()
    place = order.index(task_id) + 1 if task_id in order else len(order)
    eta = done_in(layout, order[: place - 1], metadata) if task_id in order else None
    done = f"; at the nodes' pace it is done {about(eta)} from now" if eta is not None else ""
    yield f"It waits with priority {metadata.priority}, {place} of {len(order)} in the queue{done}."
    attempts = store.attempts(TaskState.WAITING, task_id)
    if attempts:
        last = attempts[-1]
        ended = f": {last.why}" if last.why else ""
        yield f"Attempt {len(attempts)}, by {last.node}, ended at {last.ended_at}{ended}"
    if keeper := store.kept_by(TaskState.WAITING, task_id):
        yield f"Node {keeper} keeps its video, which could not be uploaded: others leave it to that one while it works."
    records = _records(layout)
    if not records:
        yield "No render worker runs; start one with: reelmill render"
    for record in records.values():
        yield f"Node {record.node} {_why_not(layout, record, metadata, attempts)}."


def _why_not(layout: Layout, record: NodeRecord, metadata: Metadata, attempts: list[AttemptRecord]) -> str:
    """Why a node has not taken a waiting task."""
    profile = metadata.render.profile
    reasons = (
        (is_gone_here(layout, record), "is not running any more"),
        (record.node in _verdicts(layout), _verdicts(layout).get(record.node, "")),
        (bool(ordered := _ordered(layout, record.node)), ordered),
        (not record.takes_tasks, f"is {record.state}: {record.why or ''}"),
        (metadata.version > SCHEMA, "is too old for it: a newer Reelmill made this task"),
        (not record.makes(profile), f'cannot encode the profile "{profile}"; its log and reelmill doctor say why'),
        (
            record.state in (NodeState.RENDERING.value, NodeState.PREFETCHING.value),
            f"is rendering {record.label or 'another task'}",
        ),
        (
            any(one.node == record.node and one.ended in COUNTED for one in attempts),
            "has failed it before and leaves it to others for a while",
        ),
        (bool(attempts), "lets some time pass after the last attempt"),
    )
    return next((words for holds, words in reasons if holds), "will take it when its turn comes")


def _ordered(layout: Layout, node: str) -> str:
    orders = Orders(layout)
    with suppress(RecordError):
        own, farm = orders.read(node), orders.read()
        if order := own.pause or farm.pause:
            whose = "takes no tasks, since the farm was paused" if order is farm.pause else "was paused"
            return f"{whose} by {order.by}{f': {order.why}' if order.why else ''}"
        if own.drain:
            return "is draining"
    return ""


def _records(layout: Layout) -> dict[str, NodeRecord]:
    found = {}
    for path in sorted(layout.nodes.glob("[!.]*.json")):
        with suppress(RecordError, FileNotFoundError):
            found[path.stem] = NodeRecord.read(path)
    return found


def _verdicts(layout: Layout) -> dict[str, str]:
    """What the main worker says of nodes with which something is wrong."""
    with suppress(RecordError, FileNotFoundError):
        return {verdict.node: verdict.words for verdict in MainRecord.read(layout.main_record).nodes}
    return {}
