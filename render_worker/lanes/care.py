"""A task in the hands of a node: whatever goes wrong with it, in whichever lane, it ends as it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from render_worker.duty import Duty
from render_worker.explanation import explain
from render_worker.gate import GateClosed
from render_worker.hauling import Undelivered
from render_worker.lanes.station import Station
from render_worker.pulse import Pulse
from render_worker.render import InputMissing
from render_worker.tool import RenderFailed
from shared.child import ChildTimeout
from shared.domain.errors import MachineTrouble, Stopped, ToolError
from shared.domain.figures import Outcome
from shared.domain.layout import REASON
from shared.domain.plan import PlanError
from shared.domain.retry import COUNTED, Attempted, Ending, GiveUp, decide
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.nodes import Nodes
from shared.records.reason import CANCELLED, Reason
from shared.records.record import RecordError
from shared.recovery import Caps
from shared.store import Claim, HoldLost


@dataclass(frozen=True)
class Care:
    """How a node looks after the tasks it has claimed."""

    at: Station
    caps: Caps
    pulse: Pulse
    duty: Duty
    nodes: Nodes

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that are in this node's hands."""
        return self.pulse.tasks

    def take(self, claim: Claim) -> None:
        """Keep a claim alive from now on."""
        self.pulse.hold(claim)

    def must_stop(self, claim: Claim) -> bool:
        """Whether work on a task has to end before it is done."""
        return self.at.stop.is_set() or self.pulse.lost(claim) or self.must_rest

    @property
    def must_rest(self) -> bool:
        """Whether the node was told to leave what it does."""
        off = self.duty.known
        return off is not None and off.at_once

    @contextmanager
    def over(self, claim: Claim) -> Iterator[None]:
        """Ends the task if what is done with it in here does not go well; otherwise it stays in this node's hands."""
        try:
            with self._judged(claim):
                yield
                return
        except HoldLost as error:
            self.at.worklog.ended(claim.task_id, Outcome.GIVEN_BACK)
            self.at.log.warning(
                f"Left {claim.metadata.label}: {self._why_lost(claim, error)}", name="task_lost", task=claim.task_id
            )
        except OSError as error:
            claim.sign.abandon()  # recovery on this host then judges the task at once
            self.at.resting.begin(as_machine_trouble(error, f"cannot finish task {claim.task_id}"))
        self.let_go(claim)

    def let_go(self, claim: Claim) -> None:
        """The task has ended here; what cannot be removed of it now goes when it, or a worker, begins again."""
        try:
            self.at.hauling.let_go(claim)
        except OSError as error:
            self.at.resting.begin(as_machine_trouble(error, f"cannot remove what is left of task {claim.task_id}"))
        finally:
            self.pulse.let_go(claim)

    def give_back(self, claim: Claim, why: str = "its node can begin nothing now") -> None:
        """Put a task that was not begun back among the waiting ones."""
        with self.over(claim):
            raise Stopped(why)

    @contextmanager
    def _judged(self, claim: Claim) -> Iterator[None]:
        try:
            yield
        except HoldLost:
            raise
        except Stopped as stopped:
            if self.pulse.lost(claim):
                self.at.store.withdraw(claim)
                raise HoldLost(f"task {claim.task_id} was taken away") from None
            self._end(claim, Ending.GIVEN_BACK, Stopped(self._why_stopped(stopped)))
        except (MachineTrouble, ToolError, OSError) as error:
            trouble = as_machine_trouble(error, "cannot render") if isinstance(error, OSError) else error
            self.at.resting.begin(trouble)  # first: else this node would take the task again at once
            self._end(claim, Ending.NODE_TROUBLE, trouble)
        except Undelivered as error:
            self.at.resting.begin(error)
            self._end(claim, Ending.UNDELIVERED, error)
        except ChildTimeout as error:
            self._end(claim, Ending.STALLED, error)
        except PlanError as error:
            self._end(claim, Ending.BAD_INPUT, error)
        except (RenderFailed, GateClosed, InputMissing) as error:
            self._end(claim, Ending.FAILED, error)
        except Exception as error:
            # One task must not stop all others, whatever it made us stumble over.
            self.at.log.exception(f"Stumbled over {claim.metadata.label}", name="fault", task=claim.task_id)
            self._end(claim, Ending.FAILED, error)

    def _why_stopped(self, stopped: Stopped) -> str:
        if self.at.stop.is_set():
            return "its worker was asked to stop"
        return off.why if (off := self.duty.known) else str(stopped)

    def _why_lost(self, claim: Claim, error: HoldLost) -> str:
        """Why a task is not ours any more: in an operator's words, where one cancelled it."""
        with suppress(OSError, RecordError):
            path = self.at.store.layout.task(TaskState.FAILED, claim.task_id) / REASON
            reason = Reason.from_bytes(self.at.store.tree.read(self.at.store.at(path)), str(path))
            if reason.code == CANCELLED:
                return reason.reason
        return str(error)

    def _end(self, claim: Claim, ending: Ending, error: Exception) -> None:
        """Fail or requeue a task whose attempt ended without a video."""
        self.at.hauling.explain(claim)
        before = self.at.store.attempts(TaskState.PROCESSING, claim.task_id)
        attempts = [Attempted(one.ended or Ending.DIED, one.node) for one in before if one.number < claim.attempt]
        decision = decide(
            [*attempts, Attempted(ending, self.at.node)],
            max_attempts=self.caps.max_attempts,
            max_starts=self.caps.max_starts,
            crew=self.nodes.crew(claim.metadata.render.profile, afresh=True),  # it may be given up for want of others
        )
        if ending in COUNTED:
            self.at.health.failed(claim.task_id)
        label = claim.metadata.label
        if isinstance(decision, GiveUp):
            self.at.store.fail(claim, ending, explain(claim.task_id, decision.code, error))
            self.at.log.error(f"Failed {label}: {error}", name="task_failed", task=claim.task_id, code=decision.code)
        else:
            self.at.store.give_back(claim, ending, str(error))
            self.at.log.warning(f"Put {label} back in the queue: {error}", name="task_requeued", task=claim.task_id)
        self.at.worklog.ended(claim.task_id, Outcome.FAILED if ending in COUNTED else Outcome.GIVEN_BACK)
