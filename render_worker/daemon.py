"""The render worker's loop: take a task, render it, publish it or explain, and look after the dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from render_worker.choosing import Choosing
from render_worker.duty import Duty
from render_worker.explanation import explain
from render_worker.fitting import Fitting
from render_worker.gate import GateClosed
from render_worker.hauling import Hauling, Mounted
from render_worker.health import Health
from render_worker.idle import Ahead
from render_worker.job import Job
from render_worker.logbook import Logbook
from render_worker.pace import Pace
from render_worker.planning import profile_of
from render_worker.progress import Report
from render_worker.pulse import Doing, Pulse
from render_worker.render import InputMissing, render_task
from render_worker.room import Room
from render_worker.segments.cache import SegmentCache
from render_worker.tool import RenderFailed, Tool
from render_worker.ways import MOST_STEPS_DOWN, Ways
from render_worker.worklog import Worklog
from shared import by_story
from shared.child import ChildTimeout
from shared.config import Config
from shared.domain.errors import MachineTrouble, ReelmillError, Stopped, ToolError
from shared.domain.figures import Outcome
from shared.domain.layout import REASON, SCRATCH, Layout
from shared.domain.names import readable
from shared.domain.node import NodeState
from shared.domain.plan import PlanError
from shared.domain.retry import COUNTED, Attempted, Ending, GiveUp, decide
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble
from shared.log import Logger
from shared.nodes import Nodes
from shared.notify import Notifier
from shared.records.reason import CANCELLED, Reason
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.store import Claim, HoldLost, Store

_TROUBLE_SECONDS = 30.0  # a node in trouble would start one task after the other if it came back at once
_MOST_TROUBLE_SECONDS = 600.0
_MOST_SIGNS = 10  # that a log line names
_REPORT_STEP = 10.0  # percent between two progress lines in the log


class RenderWorker:
    """One render worker process."""

    def __init__(
        self,
        config: Config,
        layout: Layout,
        node: str,
        lease_seconds: float,
        ffmpeg: Ffmpeg,
        ways: Ways,
        log: Logger,
        systemd: Notifier,
        *,
        store: Store,
        hauling: Hauling,
        self_test: Callable[[], bool],
    ) -> None:
        self._config = config
        self._layout = layout
        self._node = node
        self._ffmpeg = ffmpeg
        self._ways = ways
        self._log = log
        self._systemd = systemd
        self._store = store
        self._hauling = hauling
        self._stop = threading.Event()
        self._rest_until = 0.0
        self._rest_seconds = _TROUBLE_SECONDS
        self._cache = SegmentCache(layout, node, config.worker.cache_bytes)
        self._room = Room(layout, self._cache, config.worker.min_free_bytes, log)
        self._ahead = Ahead(config, layout, self._cache, ffmpeg, ways, node, log, stopping=self._is_wanted)
        self._pace = Pace()
        self._worklog = Worklog(time.monotonic)
        self._logbook = Logbook(self._worklog, store, node, log)
        beat = config.worker.heartbeat_seconds
        # A third of the lease is left for others to see that this node has stopped before they take its task.
        patience = lease_seconds * 2 / 3 - beat
        self._pulse = Pulse(self._store, node, beat, ways, self._pace, ffmpeg.version, systemd.doing, patience)
        self._duty = Duty(self._store, node, log)
        self._health = Health(self._store, node, time.monotonic)
        self._self_test = self_test
        self._nodes = Nodes(layout, lease_seconds, tree=store.tree)
        fitting = Fitting(config, layout, ffmpeg, ways, self._cache, self._room)
        self._choosing = Choosing(self._store, node, fitting, self._nodes, log)
        caps = Caps(config.worker.max_attempts, config.worker.max_starts)
        observed = Nodes(layout, lease_seconds, tree=store.tree)
        self._recovery = Recovery(self._store, caps, lease_seconds, log, time.monotonic, observed)

    def stop(self) -> None:
        """Ask the worker to end soon; safe to call from a signal handler."""
        self._stop.set()
        self._systemd.stopping()

    def run(self) -> None:
        """Work until :meth:`stop`; a task that is being rendered then goes back to the queue."""
        self._log.info(
            f"Render worker {self._node} is ready: {self._ways.usual}, {self._ffmpeg.version}",
            name="worker_started",
            node=self._node,
        )
        self._cache.tidy()
        self._duty.begin()
        self._pulse.start()
        self._systemd.ready()
        watch = threading.Thread(target=self._recovery.keep_watch, args=(self._stop,), name="watch")
        watch.start()
        self._logbook.start()
        try:
            while not self._stop.is_set():
                if not (self._work_once() or self._work_ahead()):
                    self._systemd.rest(self._stop, self._config.worker.poll_seconds)
                self._systemd.alive()
        finally:
            self._stop.set()
            watch.join()
            self._logbook.stop()
            self._pulse.stop()
            self._log.info(f"Render worker {self._node} has stopped", name="worker_stopped", node=self._node)

    def _work_once(self) -> bool:
        """Take and finish one task; False when there is none to take or this is no time for it."""
        try:
            return self._may_work() and self._take_one()
        except OSError as error:
            self._rest(as_machine_trouble(error, "cannot look for tasks"))
            return False

    def _take_one(self) -> bool:
        for ticket in self._choosing.candidates():
            if self._stop.is_set():
                return False
            claim = self._claim(ticket.task_id)
            self._choosing.taken(ticket, by_us=claim is not None)
            if claim is not None:
                self._worklog.looked(found=True)
                self._work(claim)
                return True
        self._worklog.looked(found=False)
        self._pulse.say(Doing(NodeState.IDLE))
        return False

    def _work_ahead(self) -> bool:
        """Without a task, conform a clip of the library; False when there is none to conform, or no time for it."""
        if not (self._config.worker.conform_when_idle and self._room.has_plenty):
            return False
        if time.monotonic() < self._rest_until or self._duty.look() or self._health.is_set_aside or self._stop.is_set():
            return False
        try:
            wanted = self._ahead.next(time.monotonic())
            if wanted is None:
                return False
            label = wanted.source
            return self._ahead.make(
                wanted, lambda report: self._pulse.say(Doing(NodeState.CONFORMING, label=label, report=report))
            )
        except (MachineTrouble, ToolError, OSError) as error:
            self._rest(as_machine_trouble(error, "cannot conform") if isinstance(error, OSError) else error)
            return False

    def _is_wanted(self) -> bool:
        """Whether there is something better to do than conforming ahead of need."""
        self._systemd.alive()
        return self._stop.is_set() or self._duty.look() is not None or self._choosing.has_new()

    def _may_work(self) -> bool:
        if off := self._duty.look():
            self._worklog.looked(found=False)  # what waits now is not for this node
            self._pulse.say(Doing(off.state, off.why))
            if off.state is NodeState.DRAINING:
                self._drain()
            return False
        if time.monotonic() < self._rest_until or not self._is_healthy():
            return False
        if self._room.look():
            return True
        self._pulse.say(Doing(NodeState.LOW_DISK))
        return False

    def _drain(self) -> None:
        """What was to be finished is; the worker ends, and the order is carried out."""
        self._duty.end()
        self._log.info(f"Node {self._node} has nothing left to finish and ends", name="node_drained", node=self._node)
        self._stop.set()

    def _is_healthy(self) -> bool:
        """Whether this node may be trusted with tasks; one that is set aside tests itself when that is due."""
        if self._health.look():
            self._log.error(f"Node {self._node} is set aside: {self._health.why}", name="node_set_aside")
        if not self._health.is_set_aside:
            return True
        self._pulse.say(Doing(NodeState.UNHEALTHY, self._health.why))
        if self._health.is_test_due:
            well = self._test()
            self._health.tested(well=well)
            if well:
                self._log.info(f"Node {self._node} has tested itself and works again", name="node_back")
            else:
                self._log.error(f"Node {self._node} still fails its own test", name="node_test_failed")
        return not self._health.is_set_aside

    def _test(self) -> bool:
        try:
            return self._self_test()
        except Stopped:
            return False

    def _claim(self, task_id: str) -> Claim | None:
        try:
            return self._store.claim(task_id, self._node)
        except RecordError as error:
            self._log.error(f"Failed task {task_id}: {error}", name="task_failed", task=task_id)
        except OSError as error:
            self._rest(as_machine_trouble(error, f"cannot claim task {task_id}"))
        return None

    def _work(self, claim: Claim) -> None:
        label = claim.metadata.label
        self._log.info(
            f"Rendering {label}: {claim.metadata.voice_duration:.1f} s from {len(claim.metadata.video_files)} clips",
            name="task_claimed",
            task=claim.task_id,
            attempt=claim.attempt,
            node=self._node,
        )
        self._pulse.hold(claim)
        try:
            self._render_and_publish(claim, label)
        except HoldLost as error:
            self._worklog.ended(claim.task_id, Outcome.GIVEN_BACK)
            self._log.warning(f"Left {label}: {self._why_lost(claim, error)}", name="task_lost", task=claim.task_id)
        except OSError as error:
            claim.sign.abandon()  # recovery on this host then judges the task at once
            self._rest(as_machine_trouble(error, f"cannot finish task {claim.task_id}"))
        finally:
            self._pulse.let_go()
            self._hauling.let_go(claim)

    def _why_lost(self, claim: Claim, error: HoldLost) -> str:
        """Why a task is not ours any more: in an operator's words, where one cancelled it."""
        with suppress(OSError, RecordError):
            path = self._layout.task(TaskState.FAILED, claim.task_id) / REASON
            reason = Reason.from_bytes(self._store.tree.read(self._store.at(path)), str(path))
            if reason.code == CANCELLED:
                return reason.reason
        return str(error)

    def _render_and_publish(self, claim: Claim, label: str) -> None:
        try:
            record = self._render(claim, label)
            with self._worklog.delivering():
                self._hauling.deliver(claim, self._carried(claim, label))
        except Stopped:
            if self._pulse.lost:
                self._store.withdraw(claim)
                raise HoldLost(f"task {claim.task_id} was taken away") from None
            off = None if self._stop.is_set() else self._duty.look()
            why = off.why if off else "its worker was asked to stop"
            self._end(claim, label, Ending.GIVEN_BACK, Stopped(why))
        except (MachineTrouble, ToolError, OSError) as error:
            trouble = as_machine_trouble(error, "cannot render") if isinstance(error, OSError) else error
            self._end(claim, label, Ending.NODE_TROUBLE, trouble)
            self._rest(trouble)
        except ChildTimeout as error:
            self._end(claim, label, Ending.STALLED, error)
        except PlanError as error:
            self._end(claim, label, Ending.BAD_INPUT, error)
        except (RenderFailed, GateClosed, InputMissing) as error:
            self._end(claim, label, Ending.FAILED, error)
        except Exception as error:  # noqa: BLE001
            # One task must not stop all others, whatever it made us stumble over.
            self._log.exception(f"Stumbled over {label}", name="fault", task=claim.task_id)
            self._end(claim, label, Ending.FAILED, error)
        else:
            self._publish(claim, label, record)

    def _carried(self, claim: Claim, label: str) -> Callable[[Report], None]:
        """Tells how far a transfer is, and ends it where the task must not go on."""

        def on_report(report: Report) -> None:
            if self._must_stop():
                raise Stopped(f"stopped while {report.phase}")
            self._pulse.say(Doing(NodeState.RENDERING, None, claim.task_id, label, report))

        return on_report

    def _render(self, claim: Claim, label: str) -> RenderRecord:
        with self._worklog.fetching():
            self._hauling.bring(claim, self._carried(claim, label))
        scratch = claim.folder / SCRATCH
        scratch.mkdir()
        job = Job(
            metadata=claim.metadata,
            task=self._layout.task(TaskState.PROCESSING, claim.task_id),
            library=self._hauling.library,
            folder=claim.folder,
            scratch=scratch,
            attempt=claim.attempt,
            token=claim.token,
        )
        tool = Tool(
            ffmpeg=self._ffmpeg,
            node=self._node,
            scratch=scratch,
            stall_seconds=profile_of(claim.metadata, self._config).render.stall_seconds,
            stopping=self._must_stop,
            errors_to=self._layout.attempt_stderr(claim.task_id, claim.attempt),
        )
        next_line = _REPORT_STEP
        stepped_down: str | None = None

        def on_report(report: Report) -> None:
            nonlocal next_line
            self._pulse.say(Doing(NodeState.RENDERING, None, claim.task_id, label, report, stepped_down))
            if report.percent >= next_line:
                next_line = report.percent - report.percent % _REPORT_STEP + _REPORT_STEP
                self._log_progress(claim.task_id, label, report)

        def on_step_down(why: str) -> None:
            nonlocal stepped_down, next_line
            stepped_down, next_line = why, _REPORT_STEP
            self._log.warning(
                f"An encoder failed for {label} and the next one is taken: {why}",
                name="encoder_stepped_down",
                task=claim.task_id,
                node=self._node,
            )

        self._pulse.say(Doing(NodeState.RENDERING, None, claim.task_id, label))
        profile = claim.metadata.render.profile
        with self._worklog.rendering(claim.task_id):
            record = render_task(job, self._config, self._ways.of(profile), self._cache, tool, on_report, on_step_down)
        if given_up := self._ways.note(profile, stepped_down=stepped_down is not None):
            self._log.error(
                f"{given_up} has failed for {MOST_STEPS_DOWN} tasks in a row and is given up until this worker "
                f"is started again; reelmill doctor shows what is the matter",
                name="encoder_given_up",
                node=self._node,
            )
            self._ahead.look_again()
        return record

    def _must_stop(self) -> bool:
        """Whether a render has to end before it is done. Who asks is alive; what it waits for has limits of its own."""
        self._systemd.alive()
        if self._stop.is_set() or self._pulse.lost:
            return True
        off = self._duty.look()
        return off is not None and off.at_once

    def _log_progress(self, task_id: str, label: str, report: Report) -> None:
        left = f", about {report.eta_seconds:.0f} s left" if report.eta_seconds else ""
        self._log.info(
            f"{report.phase.capitalize()} {label}: {report.percent:.0f} % at {report.fps:.0f} fps{left}",
            name="task_progress",
            task=task_id,
            percent=round(report.percent, 1),
        )

    def _publish(self, claim: Claim, label: str, record: RenderRecord) -> None:
        self._store.publish(claim)
        self._worklog.ended(claim.task_id, Outcome.FINISHED)
        self._rest_seconds = _TROUBLE_SECONDS
        self._health.succeeded()
        self._pace.note(claim.metadata, record.seconds, sum(record.timings.values()))
        final = self._store.video(claim.task_id)
        self._log.info(
            f"Finished {label}: {self._layout.relative(final)}, {record.seconds:.1f} s of video in "
            f"{sum(record.timings.values()):.1f} s",
            name="task_finished",
            task=claim.task_id,
            frames=record.frames,
            bytes=record.size,
        )
        if record.fallback:
            self._log.warning(
                f"{label} was encoded anew in one command, since {record.fallback}",
                name="segments_unused",
                task=claim.task_id,
            )
        if record.missing_glyphs:
            signs = " ".join(f"{readable(sign)} (U+{ord(sign):04X})" for sign in record.missing_glyphs[:_MOST_SIGNS])
            self._log.warning(
                f"{label} shows boxes for {len(record.missing_glyphs)} signs of its captions that no font of this "
                f"node has: {signs}",
                name="glyphs_missing",
                task=claim.task_id,
            )
        if isinstance(self._hauling, Mounted):  # on a far root the main worker does it
            self._show(claim)

    def _show(self, claim: Claim) -> None:
        """Link a video by its story's name."""
        try:
            by_story.show(self._layout, claim.metadata)
        except OSError as error:  # the view is rebuilt by the main worker; the video is safe
            self._log.warning(str(as_machine_trouble(error, "cannot link the video by its story")), name="view_late")

    def _end(self, claim: Claim, label: str, ending: Ending, error: Exception) -> None:
        """Fail or requeue a task whose attempt ended without a video."""
        self._worklog.ended(claim.task_id, Outcome.FAILED if ending in COUNTED else Outcome.GIVEN_BACK)
        self._hauling.explain(claim)
        before = self._store.attempts(TaskState.PROCESSING, claim.task_id)
        attempts = [Attempted(one.ended or Ending.DIED, one.node) for one in before if one.number < claim.attempt]
        worker = self._config.worker
        decision = decide(
            [*attempts, Attempted(ending, self._node)],
            max_attempts=worker.max_attempts,
            max_starts=worker.max_starts,
            crew=self._nodes.crew(claim.metadata.render.profile, afresh=True),  # it may be given up for want of others
        )
        if ending in COUNTED:
            self._health.failed(claim.task_id)
        if isinstance(decision, GiveUp):
            self._store.fail(claim, ending, explain(claim.task_id, decision.code, error))
            self._log.error(f"Failed {label}: {error}", name="task_failed", task=claim.task_id, code=decision.code)
        else:
            self._store.give_back(claim, ending, str(error))
            self._log.warning(f"Put {label} back in the queue: {error}", name="task_requeued", task=claim.task_id)

    def _rest(self, trouble: ReelmillError) -> None:
        """Take no task for a while, twice as long each time, until a task has ended well."""
        seconds = self._rest_seconds
        self._rest_until = time.monotonic() + seconds
        self._rest_seconds = min(2 * seconds, _MOST_TROUBLE_SECONDS)
        self._pulse.say(Doing(NodeState.RESTING, str(trouble)))
        self._log.error(f"Taking no task for {seconds:.0f} s: {trouble}", name="node_trouble", node=self._node)
