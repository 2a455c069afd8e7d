"""The last lane: carries what was made to the root, and publishes it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from render_worker.hauling import Undelivered
from render_worker.lanes.care import Care
from render_worker.lanes.lane import Lane
from render_worker.lanes.slot import Slot
from render_worker.lanes.station import Station
from render_worker.pace import Pace
from render_worker.segments.sharing import Sharing
from shared import by_story
from shared.domain.backoff import wait_before
from shared.domain.errors import MachineTrouble, Stopped
from shared.domain.figures import Outcome
from shared.domain.layout import final_name
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.records.node import Direction
from shared.records.record import RecordError
from shared.records.render import RenderRecord
from shared.store import Claim, HoldLost

_RETRIES = 3  # as the specification has it
_LONGEST_WAIT = 30.0
_TURN_SECONDS = 1.0
_MOST_SIGNS = 10  # that a log line names


@dataclass(frozen=True)
class Made:
    """A finished attempt, whose files are still on this machine alone."""

    claim: Claim
    record: RenderRecord


class Delivering(Lane):
    """Uploads one finished attempt after the other, each with some tries, and makes it the output."""

    def __init__(
        self, at: Station, care: Care, pace: Pace, sharing: Sharing | None, shortest_wait: float = 2.0
    ) -> None:
        """`shortest_wait`: seconds after the first upload that failed; they double, up to half a minute."""
        super().__init__("delivering", at.stop)
        self._sharing = sharing
        self._shortest_wait = shortest_wait
        self._at = at
        self._care = care
        self._pace = pace
        self._made: Slot[Made] = Slot()

    def turn(self) -> float:
        """Deliver what was made, if it is within some time."""
        with self.waiting():
            made = self._made.take(_TURN_SECONDS)
        if made:
            self._finish(made)
        elif self._sharing:
            self._share(self._sharing)
        return 0.0

    def accept(self, made: Made, alive: Callable[[], None]) -> None:
        """Take over what was made, as soon as there is room; `alive` is called again and again meanwhile.

        Raises:
            Stopped: its task must not go on; what was made of it is kept.
        """
        while not self._made.put(made, _TURN_SECONDS):
            alive()
            if self._care.must_stop(made.claim):
                self._at.hauling.keep(made.claim)
                raise Stopped("stopped before it was delivered")

    def last(self) -> None:
        """What is still to be delivered when the worker ends is kept where it would take time."""
        if made := self._made.take_back():
            self._finish(made)

    def _share(self, sharing: Sharing) -> None:
        """Bring segments to the root for as long as there is nothing better to carry."""

        def told(done: int, size: int) -> None:
            self.mark()
            if self._made.thing or self._at.stop.is_set() or self._care.must_rest:
                raise Stopped("there is something better to carry")
            self._at.board.carries(Direction.DELIVERING, "", "conformed clips", done, size)

        try:
            while sharing.send_one(told):
                told(0, 0)
        except Stopped:
            pass
        except (OSError, RecordError) as error:  # it can be made again anywhere: no reason to end any work
            self._at.log.warning(f"A conformed clip does not get to the root: {error}", name="segment_not_shared")
        finally:
            self._at.board.carried(Direction.DELIVERING)

    def _finish(self, made: Made) -> None:
        if self._publish(made):
            self._went_well(made)

    def _publish(self, made: Made) -> bool:
        """Whether the attempt is the output now; if not, its task has ended as it should, and what was made is kept."""
        with self._care.over(made.claim):
            try:
                self._deliver(made)
                self._at.store.publish(made.claim)
            except Exception:
                self._at.hauling.keep(made.claim)
                raise
            self._care.let_go(made.claim)
            return True
        return False

    def _deliver(self, made: Made) -> None:
        claim, started = made.claim, time.monotonic()
        for tries in range(1, _RETRIES + 2):
            try:
                with self._at.worklog.delivering():
                    carried = self._at.hauling.deliver(claim, lambda done, size: self._told(claim, done, size))
                self._at.worklog.delivered(carried)
                break
            except FileNotFoundError as error:
                raise HoldLost(f"task {claim.task_id} was taken away or finished by another worker") from error
            except MachineTrouble as error:
                if tries > _RETRIES:
                    raise Undelivered(
                        f"The video could not be uploaded in {tries} tries ({str(error).rstrip('.')}); "
                        f"{self._at.node} keeps it"
                    ) from error
                chance = random.random()  # noqa: S311 - spreads nodes out, keeps no secret
                wait = wait_before(tries, chance, shortest=self._shortest_wait, longest=_LONGEST_WAIT)
                self._at.log.warning(
                    f"Cannot upload the video of {claim.metadata.label}, and will try again in {wait:.0f} s: {error}",
                    name="upload_failed",
                    task=claim.task_id,
                    tries=tries,
                )
                self._wait(wait, claim)
            finally:
                self._at.board.carried(Direction.DELIVERING)
        if self._at.hauling.is_far:
            self._at.log.info(
                f"Uploaded the video of {claim.metadata.label} in {time.monotonic() - started:.1f} s",
                name="task_uploaded",
                task=claim.task_id,
                bytes=made.record.size,
            )

    def _told(self, claim: Claim, done: int, size: int) -> None:
        self.mark()
        if self._care.must_stop(claim):
            raise Stopped("stopped while uploading")
        self._at.board.carries(Direction.DELIVERING, claim.task_id, claim.metadata.label, done, size)

    def _wait(self, seconds: float, claim: Claim) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._care.must_stop(claim):
                raise Stopped("stopped before it was tried again")
            with self.waiting():
                self._at.stop.wait(min(left, _TURN_SECONDS))

    def _went_well(self, made: Made) -> None:
        claim, record, label = made.claim, made.record, made.claim.metadata.label
        self._at.worklog.ended(claim.task_id, Outcome.FINISHED)
        self._at.resting.went_well()
        self._at.health.succeeded()
        took = sum(record.timings.values())
        self._pace.note(claim.metadata, record.seconds, took)
        layout = self._at.store.layout
        final = layout.task(TaskState.FINISHED, claim.task_id) / final_name(claim.metadata.render.output_format)
        self._at.log.info(
            f"Finished {label}: {layout.relative(final)}, {record.seconds:.1f} s of video in {took:.1f} s",
            name="task_finished",
            task=claim.task_id,
            frames=record.frames,
            bytes=record.size,
        )
        if record.fallback:
            self._at.log.warning(
                f"{label} was encoded anew in one command, since {record.fallback}",
                name="segments_unused",
                task=claim.task_id,
            )
        if record.missing_glyphs:
            signs = " ".join(f"{readable(sign)} (U+{ord(sign):04X})" for sign in record.missing_glyphs[:_MOST_SIGNS])
            self._at.log.warning(
                f"{label} shows boxes for {len(record.missing_glyphs)} signs of its captions that no font of this "
                f"node has: {signs}",
                name="glyphs_missing",
                task=claim.task_id,
            )
        if not self._at.hauling.is_far:  # on a far root the main worker does it
            self._show(claim)

    def _show(self, claim: Claim) -> None:
        """Link a video by its story's name."""
        try:
            by_story.show(self._at.store.layout, claim.metadata)
        except OSError as error:  # the view is rebuilt by the main worker; the video is safe
            self._at.log.warning(str(as_machine_trouble(error, "cannot link the video by its story")), name="view_late")
