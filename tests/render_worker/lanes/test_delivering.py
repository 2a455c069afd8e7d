"""A finished video reaches the root, or is kept until it does; it is never rendered twice for that."""

from __future__ import annotations

import json
import shutil
from collections import deque

import pytest

from render_worker.kept import Kept
from render_worker.lanes.delivering import Delivering, Made
from render_worker.pace import Pace
from render_worker.segments.sharing import Sharing
from shared.domain.layout import FINAL, REASON, RENDER_RECORD, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.segments import SegmentCache
from shared.store import Store
from shared.tree.tree import AlreadyThere, Progress
from tests.render_worker.lanes.conftest import AddTask, FarNode, untold


@pytest.fixture
def delivering(node: FarNode) -> Delivering:
    return Delivering(node.at, node.care, Pace(), None, shortest_wait=0.01)


def never_asked() -> None:
    raise AssertionError("there was no room for what was made")


def test_a_video_is_carried_to_the_root_and_published(
    farm: Layout, node: FarNode, delivering: Delivering, add_task: AddTask
) -> None:
    """Nothing of it is left at home."""
    claim = node.claim(add_task())
    delivering.accept(Made(claim, node.render(claim)), never_asked)
    delivering.turn()
    output = farm.task(TaskState.FINISHED, claim.task_id)
    assert (output / FINAL).read_bytes() == b"video"
    assert not list(node.home.state(TaskState.PROCESSING).iterdir())
    assert not node.care.tasks
    assert not node.kept.ids


def test_what_cannot_be_uploaded_is_kept_and_a_retry_only_uploads_it(
    farm: Layout, node: FarNode, delivering: Delivering, add_task: AddTask
) -> None:
    """After four tries the task lies in trash/failed/ and says so; its node has the video, and delivers it later."""
    task_id = add_task()
    claim = node.claim(task_id)
    delivering.accept(Made(claim, node.render(claim)), never_asked)
    node.tree.refuses = True
    delivering.turn()
    failed = farm.task(TaskState.FAILED, task_id)
    reason = Reason.read(failed / REASON)
    assert reason.code == "upload_failed"
    assert "could not be uploaded in 4 tries (Cannot write processing" in reason.reason
    assert "far keeps it" in reason.reason
    assert "reelmill retry" in reason.advice
    assert [one.ended for one in node.store.attempts(TaskState.FAILED, task_id)] == [Ending.UNDELIVERED]
    assert node.kept.ids == {task_id}
    assert not node.resting.is_over

    node.hauling.tidy()
    assert node.kept.ids == {task_id}
    assert Store(farm).retry(task_id, "ann")
    assert Store(farm).kept_by(TaskState.WAITING, task_id) == "far"
    node.tree.refuses = False
    again = node.claim(task_id)
    record = node.hauling.restore(again)
    assert record
    delivering.accept(Made(again, record), never_asked)
    delivering.turn()
    output = farm.task(TaskState.FINISHED, task_id)
    assert (output / FINAL).read_bytes() == b"video"
    published = RenderRecord.read(output / RENDER_RECORD)
    assert (published.attempt, published.token) == (2, again.token)
    assert not node.kept.ids


def test_a_worker_that_stops_keeps_what_is_not_delivered(
    farm: Layout, node: FarNode, delivering: Delivering, add_task: AddTask
) -> None:
    """The task goes back, and whoever of this node claims it again has its video."""
    task_id = add_task()
    claim = node.claim(task_id)
    delivering.accept(Made(claim, node.render(claim)), never_asked)
    node.stop.set()
    delivering.last()
    assert Store(farm).find(task_id) is TaskState.WAITING
    assert [one.ended for one in node.store.attempts(TaskState.WAITING, task_id)] == [Ending.GIVEN_BACK]
    assert node.kept.ids == {task_id}


