"""The first lane: takes the next task, and has its files here by the time that it is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from render_worker.choosing import Choosing
from render_worker.duty import Duty
from render_worker.lanes.board import Doing
from render_worker.lanes.care import Care
from render_worker.lanes.delivering import Delivering, Made
from render_worker.lanes.lane import Lane
from render_worker.lanes.slot import Slot
from render_worker.lanes.station import Station
from render_worker.room import Room
from render_worker.segments.sharing import Sharing
from shared.domain.errors import Stopped
from shared.domain.node import NodeState
from shared.domain.plan import PlanError
from shared.domain.task import TaskState
from shared.files import as_machine_trouble
from shared.records.node import Direction
from shared.records.record import RecordError
from shared.store import Claim
from shared.tree.tree import TreeTrouble

_LOOK_SECONDS = 1.0  # what operators order is seen within it, also while nothing is to be taken
_TIDY_SECONDS = 60.0
_ROUND_SECONDS = 15.0  # between looks at the other nodes; one without work has to be seen so twice
_SOON_SECONDS = 30.0  # another node would hardly begin earlier: it has to fetch the files


class Taking(Lane):
    """Decides whether this node takes tasks, takes them, and fetches what they need."""

    def __init__(
        self,
        at: Station,
        care: Care,
        *,
        choosing: Choosing,
        duty: Duty,
        room: Room,
        poll_seconds: float,
        self_test: Callable[[], bool],
        fetched: Slot[Claim],
        delivering: Delivering,
        sharing: Sharing | None,
    ) -> None:
        super().__init__("taking", at.stop)
        self._sharing = sharing
        self._at = at
        self._care = care
        self._choosing = choosing
        self._duty = duty
        self._room = room
        self._poll_seconds = poll_seconds
        self._self_test = self_test
        self._fetched = fetched
        self._delivering = delivering
        self._tidy_at = float("-inf")
        self._round_at = float("-inf")
        self._seen_at_leisure: str | None = None
        self.may_work = False
        """Whether this node took tasks when it was last looked at."""

    def turn(self) -> float:
        """Look whether the node may work, and take a task if there is room for it and one to take."""
        is_room = self._is_room()  # first: what made room may also have brought the node to rest
        try:
            self.may_work = self._looks_well()
            self._tidy()
        except OSError as error:
            self.may_work = False
            self._at.resting.begin(as_machine_trouble(error, "cannot look for tasks"))
        if not self.may_work:
            self._at.worklog.looked(found=False)  # what waits now is not for this node
            self.give_back()
            return self._poll_seconds
        self._drop_lost()
        self._leave_to_others()
        return 0.0 if not is_room or self._take_one() else self._poll_seconds

    def give_back(self) -> None:
        """Give back what was fetched and not begun."""
        if claim := self._fetched.take_back():
            self._care.give_back(claim)

    # -- whether -------------------------------------------------------------------------------------

    def _looks_well(self) -> bool:
        if off := self._duty.known:
            self._at.board.stands(Doing(off.state, off.why))
            if off.state is NodeState.DRAINING:
                self._drain()
            return False
        if not self._at.resting.is_over or not self._is_healthy():
            return False
        if self._room.look():
            return True
        self._at.board.stands(Doing(NodeState.LOW_DISK))
        return False

    def _drain(self) -> None:
        """What was to be finished is; the worker ends, and the order is carried out."""
        self.give_back()
        if self._care.tasks:
            return
        try:
            self._duty.end()
        except OSError as error:  # it was to end, and does
            trouble = as_machine_trouble(error, "the order to drain is carried out, but cannot be taken back")
            self._at.log.warning(
                f"{trouble}; give the user of {self._at.node} the right to write .farm/orders/ before it starts again",
                name="drain_stays",
                node=self._at.node,
            )
        self._at.log.info(
            f"Node {self._at.node} has nothing left to finish and ends", name="node_drained", node=self._at.node
        )
        self._at.stop.set()

    def _is_healthy(self) -> bool:
        """Whether this node may be trusted with tasks; one that is set aside tests itself when that is due."""
        if self._at.health.look():
            self._at.log.error(f"Node {self._at.node} is set aside: {self._at.health.why}", name="node_set_aside")
        if not self._at.health.is_set_aside:
            return True
        self._at.board.stands(Doing(NodeState.UNHEALTHY, self._at.health.why))
        if self._at.health.is_test_due:
            well = self._test()
            self._at.health.tested(well=well)
            if well:
                self._at.log.info(f"Node {self._at.node} has tested itself and works again", name="node_back")
            else:
                self._at.log.error(f"Node {self._at.node} still fails its own test", name="node_test_failed")
        return not self._at.health.is_set_aside

    def _test(self) -> bool:
        try:
            return self._self_test()
        except Stopped:
            return False

    def _tidy(self) -> None:
        """What was kept and is not needed any more goes, now and then; without a link it stays."""
        if (now := time.monotonic()) >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            with suppress(OSError):
                self._at.hauling.tidy()

    # -- which ---------------------------------------------------------------------------------------

    def _is_room(self) -> bool:
        """Whether a task may be taken now, at the latest after some time: ahead of its turn only where that helps."""
        with self.waiting():
            if self._at.hauling.is_far:
                return self._fetched.wait_for_room(_LOOK_SECONDS)
            return self._fetched.wait_until_wanted(_LOOK_SECONDS)

    def _drop_lost(self) -> None:
        """Leave a task that was taken away from this node before it was begun."""
        claim = self._fetched.thing
        if claim and self._care.must_stop(claim):
            self.give_back()

    def _leave_to_others(self) -> None:
        """Give back what was taken ahead of its turn where another node has come to have nothing to do."""
        claim = self._fetched.thing
        if claim is None or self._fetched.is_wanted:
            self._seen_at_leisure = None
            return
        if (now := time.monotonic()) < self._round_at:
            return
        self._round_at = now + _ROUND_SECONDS
        report = self._at.board.look()[0].report
        is_soon = report is not None and report.eta_seconds is not None and report.eta_seconds <= _SOON_SECONDS
        if is_soon or not self._is_wanted_elsewhere(claim.metadata.render.profile):
            self._seen_at_leisure = None
        elif self._seen_at_leisure == claim.token:
            if taken := self._fetched.take_back():
                self._care.give_back(taken, "another node has nothing to do and can begin it now")
        else:
            self._seen_at_leisure = claim.token

    def _is_wanted_elsewhere(self, profile: str) -> bool:
        try:
            return self._choosing.is_wanted_elsewhere(profile)
        except OSError:  # nobody can tell: what is here stays
            return False

    def _take_one(self) -> bool:
        try:
            ahead = not self._fetched.is_wanted
            for ticket in self._choosing.candidates(self._at.hauling.kept, ahead=ahead):
                self.mark()
                if self._at.stop.is_set() or not self._at.resting.is_over:
                    return False
                if ticket.task_id in self._care.tasks:  # what came of it here has not ended yet
                    continue
                claim = self._claim(ticket.task_id)
                self._choosing.taken(ticket, by_us=claim is not None)
                if claim:
                    self._at.worklog.looked(found=True)
                    self._bring(claim)
                    return True
        except OSError as error:
            self._at.resting.begin(as_machine_trouble(error, "cannot look for tasks"))
            return False
        self._at.worklog.looked(found=False)
        if self._fetched.is_wanted:
            self._at.board.stands(Doing(NodeState.IDLE))
        return False

    def _claim(self, task_id: str) -> Claim | None:
        try:
            return self._at.store.claim(task_id, self._at.node)
        except RecordError as error:
            self._at.log.error(f"Failed task {task_id}: {error}", name="task_failed", task=task_id)
        except OSError as error:
            self._at.resting.begin(as_machine_trouble(error, f"cannot claim task {task_id}"))
        return None

    def _bring(self, claim: Claim) -> None:
        metadata = claim.metadata
        self._care.take(claim)
        self._at.log.info(
            f"Took {metadata.label}: {metadata.voice_duration:.1f} s from {len(metadata.video_files)} clips",
            name="task_claimed",
            task=claim.task_id,
            attempt=claim.attempt,
            node=self._at.node,
        )
        with self._care.over(claim):
            if record := self._at.hauling.restore(claim):
                self._at.log.info(
                    f"The video of {metadata.label} is here already and is uploaded",
                    name="kept_found",
                    task=claim.task_id,
                )
                self._delivering.accept(Made(claim, record), self.mark)
                return
            started = time.monotonic()
            try:
                with self._at.worklog.fetching():
                    came = self._at.hauling.bring(claim, lambda done, size: self._told(claim, done, size))
                    came += self._bring_segments(claim)
                self._at.worklog.fetched(came)
            finally:
                self._at.board.carried(Direction.FETCHING)
            if self._at.hauling.is_far:
                self._at.log.info(
                    f"Fetched what {metadata.label} needs in {time.monotonic() - started:.1f} s",
                    name="task_fetched",
                    task=claim.task_id,
                )
            self._check(claim)
            while not self._fetched.put(claim, _LOOK_SECONDS):
                self.mark()
                self._check(claim)

    def _bring_segments(self, claim: Claim) -> int:
        """Bring what other nodes have conformed already, and return its bytes; what does not come is made here."""
        if not self._sharing:
            return 0
        task = self._at.store.layout.task(TaskState.PROCESSING, claim.task_id)
        try:
            self._sharing.look()
            keys = self._choosing.fitting.missing(claim.metadata, task, self._sharing.has)
            count, came = self._sharing.fetch(keys, lambda done, size: self._told(claim, done, size))
        except (TreeTrouble, OSError, RecordError, PlanError) as error:
            self._at.log.warning(
                f"Conformed clips of {claim.metadata.label} do not come from the root and are made here: {error}",
                name="segments_not_fetched",
                task=claim.task_id,
            )
            return 0
        if count:
            self._at.log.info(
                f"Fetched {count} conformed clips of {claim.metadata.label}",
                name="segments_fetched",
                task=claim.task_id,
                count=count,
                bytes=came,
            )
        return came

    def _told(self, claim: Claim, done: int, size: int) -> None:
        self.mark()
        self._check(claim)
        self._at.board.carries(Direction.FETCHING, claim.task_id, claim.metadata.label, done, size)

    def _check(self, claim: Claim) -> None:
        """End what is not begun yet as soon as the node may begin nothing."""
        if self._care.must_stop(claim) or self._duty.known or not self._at.resting.is_over:
            raise Stopped("its node can begin nothing now")
