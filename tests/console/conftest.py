"""A laid-out root, and things in its trash as the workers put them there."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from console.init import lay_out
from shared.domain.drop import Kind
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout, reason_of, sidecar_of
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.node import NodeRecord
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.records.sidecar import Origin, Sidecar
from shared.store import Store
from tests.terminal import Terminal

VOICE_BYTES = b"the voice of a story"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root as `reelmill init` makes it."""
    return lay_out(tmp_path / "root")


@pytest.fixture
def store(layout: Layout) -> Store:
    return Store(layout)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem than `tmp_path`."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here: /dev/shm is missing or the one of the temporary folder")
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def reject(layout: Layout) -> Callable[..., Path]:
    """Puts a rejected drop into the trash, under a name of the library, with its explanation."""

    def put(original: str | None, name: str, content: bytes = b"drop", **changes: object) -> Path:
        path = layout.invalid / name
        path.write_bytes(content)
        values: dict[str, object] = {
            "code": "truncated",
            "reason": f"{name} is cut off.",
            "advice": "Copy it again.",
            "original_path": original,
            "when": "2026-11-20T18:03:44.000Z",
        }
        Reason.model_validate(values | changes).write(reason_of(path))
        return path

    return put


@pytest.fixture
def add_task(store: Store) -> Callable[..., str]:
    """Adds one waiting task, the way the main worker does; returns its id."""

    def add(**changes: object) -> str:
        values: dict[str, object] = {
            "task_id": str(uuid.uuid4()),
            "category": "fantasy",
            "story_name": "dragon_flight",
            "voice_file": "voice.mp3",
            "voice_duration": 12.5,
            "music_file": None,
            "inputs": {"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=len(VOICE_BYTES))},
            "video_files": (),
            "render": RenderRequest(resolution="640x360", frame_rate=30),
            "chapter": "chapter_0001",
            "titles": ("Fantasy", "Dragon Flight", "Chapter 1"),
            "seed": 1,
            "created_at": "2026-11-20T18:03:44.000Z",
        }
        metadata = Metadata.model_validate(values | changes)
        staged = store.layout.staging / metadata.task_id
        staged.mkdir()
        metadata.write(staged / METADATA)
        assert store.add(staged, metadata.task_id)
        return metadata.task_id

    return add


@pytest.fixture
def fail_task(store: Store, add_task: Callable[..., str]) -> Callable[..., str]:
    """Adds a task and lets it fail; returns its id."""

    def fail(code: str = "render_failed", **changes: object) -> str:
        task_id = add_task(**changes)
        claim = store.claim(task_id, "node-a")
        assert claim is not None
        reason = Reason(code=code, reason="It failed.", advice="Look.", task_id=task_id, when="2026-11-20T18:03:44Z")
        store.fail(claim, Ending.FAILED, reason)
        assert store.find(task_id) is TaskState.FAILED
        return task_id

    return fail


@pytest.fixture
def finish_task(store: Store, add_task: Callable[..., str]) -> Callable[..., str]:
    """A task with its video; returns its id."""

    def finish(finished_at: str = "2026-11-20T19:00:00.000Z", **changes: object) -> str:
        task_id = add_task(**changes)
        claim = store.claim(task_id, "studio")
        assert claim is not None
        (claim.folder / FINAL).write_bytes(b"video")
        claim.metadata.write(claim.folder / "metadata.json")
        RenderRecord(
            task_id=task_id,
            attempt=1,
            token=claim.token,
            node="studio",
            program="1",
            size=5,
            ffmpeg="",
            encoder="libx264",
            mode="segments",
            plan={},
            checks=(),
            sha256="",
            seconds=12.5,
            frames=375,
            timings={"joining": 2.5},
            started_at="",
            finished_at=finished_at,
        ).write(claim.folder / RENDER_RECORD)
        store.publish(claim)
        return task_id

    return finish


@pytest.fixture
def node(layout: Layout) -> Callable[..., str]:
    """A node that says something about itself; returns its name."""

    def say(name: str = "studio", **changes: object) -> str:
        values: dict[str, object] = {
            "node": name,
            "host": "elsewhere",
            "pid": 1,
            "program": "1.2",
            "state": "idle",
            "counter": 1,
            "updated_at": "2026-11-20T18:03:44Z",
            "free_bytes": 5 * 10**11,
            "encoder": "libx264",
        }
        NodeRecord.model_validate(values | changes).write(layout.node_record(name))
        return name

    return say


@pytest.fixture
def file_drop(layout: Layout) -> Callable[..., Path]:
    """A library file with its record."""

    def put(drop: str, now: str, kind: Kind, **changes: object) -> Path:
        path = layout.scanned / now
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        origin = Origin(path=drop, sha256="0", size=1, device=1, inode=1, mtime_ns=1, evidence="it was renamed")
        values: dict[str, object] = {
            "kind": kind,
            "category": "nature",
            "sha256": "0",
            "size": 1,
            "origin": origin,
            "scanned_at": "then",
        }
        Sidecar.model_validate(values | changes).write(sidecar_of(path))
        return path

    return put


@pytest.fixture
def write_log(layout: Layout) -> Callable[..., None]:
    """Lines in the log of a worker, as workers write them."""

    def write(name: str, *lines: str) -> None:
        layout.logs.mkdir(exist_ok=True)
        with (layout.logs / name).open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)

    return write


@pytest.fixture
def terminal(layout: Layout) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals for commands."""
    opened: list[Terminal] = []

    def start(*words: str) -> Terminal:
        opened.append(Terminal(layout, *words))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
