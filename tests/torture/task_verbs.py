"""Each verb of a task's life as the torture of claims does it, where it begins, and what may come of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, VIDEO_LIST, Layout
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.log import open_log
from shared.orders import Orders
from shared.process import open_root
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.reason import CANCELLED, Reason
from shared.records.render import RenderRecord
from shared.recovery import Caps, Recovery
from shared.settings import Log
from shared.store import Claim, Store

TASK = "5f0c0000-0000-5000-8000-000000000001"
CAPS = Caps(max_attempts=20, max_starts=30)
VIDEO = hashlib.sha256(b"a video").digest() * 4096
LEASE = 30.0

Act = Callable[[], int]


@dataclass(frozen=True)
class Verb:
    """One thing that is done to a task.

    Attributes:
        lay: brings a new root to where the verb begins.
        prepare: what the process that does it does before, unwatched; it returns the verb itself.
        ends: the states in which the task may be once everybody has come to rest, if workers go on.
    """

    lay: Callable[[Store], None]
    prepare: Callable[[Store], Act]
    ends: frozenset[TaskState]


def add(store: Store, **changes: object) -> None:
    """Add the task, the way the main worker does."""
    layout = store.layout
    voice = layout.scanned / "voice.mp3"
    voice.write_bytes(b"voice")
    values: dict[str, object] = {
        "task_id": TASK,
        "category": "c",
        "story_name": "s",
        "voice_file": "voice.mp3",
        "voice_duration": 1.0,
        "music_file": None,
        "video_files": (),
        "chapter": "1",
        "seed": 1,
        "created_at": "2026-11-20T00:00:00Z",
        "inputs": {"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=5)},
        "render": RenderRequest(resolution="640x360", frame_rate=30),
    }
    staged = layout.staging / TASK
    staged.mkdir()
    (staged / VIDEO_LIST).write_text("ffconcat version 1.0\n", "ascii")
    Metadata.model_validate(values | changes).write(staged / METADATA)
    assert store.add(staged, TASK)


def claim_of(store: Store, node: str = "victim") -> Claim:
    claim = store.claim(TASK, node)
    assert claim is not None
    return claim


def render(claim: Claim) -> None:
    """Make an attempt complete; its video says which task it is of."""
    (claim.folder / FINAL).write_bytes(VIDEO)
    claim.metadata.write(claim.folder / METADATA)
    RenderRecord(
        task_id=claim.task_id,
        attempt=claim.attempt,
        token=claim.token,
        node="victim",
        program="",
        ffmpeg="",
        encoder="",
        mode="",
        plan={},
        checks=(),
        sha256="",
        size=len(VIDEO),
        seconds=0,
        frames=0,
        timings={},
        started_at="",
        finished_at="",
    ).write(claim.folder / RENDER_RECORD)


def recovery_of(store: Store) -> Recovery:
    """An observer whose clock makes each look come a lease after the one before."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += LEASE
        return now

    return Recovery(store, CAPS, LEASE, open_log("torture", Log(file=False, level="ERROR")), clock)


def reason(code: str = "render_failed") -> Reason:
    return Reason(code=code, reason="It failed.", advice="Look.", task_id=TASK, when="2026-11-20T00:00:00Z")


# -- where a verb begins -------------------------------------------------------------------------


def _dead(store: Store) -> None:
    """A worker that is gone holds the task; it had half a video."""
    add(store)
    child = os.fork()
    if child == 0:
        (claim_of(store, "dead").folder / FINAL).write_bytes(b"half")
        os._exit(0)
    os.waitpid(child, 0)


def _dead_after_publishing(store: Store) -> None:
    """A worker died between publishing and clearing up."""
    add(store)
    child = os.fork()
    if child == 0:
        claim = claim_of(store, "dead")
        render(claim)
        claim.folder.rename(store.layout.task(TaskState.FINISHED, TASK))
        os._exit(0)
    os.waitpid(child, 0)


def _failed(store: Store) -> None:
    add(store)
    store.fail(claim_of(store), Ending.FAILED, reason())


# -- verbs ---------------------------------------------------------------------------------------


def _claim(store: Store) -> Act:
    return _done(lambda: store.claim(TASK, "victim"))


def _publish(store: Store) -> Act:
    claim = claim_of(store)
    render(claim)
    return _done(lambda: store.publish(claim))


def _fail(store: Store) -> Act:
    claim = claim_of(store)
    store.layout.attempt_stderr(TASK, claim.attempt).write_text("ffmpeg said\n", "ascii")
    return _done(lambda: store.fail(claim, Ending.FAILED, reason()))


def _give_back(store: Store) -> Act:
    claim = claim_of(store)
    return _done(lambda: store.give_back(claim, Ending.GIVEN_BACK, "drained"))


def _cancel(store: Store) -> Act:
    return _done(lambda: store.cancel(TASK, reason(CANCELLED)))


def _retry(store: Store) -> Act:
    return _done(lambda: store.retry(TASK, "ann"))


def _prioritise(store: Store) -> Act:
    return _done(lambda: Orders(store.layout).prioritise(TASK, 90))


def _recover(store: Store) -> Act:
    def act() -> int:
        recovery = recovery_of(store)
        for _ in range(4):
            recovery.sweep()
        return 0

    return act


def _done(act: Callable[[], object]) -> Act:
    def run() -> int:
        act()
        return 0

    return run


_EITHER = frozenset({TaskState.FINISHED, TaskState.FAILED})
_FINISHED = frozenset({TaskState.FINISHED})
VERBS: Mapping[str, Verb] = {
    "claim": Verb(add, _claim, _FINISHED),
    "publish": Verb(add, _publish, _FINISHED),
    "fail": Verb(add, _fail, _EITHER),
    "give back": Verb(add, _give_back, _FINISHED),
    "cancel waiting": Verb(add, _cancel, _EITHER),
    "cancel held": Verb(_dead, _cancel, _EITHER),
    "cancel finished": Verb(_dead_after_publishing, _cancel, _FINISHED),
    "retry": Verb(_failed, _retry, _EITHER),
    "priority": Verb(add, _prioritise, _FINISHED),
    "recover": Verb(_dead, _recover, _FINISHED),
    "recover finished": Verb(_dead_after_publishing, _recover, _FINISHED),
}


def new_root(folder: Path) -> Layout:
    (folder / "root" / "raw").mkdir(parents=True)
    return open_root(folder / "root")
