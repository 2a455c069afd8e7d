"""Real render workers on a real root: they render, publish, explain, give back, take over and share."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.layout import FINAL, METADATA, POSTER, REASON, RENDER_RECORD, SEGMENT, SHEET, STDERR, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.records.lock import LockRecord
from shared.records.metadata import Metadata
from shared.records.node import NodeRecord
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.store import Store
from shared.tally import Tally

AddTask = Callable[..., str]
StartWorker = Callable[..., "subprocess.Popen[bytes]"]
WaitUntil = Callable[[Callable[[], object]], None]
Children = Callable[[], list[int]]
Said = Callable[[], list[str]]

SLOW = {"voice": "voice_slow.mp3", "clips": ("long.mp4",), "resolution": "1280x720"}
SLOWLY = {"render__preset": "veryslow"}
"""Together they take half a minute and more, so that a test can step into the middle of a render."""

QUICK = {"voice": "voice_short.mp3", "clips": ("h264.mp4",)}


@pytest.fixture
def store(farm: Layout) -> Store:
    """The tasks of the farm."""
    return Store(farm)


@pytest.fixture
def finished(store: Store, wait_until: WaitUntil) -> Callable[..., None]:
    """Wait until tasks have their output and what they left has been cleared away."""
    return lambda *ids: wait_until(
        lambda: set(ids) <= set(store.ids(TaskState.FINISHED)) and not set(ids) & set(store.ids(TaskState.PROCESSING))
    )


@pytest.fixture
def in_the_middle(farm: Layout, wait_until: WaitUntil, children: Children) -> Callable[[], None]:
    """Wait until an ffmpeg is working on a task and has begun to conform a clip of it."""
    return lambda: wait_until(lambda: children() and list(farm.segments.glob(f".*/{SEGMENT}")))


def names(folder: Path) -> set[str]:
    """What is in a folder, the explanation of `reelmill init` aside."""
    return {path.name for path in folder.iterdir()} - {"README.md"}


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def events(lines: list[str], name: str) -> list[str]:
    return [line for line in lines if f"event={name}" in line.split()]


# -- a task that goes well ---------------------------------------------------------------------------


def test_waiting_tasks_are_rendered_and_published(
    farm: Layout, add_task: AddTask, start_worker: StartWorker, finished: Callable[..., None], wait_until: WaitUntil
) -> None:
    """Each task becomes an output of four files with a link people can find; nothing else of it is left."""
    ids = [add_task(**QUICK), add_task(**QUICK, logo="logo.png")]
    worker = start_worker()
    finished(*ids)
    for task_id in ids:
        output = farm.task(TaskState.FINISHED, task_id)
        assert names(output) == {FINAL, METADATA, RENDER_RECORD, POSTER, SHEET}
        record = RenderRecord.read(output / RENDER_RECORD)
        assert (record.task_id, record.attempt, record.frames) == (task_id, 1, 36)
        link = farm.story_view("fantasy", "dragon_flight", f"chapter_{task_id[:8]}")
        wait_until(link.exists)
        assert link.is_symlink()
        assert link.resolve() == (output / FINAL).resolve()
    wait_until(lambda: not names(farm.locks) and not names(farm.removed))
    assert not names(farm.state(TaskState.WAITING))
    assert not names(farm.state(TaskState.PROCESSING))
    assert stop(worker) == 0


def test_the_more_urgent_task_goes_first(
    add_task: AddTask, farm: Layout, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """Priority decides the order, then age."""
    plain, urgent = add_task(**QUICK), add_task(**QUICK)
    path = farm.task(TaskState.WAITING, urgent) / METADATA
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "priority": 90}), "utf-8")
    start_worker()
    wait_until(lambda: len(events(said(), "task_finished")) == 2)
    first, second = events(said(), "task_finished")
    assert (urgent in first, plain in second) == (True, True)


def test_a_worker_says_what_it_is_doing(
    add_task: AddTask, farm: Layout, start_worker: StartWorker, wait_until: WaitUntil, in_the_middle: Callable[[], None]
) -> None:
    """While it renders, its record names the task and how far it is, and its lock file goes on counting."""
    task_id = add_task(**SLOW)
    start_worker(worker__node="a", **SLOWLY)
    in_the_middle()

    def record() -> NodeRecord:
        return NodeRecord.read(farm.node_record("a"))

    wait_until(farm.node_record("a").exists)
    wait_until(lambda: record().task_id == task_id and (record().percent or 0) > 0)
    shown = record()
    assert (shown.state, shown.encoder, shown.phase) == ("rendering", "libx264", "conforming")
    assert shown.label == f"fantasy/dragon_flight/chapter_{task_id[:8]}"
    assert 0 < (shown.percent or 0) < 100
    lock = farm.lock(task_id, 1)
    before = LockRecord.read(lock).counter
    wait_until(lambda: LockRecord.read(lock).counter > before + 1)
    assert LockRecord.read(lock).node == "a"


# -- being stopped, being killed ---------------------------------------------------------------------


def test_an_idle_worker_stops_at_once_and_leaves_no_record(
    farm: Layout, start_worker: StartWorker, wait_until: WaitUntil
) -> None:
    """A worker that left on purpose is not listed as a dead one."""
    worker = start_worker(worker__node="a")
    wait_until(lambda: farm.node_record("a").exists())
    assert stop(worker) == 0
    assert not farm.node_record("a").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_asked_to_stop_gives_its_task_back(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    in_the_middle: Callable[[], None],
    children: Children,
    number: signal.Signals,
) -> None:
    """In the middle of a render it kills its ffmpeg, puts the task back whole, and ends with 0."""
    task_id = add_task(**SLOW)
    before = names(farm.task(TaskState.WAITING, task_id))
    worker = start_worker(**SLOWLY)
    in_the_middle()
    worker.send_signal(number)
    assert worker.wait(60) == 0
    assert not children()
    task = farm.task(TaskState.WAITING, task_id)
    assert names(task) == before | {"attempts"}
    assert all(path.exists() for path in task.iterdir())
    (attempt,) = store.attempts(TaskState.WAITING, task_id)
    assert (attempt.ended, attempt.why) == (Ending.GIVEN_BACK, "its worker was asked to stop")
    assert names(farm.output) <= {"by-story"}
    assert not names(farm.state(TaskState.PROCESSING)) | names(farm.locks) | names(farm.removed)


def test_a_killed_worker_takes_its_ffmpeg_along_and_another_takes_over(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    in_the_middle: Callable[[], None],
    wait_until: WaitUntil,
    children: Children,
) -> None:
    """On one host the kernel tells that a holder died: nobody waits for the lease, which here is five minutes."""
    task_id = add_task(**SLOW)
    worker = start_worker(**SLOWLY)
    in_the_middle()
    worker.kill()
    worker.wait()
    wait_until(lambda: not children())
    assert store.find(task_id) is TaskState.PROCESSING
    start_worker(worker__node="b")
    finished(task_id)
    record = RenderRecord.read(farm.task(TaskState.FINISHED, task_id) / RENDER_RECORD)
    assert (record.attempt, record.node) == (2, "b")
    wait_until(lambda: not names(farm.locks) and not names(farm.removed))


def test_a_task_that_kills_every_worker_is_given_up(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    in_the_middle: Callable[[], None],
    wait_until: WaitUntil,
    children: Children,
) -> None:
    """Deaths are counted before the work: after the last allowed attempt the task lies in trash with its story."""
    task_id = add_task(**SLOW)
    for _ in range(2):
        worker = start_worker(**SLOWLY, worker__max_attempts=2)
        in_the_middle()
        worker.kill()
        worker.wait()
        wait_until(lambda: not children())  # else the next worker would be killed before its own has begun
    start_worker(worker__max_attempts=2)
    wait_until(lambda: store.find(task_id) is TaskState.FAILED)
    reason = Reason.read(farm.task(TaskState.FAILED, task_id) / REASON)
    assert reason.code == "attempts_used_up"
    assert [one.ended for one in store.attempts(TaskState.FAILED, task_id)] == [Ending.DIED, Ending.DIED]


# -- a task that goes wrong --------------------------------------------------------------------------


def test_a_task_whose_clip_is_broken_fails_with_an_explanation_and_the_next_one_is_done(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    tmp_path: Path,
    said: Said,
) -> None:
    """Reason and all that ffmpeg said lie in the failed task; there is no second attempt at the same input."""
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(b"no video at all " * 100)
    bad = add_task(clips=(clip,), seconds_each=3.0)
    good = add_task(**QUICK)
    start_worker()
    finished(good)
    task = farm.task(TaskState.FAILED, bad)
    assert store.find(bad) is TaskState.FAILED
    reason = Reason.read(task / REASON)
    assert (reason.code, reason.task_id) == ("render_failed", bad)
    assert "Error opening input" in reason.reason
    log = (task / STDERR).read_text("utf-8")
    assert len(log.splitlines()) > 1
    assert log == (task / "attempts" / "1.stderr.log").read_text("utf-8")
    assert [one.ended for one in store.attempts(TaskState.FAILED, bad)] == [Ending.FAILED]
    assert not [name for name in names(task) if name.startswith("attempt-")]
    (line,) = events(said(), "task_failed")
    assert f"task={bad}" in line
    assert not farm.lock(bad, 1).exists()


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        ("link", "render_failed", "video_part1.mp4 (scanned/h264.mp4) cannot be read"),
        ("metadata", "bad_metadata", "is not JSON"),
        ("early end", "render_failed", "the segment of scanned/h264.mp4 did not pass the gate: frames is 75"),
    ],
)
def test_a_damaged_task_says_what_is_wrong_with_it(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    damage: str,
    code: str,
    words: str,
) -> None:
    """A dangling link, metadata nobody can read, a clip shorter than declared: each is told in its own words."""
    bad = add_task(clips=("h264.mp4",), seconds_each=2.6)
    task = farm.task(TaskState.WAITING, bad)
    if damage == "link":
        (task / "video_part1.mp4").unlink()
    elif damage == "metadata":
        (task / METADATA).write_text("{", "utf-8")
    start_worker()
    wait_until(lambda: store.find(bad) is TaskState.FAILED)
    reason = Reason.read(farm.task(TaskState.FAILED, bad) / REASON)
    assert reason.code == code
    assert words in reason.reason
    assert reason.advice
    wait_until(lambda: not names(farm.locks))


def test_a_failed_task_put_right_and_moved_back_is_rendered(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    wait_until: WaitUntil,
) -> None:
    """What the advice says works: with the missing file in its place, moving the folder into tasks/ makes the video."""
    task_id = add_task(**QUICK)
    clip = farm.scanned / "h264.mp4"
    clip.rename(farm.root / "mislaid.mp4")
    start_worker()
    wait_until(lambda: store.find(task_id) is TaskState.FAILED)
    (farm.root / "mislaid.mp4").rename(clip)
    farm.task(TaskState.FAILED, task_id).rename(farm.task(TaskState.WAITING, task_id))
    finished(task_id)
    output = farm.task(TaskState.FINISHED, task_id)
    assert names(output) == {FINAL, METADATA, RENDER_RECORD, POSTER, SHEET}
    assert RenderRecord.read(output / RENDER_RECORD).attempt == 2


def test_a_task_taken_away_in_the_middle_is_left_alone(
    farm: Layout,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    in_the_middle: Callable[[], None],
    wait_until: WaitUntil,
    children: Children,
    said: Said,
) -> None:
    """Its worker notices, kills its ffmpeg, publishes nothing of it, and goes on with the next task."""
    taken, following = add_task(**SLOW), add_task(**QUICK)
    worker = start_worker(**SLOWLY)
    in_the_middle()
    at_work = set(children())
    assert at_work
    farm.task(TaskState.PROCESSING, taken).rename(farm.root / "taken")
    wait_until(lambda: not at_work.intersection(children()))
    finished(following)
    assert worker.poll() is None
    assert names(farm.output) - {"by-story"} == {following}
    assert events(said(), "task_lost")
    wait_until(lambda: not names(farm.locks))


def test_a_task_taken_away_just_before_its_render_fails_is_left_alone(
    farm: Layout,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    said: Said,
    script: Callable[[str], Ffmpeg],
) -> None:
    """A failure in a task that is not there any more is nobody's failure, and the worker survives it."""
    taken, away = add_task(**QUICK), farm.root / "taken"
    body = f"""
        case "$*" in *{taken}*) mv '{farm.task(TaskState.PROCESSING, taken)}' '{away}'; exit 1;; esac
        exec "$FFMPEG" "$@" """
    following = add_task(**QUICK)
    worker = start_worker(ffmpeg__path=script(body).path)
    finished(following)
    assert worker.poll() is None
    (line,) = events(said(), "task_lost")
    assert taken in line
    assert not events(said(), "task_failed")


