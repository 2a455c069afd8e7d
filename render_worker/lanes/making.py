"""The middle lane: renders one task after the other, and has clips conformed while there is none."""

from __future__ import annotations

from collections.abc import Callable

from render_worker.idle import Ahead
from render_worker.job import Job
from render_worker.lanes.board import Doing
from render_worker.lanes.care import Care
from render_worker.lanes.delivering import Delivering, Made
from render_worker.lanes.station import Station
from render_worker.planning import profile_of
from render_worker.progress import Report
from render_worker.render import render_task
from render_worker.tool import Tool
from render_worker.ways import MOST_STEPS_DOWN, Ways
from shared.config import Config
from shared.domain.errors import MachineTrouble, ToolError
from shared.domain.layout import SCRATCH
from shared.domain.node import NodeState
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble
from shared.records.render import RenderRecord
from shared.segments import SegmentCache
from shared.store import Claim

_REPORT_STEP = 10.0  # percent between two progress lines in the log


class Making:
    """Makes videos of tasks whose files are here."""

    def __init__(
        self,
        at: Station,
        care: Care,
        config: Config,
        *,
        ffmpeg: Ffmpeg,
        ways: Ways,
        cache: SegmentCache,
        ahead: Ahead,
        alive: Callable[[], None],
        delivering: Delivering,
    ) -> None:
        """`alive` is called again and again while something is being made."""
        self._at = at
        self._care = care
        self._config = config
        self._layout = at.store.layout
        self._ffmpeg = ffmpeg
        self._ways = ways
        self._cache = cache
        self._ahead = ahead
        self._alive = alive
        self._delivering = delivering

    def make(self, claim: Claim) -> None:
        """Render a task, and leave what was made of it to be delivered."""
        with self._care.over(claim):
            try:
                record = self._render(claim)
            finally:
                self._at.board.makes(None)
            self._delivering.accept(Made(claim, record), self._alive)

    def make_ahead(self, now: float) -> bool:
        """Conform a clip of the library, as of now (monotonic seconds); False when there is none to conform."""
        try:
            wanted = self._ahead.next(now)
            if wanted is None:
                return False
            label = wanted.source
            return self._ahead.make(
                wanted, lambda report: self._at.board.makes(Doing(NodeState.CONFORMING, label=label, report=report))
            )
        except (MachineTrouble, ToolError, OSError) as error:
            self._at.resting.begin(as_machine_trouble(error, "cannot conform") if isinstance(error, OSError) else error)
            return False
        finally:
            self._at.board.makes(None)

    def _render(self, claim: Claim) -> RenderRecord:
        label = claim.metadata.label
        self._at.log.info(f"Rendering {label}", name="render_started", task=claim.task_id, node=self._at.node)
        scratch = claim.folder / SCRATCH
        scratch.mkdir()
        job = Job(
            metadata=claim.metadata,
            task=self._layout.task(TaskState.PROCESSING, claim.task_id),
            library=self._at.hauling.library,
            folder=claim.folder,
            scratch=scratch,
            attempt=claim.attempt,
            token=claim.token,
        )
        tool = Tool(
            ffmpeg=self._ffmpeg,
            node=self._at.node,
            scratch=scratch,
            stall_seconds=profile_of(claim.metadata, self._config).render.stall_seconds,
            stopping=lambda: self._must_stop(claim),
            errors_to=self._layout.attempt_stderr(claim.task_id, claim.attempt),
        )
        next_line = _REPORT_STEP
        stepped_down: str | None = None

        def on_report(report: Report) -> None:
            nonlocal next_line
            self._at.board.makes(Doing(NodeState.RENDERING, None, claim.task_id, label, report, stepped_down))
            if report.percent >= next_line:
                next_line = report.percent - report.percent % _REPORT_STEP + _REPORT_STEP
                self._log_progress(claim.task_id, label, report)

        def on_step_down(why: str) -> None:
            nonlocal stepped_down, next_line
            stepped_down, next_line = why, _REPORT_STEP
            self._at.log.warning(
                f"An encoder failed for {label} and the next one is taken: {why}",
                name="encoder_stepped_down",
                task=claim.task_id,
                node=self._at.node,
            )

        self._at.board.makes(Doing(NodeState.RENDERING, None, claim.task_id, label))
        profile = claim.metadata.render.profile
        ways = self._ways.of(profile)
        with self._at.worklog.rendering(claim.task_id):
            record = render_task(job, self._config, ways, self._cache, tool, on_report, on_step_down)
        if given_up := self._ways.note(profile, stepped_down=stepped_down is not None):
            self._at.log.error(
                f"{given_up} has failed for {MOST_STEPS_DOWN} tasks in a row and is given up until this worker "
                f"is started again; reelmill doctor shows what is the matter",
                name="encoder_given_up",
                node=self._at.node,
            )
            self._ahead.look_again()
        return record

    def _must_stop(self, claim: Claim) -> bool:
        """Whether a render has to end before it is done. Who asks is alive; what it waits for has limits of its own."""
        self._alive()
        return self._care.must_stop(claim)

    def _log_progress(self, task_id: str, label: str, report: Report) -> None:
        left = f", about {report.eta_seconds:.0f} s left" if report.eta_seconds else ""
        self._at.log.info(
            f"{report.phase.capitalize()} {label}: {report.percent:.0f} % at {report.fps:.0f} fps{left}",
            name="task_progress",
            task=task_id,
            percent=round(report.percent, 1),
        )
