"""The life of tasks as a state machine: the real store and recovery on a real folder, against a model in memory.

The model knows the table of ``shared/domain/task.py`` and nothing else; workers, operators and observers do what they
may in any order, workers die and wake up late, and after every step each task is where the model says.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from shared.domain.errors import IllegalTransition
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.retry import Ending
from shared.domain.task import TRANSITIONS, Move, TaskState, after
from shared.log import open_log
from shared.process import open_root
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.reason import CANCELLED, Reason
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.settings import Log
from shared.store import Claim, HoldLost, Store

LEASE = 30.0
CAPS = Caps(max_attempts=3, max_starts=6)


@dataclass
class Known:
    """What the model knows of one task."""

    state: TaskState = TaskState.WAITING
    holder: Claim | None = None
    is_alive: bool = True
    starts: int = 0
    video: bytes = b""
    endings: list[Ending] = field(default_factory=list)


class LifeOfTasks(RuleBasedStateMachine):
    """Claims are kept in a bundle even after they were lost: a late worker tries everything it could do in time."""

    tasks, claims = Bundle("tasks"), Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelmill-life-"))
        (self.folder / "raw").mkdir()
        self.layout: Layout = open_root(self.folder)
        self.store = Store(self.layout)
        self.known: dict[str, Known] = {}
        self.now = 0.0
        log = open_log("tests", Log(file=False, level="ERROR"))
        self.recovery = Recovery(self.store, CAPS, LEASE, log, lambda: self.now)

    def teardown(self) -> None:
        for task in getattr(self, "known", {}).values():
            if task.holder:
                task.holder.sign.release()
        shutil.rmtree(getattr(self, "folder", "/nonexistent"), ignore_errors=True)

    # -- what anybody may do ---------------------------------------------------------------------

    @rule(target=tasks)
    def add(self) -> str:
        task_id = str(uuid.uuid4())
        self._stage(task_id)
        assert self.store.add(self.layout.staging / task_id, task_id)
        self.known[task_id] = Known()
        return task_id

    @rule(task_id=tasks)
    def add_again(self, task_id: str) -> None:
        """The main worker was killed before it noted that it had made the task."""
        self._stage(task_id)
        if self.store.find(task_id) is TaskState.WAITING:
            assert not self.store.add(self.layout.staging / task_id, task_id)
        shutil.rmtree(self.layout.staging / task_id)

    @rule(target=claims, task_id=tasks, node=st.sampled_from("abc"))
    def claim(self, task_id: str, node: str) -> tuple[str, Claim] | None:
        known = self.known[task_id]
        claim = self.store.claim(task_id, node)
        assert (claim is not None) == (known.state is TaskState.WAITING)
        if claim is None:
            return None
        known.state, known.holder, known.is_alive = after(known.state, Move.CLAIM), claim, True
        known.starts += 1
        return task_id, claim

    @rule(held=claims)
    def publish(self, held: tuple[str, Claim] | None) -> None:
        self._try(held, Move.PUBLISH, self.store.publish)

    @rule(held=claims, ending=st.sampled_from([Ending.FAILED, Ending.STALLED]))
    def fail(self, held: tuple[str, Claim] | None, ending: Ending) -> None:
        self._try(held, Move.FAIL, lambda claim: self.store.fail(claim, ending, _reason(claim.task_id)))

    @rule(held=claims)
    def give_back(self, held: tuple[str, Claim] | None) -> None:
        self._try(held, Move.GIVE_BACK, lambda claim: self.store.give_back(claim, Ending.GIVEN_BACK, "drained"))

    @rule(held=consumes(claims))
    def die(self, held: tuple[str, Claim] | None) -> None:
        """The process is gone: nobody holds its lock any more."""
        if held and self._holds(held):
            held[1].sign.abandon()
            self.known[held[0]].is_alive = False

    @rule(held=claims)
    def fall_silent(self, held: tuple[str, Claim] | None) -> None:
        """Frozen for longer than the lease, on another host: an observer takes it for dead, though it will wake up."""
        if not held or not self._holds(held):
            return
        task_id, claim = held
        self.known[task_id].is_alive = False
        attempts = self.store.take_away(task_id, claim.attempt, Ending.DIED, "silent")
        assert attempts is not None
        assert self.store.requeue(task_id)
        self.known[task_id].state, self.known[task_id].holder = TaskState.WAITING, None

    @rule()
    def recover(self) -> None:
        """An observer of this host sweeps: the tasks of the dead go back, or are given up; nobody else's."""
        self.now += LEASE / 2
        self.recovery.sweep()
        for task_id, known in self.known.items():
            if known.state is TaskState.PROCESSING and not known.is_alive:
                known.holder = None
                found = self.store.find(task_id)
                assert found in (TaskState.WAITING, TaskState.FAILED)
                known.state = found

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        known = self.known[task_id]
        could = known.state in (TaskState.WAITING, TaskState.PROCESSING)
        assert self.store.cancel(task_id, _reason(task_id, CANCELLED)) is could
        if could:
            known.state, known.holder = after(known.state, Move.FAIL), None

    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        known = self.known[task_id]
        could = known.state is TaskState.FAILED
        assert self.store.retry(task_id, "ann") is could
        if could:
            known.state, known.starts = after(known.state, Move.RETRY), 0

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def every_task_is_in_one_place(self) -> None:
        for task_id, known in getattr(self, "known", {}).items():
            assert [state for state in TaskState if task_id in self.store.ids(state)] == [known.state]
            assert Metadata.read(self.layout.task(known.state, task_id) / METADATA).task_id == task_id

    @invariant()
    def an_output_never_changes(self) -> None:
        for task_id, known in getattr(self, "known", {}).items():
            if known.state is TaskState.FINISHED:
                output = self.layout.task(TaskState.FINISHED, task_id)
                assert (output / FINAL).read_bytes() == known.video
                RenderRecord.read(output / RENDER_RECORD)

    @invariant()
    def starts_are_counted(self) -> None:
        for task_id, known in getattr(self, "known", {}).items():
            if known.state is not TaskState.FINISHED:
                assert len(self.store.attempts(known.state, task_id)) == known.starts

    @invariant()
    def only_holders_have_locks(self) -> None:
        if hasattr(self, "known"):
            held = sum(known.state is TaskState.PROCESSING for known in self.known.values())
            assert len(list(self.layout.locks.glob("*.*.lock"))) <= held
            assert not list(self.layout.removed.iterdir())
            assert not list(self.layout.drafts.iterdir())

    # -- steps -----------------------------------------------------------------------------------

    def _try(self, held: tuple[str, Claim] | None, move: Move, act) -> None:  # type: ignore[no-untyped-def]
        """The holder succeeds; whoever was one once finds out and changes nothing."""
        if held is None:
            return
        task_id, claim = held
        known = self.known[task_id]
        if not self._holds(held):
            with suppress(FileNotFoundError):
                self._render(claim)
            with pytest.raises(HoldLost):
                act(claim)
            return
        self._render(claim)
        act(claim)
        known.state, known.holder = after(known.state, move), None
        if move is Move.PUBLISH:
            known.video = claim.token.encode()

    def _holds(self, held: tuple[str, Claim]) -> bool:
        known = self.known[held[0]]
        return known.holder is held[1] and known.is_alive

    def _stage(self, task_id: str) -> None:
        staged = self.layout.staging / task_id
        staged.mkdir()
        Metadata(
            task_id=task_id,
            category="c",
            story_name="s",
            voice_file="voice.mp3",
            seed=1,
            voice_duration=1.0,
            music_file=None,
            video_files=(),
            chapter="1",
            created_at="now",
            inputs={"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=5)},
            render=RenderRequest(resolution="640x360", frame_rate=30),
        ).write(staged / METADATA)

    def _render(self, claim: Claim) -> None:
        (claim.folder / FINAL).write_bytes(claim.token.encode())
        claim.metadata.write(claim.folder / METADATA)
        RenderRecord(
            task_id=claim.task_id,
            attempt=claim.attempt,
            token=claim.token,
            node="a",
            program="",
            ffmpeg="",
            encoder="",
            mode="",
            plan={},
            checks=(),
            sha256="",
            size=0,
            seconds=0,
            frames=0,
            timings={},
            started_at="",
            finished_at="",
        ).write(claim.folder / RENDER_RECORD)


def _reason(task_id: str, code: str = "render_failed") -> Reason:
    return Reason(code=code, reason="It failed.", advice="Look.", task_id=task_id, when="2026-11-20T00:00:00Z")


LifeOfTasks.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLifeOfTasks = LifeOfTasks.TestCase


def test_the_manual_has_the_table() -> None:
    """Every move of the table, and no other, is a row of docs/protocol.md."""
    manual = (Path(__file__).parents[2] / "docs/protocol.md").read_text("utf-8")
    lines = [line for line in manual.splitlines() if line.startswith("| `")]
    rows = [[cell.strip(" `/") for cell in line.split("|")[1:4]] for line in lines]
    written = {(row[0], row[1], row[2]) for row in rows if row[1] in {move.value for move in Move}}
    assert written == {(state.value, move.value, end.value) for (state, move), end in TRANSITIONS.items()}


def test_other_moves_are_refused() -> None:
    """By name, before anything is touched."""
    for state in TaskState:
        for move in Move:
            if (state, move) not in TRANSITIONS:
                with pytest.raises(IllegalTransition, match=f"a task in {state.value}/ cannot {move.value}"):
                    after(state, move)