def test_a_task_on_which_ffmpeg_hangs_is_tried_again_before_it_is_given_up(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    script: Callable[[str], Ffmpeg],
) -> None:
    """A hang may be the machine's or the input's, so it is counted; the explanation names the setting."""
    task_id = add_task(**QUICK)
    hang = 'case "$*" in *-version*) exec "$FFMPEG" "$@";; esac; exec sleep 600'
    start_worker(ffmpeg__path=script(hang).path, render__stall_seconds=1, worker__max_attempts=2)
    wait_until(lambda: store.find(task_id) is TaskState.FAILED)
    assert [one.ended for one in store.attempts(TaskState.FAILED, task_id)] == [Ending.STALLED, Ending.STALLED]
    reason = Reason.read(farm.task(TaskState.FAILED, task_id) / REASON)
    assert reason.code == "attempts_used_up"
    assert "made no progress for 1 s" in reason.reason
    assert "render.stall_seconds" in reason.advice


def test_an_output_that_is_there_already_is_not_touched(
    farm: Layout, add_task: AddTask, start_worker: StartWorker, finished: Callable[..., None], wait_until: WaitUntil
) -> None:
    """A waiting task whose output exists is cleared away, not rendered again."""
    done, following = add_task(**QUICK), add_task(**QUICK)
    output = farm.task(TaskState.FINISHED, done)
    output.mkdir()
    (output / FINAL).write_bytes(b"the first one")
    start_worker()
    finished(following)
    wait_until(lambda: not farm.task(TaskState.WAITING, done).exists())
    assert (output / FINAL).read_bytes() == b"the first one"
    assert names(output) == {FINAL}