def test_a_task_that_was_taken_away_is_left_alone(
    farm: Layout, node: FarNode, delivering: Delivering, add_task: AddTask
) -> None:
    """What another node publishes is not touched; what was kept goes once that is finished."""
    task_id = add_task()
    claim = node.claim(task_id)
    delivering.accept(Made(claim, node.render(claim)), never_asked)
    other = Store(farm)
    other.take_away(task_id, claim.attempt, Ending.DIED, "it was slow")
    other.requeue(task_id)
    second = other.claim(task_id, "near")
    assert second is not None
    delivering.turn()
    assert other.find(task_id) is TaskState.PROCESSING
    assert other.holds(second)
    assert node.kept.ids == {task_id}
    (second.folder / FINAL).write_bytes(b"theirs")
    other.publish(second)
    node.hauling.tidy()
    assert not node.kept.ids


@pytest.mark.parametrize("damage", ["video", "record", "task"])
def test_what_is_kept_is_used_only_while_it_is_right(
    farm: Layout, node: FarNode, add_task: AddTask, damage: str
) -> None:
    """A damaged video, a damaged record, and a task that was changed: each is dropped, and rendered anew."""
    task_id = add_task()
    claim = node.claim(task_id)
    node.render(claim)
    node.hauling.keep(claim)
    node.care.give_back(claim)
    if damage == "video":
        (node.home.kept / task_id / FINAL).write_bytes(b"vide0")
    elif damage == "record":
        (node.home.kept / task_id / RENDER_RECORD).write_text("{")
    else:
        path = farm.task(TaskState.WAITING, task_id) / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 4711}))
    again = node.claim(task_id)
    assert node.hauling.restore(again) is None
    assert not node.kept.ids
    node.hauling.bring(again, untold)
    assert (node.home.task(TaskState.PROCESSING, task_id) / "voice.mp3").exists()


def test_what_a_killed_worker_had_finished_is_kept(node: FarNode, add_task: AddTask) -> None:
    """Finished attempts are adopted by the next worker of this home; half-made ones are cleared away."""
    done, begun = node.claim(add_task()), node.claim(add_task())
    node.render(done)
    node.hauling.bring(begun, untold)
    (begun.folder / FINAL).write_bytes(b"half")
    processing = node.home.state(TaskState.PROCESSING)
    left = {done.task_id: f"0{done.task_id[1:-1]}a", begun.task_id: f"0{begun.task_id[1:-1]}b"}
    for task_id, name in left.items():  # what nobody holds, as the kernel lets go of what the dead held
        shutil.copytree(processing / task_id, processing / name, symlinks=True)
    node.hauling.adopt()
    assert node.kept.ids == {left[done.task_id]}
    assert {path.name for path in processing.iterdir()} == set(left), "what a living worker holds is not touched"


def test_what_is_kept_has_a_budget(node: FarNode, add_task: AddTask) -> None:
    """The oldest goes first, never the last one."""
    kept = Kept(node.home.kept, 1000, node.log)
    for _ in range(3):
        claim = node.claim(add_task())
        node.render(claim, b"x" * 600)
        kept.keep(claim.task_id, claim.folder)
    assert kept.ids == {claim.task_id}


def test_what_finds_no_room_before_the_worker_ends_is_kept(
    farm: Layout, node: FarNode, delivering: Delivering, add_task: AddTask
) -> None:
    """A finished video waits for the upload of another one; it is not lost when that is not to be."""
    first, second = node.claim(add_task()), node.claim(add_task())
    delivering.accept(Made(first, node.render(first)), never_asked)
    record = node.render(second)
    with node.care.over(second):
        delivering.accept(Made(second, record), node.stop.set)
    assert node.kept.ids == {second.task_id}
    assert Store(farm).find(second.task_id) is TaskState.WAITING


def test_a_conformed_clip_that_cannot_be_shared_ends_nothing(node: FarNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is: it can be made again anywhere."""
    offered = deque(["a" * 64])
    sharing = Sharing(node.store, "far", SegmentCache(node.home, "far", 1 << 30), offered)

    def refuse(_told: Progress) -> bool:
        raise AlreadyThere("another film has its name")

    monkeypatch.setattr(sharing, "send_one", refuse)
    monkeypatch.setattr("render_worker.lanes.delivering._TURN_SECONDS", 0.01)
    assert Delivering(node.at, node.care, Pace(), sharing).turn() == 0.0
