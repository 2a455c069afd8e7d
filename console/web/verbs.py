"""What the page may change: the verbs of operators, each with the words of the command of that name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from console.cancel import Cancellations, cancel_all
from console.live import LiveTask
from console.retry import Retries, chosen, put_back
from console.trash import Unclear, drop_of_id
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.records.orders import Order
from shared.records.record import RecordError, utc_now
from shared.store import Store

TaskId = Annotated[str, InPath(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
NodeName = Annotated[str, InPath(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
_BY = "the web page"


class Why(BaseModel):
    """Words that go with an order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field("", max_length=500)


class Priority(BaseModel):
    """A task's new priority."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: int = Field(ge=0, le=100)


class Done(BaseModel):
    """What was done, in words."""

    model_config = ConfigDict(frozen=True)

    words: str


def verbs(layout: Layout) -> APIRouter:  # noqa: C901 - one small function for each verb
    """The router of everything that changes something."""
    router = APIRouter(prefix="/api", tags=["verbs"])
    store, orders = Store(layout), Orders(layout)

    def order(why: Why | None) -> Order:
        return Order(by=_BY, when=utc_now(), why=why.why if why else "")

    @router.post("/tasks/{task_id}/cancel")
    def cancel(task_id: TaskId, why: Why | None = None) -> Cancellations:
        """Give a task up, whether it waits or is being rendered."""
        state = store.find(task_id)
        if state not in (TaskState.WAITING, TaskState.PROCESSING):
            raise HTTPException(404, f"no task {task_id} waits or is being rendered")
        try:
            label = store.metadata(state, task_id).label
        except (RecordError, FileNotFoundError):
            label = task_id
        return cancel_all(layout, [LiveTask(task_id, label, state)], _BY, why.why if why else "")

    @router.post("/tasks/{task_id}/retry")
    def retry(task_id: TaskId) -> Retries:
        """Try a failed task again."""
        try:
            return put_back(layout, chosen(layout, [task_id]), _BY)
        except Unclear as error:
            raise HTTPException(404, str(error)) from error

    @router.post("/tasks/{task_id}/priority")
    def prioritise(task_id: TaskId, wanted: Priority) -> Done:
        """Let a task go before others, or after them."""
        if orders.prioritise(task_id, wanted.priority) is None:
            raise HTTPException(404, f"no task {task_id} waits or is being rendered")
        return Done(words=f"Its priority is {wanted.priority}.")

    @router.post("/rejected/{drop_id}/retry")
    def retry_drop(drop_id: Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]) -> Retries:
        """Put a rejected drop back to where it was dropped; its id is in `/api/farm`."""
        drop = drop_of_id(layout, drop_id)
        if drop is None:
            raise HTTPException(404, "it is not in trash/invalid/ any more")
        return put_back(layout, [drop], _BY)

    @router.post("/farm/pause")
    def pause_farm(why: Why | None = None) -> Done:
        """Have all nodes take no more tasks."""
        orders.pause(order(why))
        return Done(words="The farm takes no more tasks.")

    @router.post("/farm/resume")
    def resume_farm() -> Done:
        """Take the pause of the farm back."""
        orders.resume()
        return Done(words="The farm takes tasks.")

    @router.post("/nodes/{node}/{verb}")
    def of_node(node: NodeName, verb: Annotated[str, InPath(pattern="^(pause|resume|drain)$")]) -> Done:
        """Pause or resume a node, or have it finish what it renders and end."""
        if not layout.node_record(node).exists():
            raise HTTPException(404, f"no node {node} runs")
        if verb == "pause":
            orders.pause(order(None), node)
        elif verb == "resume":
            orders.resume(node)
        else:
            orders.drain(order(None), node)
        return Done(words=f"{node}: {verb}")

    return router