# -- several workers, little room --------------------------------------------------------------------


def test_two_workers_of_a_host_share_the_tasks(
    farm: Layout,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    wait_until: WaitUntil,
    said: Said,
) -> None:
    """They take different names by themselves, and each task is claimed and rendered exactly once."""
    start_worker()
    start_worker()
    wait_until(lambda: len(list(farm.nodes.glob("*.json"))) == 2)
    one, other = sorted((path.stem for path in farm.nodes.glob("*.json")), key=len)
    assert other == f"{one}-2"
    ids = [add_task(**QUICK) for _ in range(6)]
    finished(*ids)
    records = [RenderRecord.read(farm.task(TaskState.FINISHED, task_id) / RENDER_RECORD) for task_id in ids]
    assert {record.attempt for record in records} == {1}
    assert {record.node for record in records} == {one, other}
    assert len(events(said(), "task_claimed")) == len(ids)
    wait_until(lambda: not names(farm.locks) and not names(farm.removed))


def test_with_too_little_room_no_task_is_taken(
    farm: Layout, store: Store, add_task: AddTask, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """The worker says once how much is left, shows it as its state, and leaves the task waiting."""
    task_id = add_task(**QUICK)
    start_worker(worker__node="a", worker__min_free_bytes=10**18)
    record = farm.node_record("a")
    wait_until(lambda: record.exists() and NodeRecord.read(record).state == "low on disk")
    counter = NodeRecord.read(record).counter
    wait_until(lambda: NodeRecord.read(record).counter > counter + 3)
    (line,) = events(said(), "low_disk")
    assert line.split(" ", 1)[1].startswith('WARN render_worker "Low disk space: ')
    assert 'GB remaining"' in line
    assert store.find(task_id) is TaskState.WAITING
    assert not store.attempts(TaskState.WAITING, task_id)


def test_a_task_that_is_too_large_for_the_disk_waits_and_others_go_on(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    finished: Callable[..., None],
    wait_until: WaitUntil,
    said: Said,
) -> None:
    """It was never started, so that no number of nodes uses up its starts; it is told once."""
    large = add_task(**QUICK)
    path = farm.task(TaskState.WAITING, large) / METADATA
    metadata = Metadata.read(path)
    hours = 3e4  # in seconds; in pictures of this size some 40 TB
    inputs = {name: one.model_copy(update={"seconds": hours}) for name, one in metadata.inputs.items()}
    render = metadata.render.model_copy(update={"resolution": "60000x60000"})
    metadata.changed(voice_duration=hours, inputs=inputs, render=render).write(path)
    small = add_task(**QUICK)
    start_worker()
    finished(small)
    wait_until(lambda: events(said(), "task_too_large"))
    (line,) = events(said(), "task_too_large")
    assert 'WARN render_worker "Low disk space: ' in line
    assert "it waits for room, or for another node" in line
    assert store.find(large) is TaskState.WAITING
    assert not store.attempts(TaskState.WAITING, large)


def test_a_node_in_trouble_puts_the_task_back_and_rests(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    script: Callable[[str], Ffmpeg],
) -> None:
    """A full disk is not the task's fault: it waits for another attempt, and the node's state says why it rests."""
    task_id = add_task(**QUICK)
    full = 'case "$*" in *-version*) exec "$FFMPEG" "$@";; esac; echo "x: No space left on device" >&2; exit 1'
    start_worker(worker__node="a", ffmpeg__path=script(full).path)
    wait_until(lambda: [one.ended for one in store.attempts(TaskState.WAITING, task_id)] == [Ending.NODE_TROUBLE])
    record = farm.node_record("a")
    wait_until(record.exists)
    wait_until(lambda: (NodeRecord.read(record).why or "").startswith("ffmpeg found the disk full"))
    counter = NodeRecord.read(record).counter
    wait_until(lambda: NodeRecord.read(record).counter > counter + 2)
    assert NodeRecord.read(record).state == "resting"
    assert store.find(task_id) is TaskState.WAITING


def test_a_node_that_lost_its_tool_puts_the_task_back_and_rests(
    farm: Layout,
    store: Store,
    add_task: AddTask,
    start_worker: StartWorker,
    wait_until: WaitUntil,
    script: Callable[[str], Ffmpeg],
) -> None:
    """A node whose ffmpeg was removed while it ran survives it, and another node may do the task."""
    program = script('exec "$FFMPEG" "$@"')
    worker = start_worker(worker__node="a", ffmpeg__path=program.path)
    wait_until(farm.node_record("a").exists)
    Path(program.path).unlink()
    task_id = add_task(**QUICK)
    wait_until(lambda: [one.ended for one in store.attempts(TaskState.WAITING, task_id)] == [Ending.NODE_TROUBLE])
    assert "does not start" in (store.attempts(TaskState.WAITING, task_id)[0].why or "")
    assert worker.poll() is None


def test_a_worker_survives_a_folder_of_tasks_that_cannot_be_read(
    farm: Layout, start_worker: StartWorker, wait_until: WaitUntil, said: Said
) -> None:
    """When the root cannot be read the worker says so, rests, and can still be stopped."""
    worker = start_worker(worker__node="a")
    record = farm.node_record("a")
    wait_until(record.exists)
    tasks = farm.state(TaskState.WAITING)
    tasks.rename(farm.root / "tasks-away")
    tasks.write_bytes(b"a file in its place")
    wait_until(lambda: (NodeRecord.read(record).why or "").startswith("cannot look for tasks"))
    wait_until(lambda: events(said(), "node_trouble"))
    assert stop(worker) == 0


# -- starting ----------------------------------------------------------------------------------------


def test_a_name_in_use_is_refused(farm: Layout, start_worker: StartWorker, wait_until: WaitUntil, said: Said) -> None:
    """A second worker of the same configured name ends with 2 and says what to change; the first goes on."""
    first = start_worker(worker__node="studio")
    wait_until(lambda: farm.node_record("studio").exists())
    assert start_worker(worker__node="studio").wait(60) == 2
    (line,) = events(said(), "cannot_start")
    assert "studio" in line
    assert "set worker.node to another one" in line
    assert first.poll() is None


def test_a_missing_ffmpeg_is_refused(start_worker: StartWorker, said: Said) -> None:
    """A worker without its tool ends with 1 and names the setting."""
    assert start_worker(ffmpeg__path="/nowhere/ffmpeg").wait(60) == 1
    assert any("ffmpeg.path" in line for line in said())


def test_wrong_settings_are_refused_all_at_once(start_worker: StartWorker, said: Said) -> None:
    """A worker with a wrong configuration ends with 2 and lists every problem."""
    assert start_worker(render__preset="fastest", worker__lease_secnds=3).wait(60) == 2
    text = "\n".join(said())
    assert "render.preset" in text
    assert "did you mean worker.lease_seconds?" in text
    assert "2 problems" in text


def test_tasks_of_a_profile_that_a_node_cannot_encode_are_left_to_others(
    farm: Layout,
    add_task: Callable[..., str],
    start_worker: Callable[..., subprocess.Popen[bytes]],
    said: Callable[[], list[str]],
    wait_until: Callable[..., None],
) -> None:
    """They stay where they are, and the log says why; one of an unknown profile fails with an explanation."""
    with farm.config.open("a", encoding="utf-8") as config:
        config.write('[profiles.mac]\nencoder = "videotoolbox"\n')
    left, unknown, usual = add_task(), add_task(), add_task()
    for task_id, profile in ((left, "mac"), (unknown, "mack")):
        path = farm.task(TaskState.WAITING, task_id) / METADATA
        metadata = Metadata.read(path)
        request = metadata.render.model_copy(update={"profile": profile})
        metadata.model_copy(update={"render": request}).write(path)
    start_worker(worker__max_attempts=1, worker__conform_when_idle="false")
    wait_until(farm.task(TaskState.FINISHED, usual).is_dir)
    assert farm.task(TaskState.WAITING, left).is_dir()
    reason = Reason.read(farm.task(TaskState.FAILED, unknown) / REASON)
    assert 'no profile "mack" in the configuration; did you mean mac?' in reason.reason
    lines = [line for line in said() if "event=profile_left_out" in line]
    assert len(lines) == 1
    assert 'Leaving videos of the profile \\"mac\\" to other nodes: profiles.mac.encoder' in lines[0]


def test_a_worker_writes_down_what_it_did(
    farm: Layout,
    add_task: Callable[..., str],
    start_worker: Callable[..., subprocess.Popen[bytes]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """A line for the task, with the time it was rendered; the figures follow."""
    task_id = add_task()
    worker = start_worker(worker__node="a")
    wait_until(lambda: farm.task(TaskState.FINISHED, task_id).exists())
    worker.terminate()
    worker.wait()
    tally = Tally(farm)
    tally.look(time.time())
    found = tally.record(time.time()).nodes["a"]["hour"]
    assert (found.finished, found.failed, tally.damaged) == (1, 0, 0)
    assert found.avg_render_time
    assert found.render_utilization
