"""A project root, tasks to put into it, and real Python processes to share it with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.log import Logger, open_log
from shared.process import open_root
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.settings import Log
from shared.store import Claim, Store

_PATIENCE = 60.0  # seconds until something that is bound to happen counts as not happening
VOICE_BYTES = b"the voice of a story"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty project root."""
    root = tmp_path / "root"
    (root / "raw").mkdir(parents=True)
    return open_root(root)


@pytest.fixture
def store(layout: Layout) -> Store:
    return Store(layout)


@pytest.fixture
def log() -> Logger:
    return open_log("tests", Log(file=False))


@pytest.fixture
def metadata_of() -> Callable[..., Metadata]:
    """Makes the metadata of one task, with some values changed."""

    def make(**changes: object) -> Metadata:
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
            "seed": 1,
            "created_at": "2026-11-20T18:03:44.000Z",
        }
        return Metadata.model_validate(values | changes)

    return make


@pytest.fixture
def add_task(store: Store, metadata_of: Callable[..., Metadata]) -> Callable[..., str]:
    """Adds one waiting task with a link into the library, the way the main worker does; returns its id."""
    layout = store.layout

    def add(**changes: object) -> str:
        metadata = metadata_of(**changes)
        (layout.scanned / "voice.mp3").write_bytes(VOICE_BYTES)
        staged = layout.staging / metadata.task_id
        staged.mkdir()
        (staged / "voice.mp3").symlink_to("../../scanned/voice.mp3")
        metadata.write(staged / METADATA)
        assert store.add(staged, metadata.task_id)
        return metadata.task_id

    return add


@pytest.fixture
def take(store: Store) -> Callable[..., Claim]:
    """Claims a task that is there to be claimed."""

    def claim(task_id: str, node: str = "node-a", by: Store = store) -> Claim:
        claimed = by.claim(task_id, node)
        assert claimed is not None
        return claimed

    return claim


@pytest.fixture
def finish() -> Callable[..., None]:
    """Puts a finished video and its record into an attempt."""

    def write(claim: Claim, video: bytes = b"video") -> None:
        (claim.folder / FINAL).write_bytes(video)
        claim.metadata.write(claim.folder / METADATA)
        RenderRecord(
            task_id=claim.task_id,
            attempt=claim.attempt,
            token=claim.token,
            node="node-a",
            program="1",
            ffmpeg="ffmpeg",
            encoder="libx264",
            mode="direct",
            plan={},
            checks=(),
            sha256="00",
            size=len(video),
            seconds=1.0,
            frames=30,
            timings={},
            started_at="",
            finished_at="",
        ).write(claim.folder / RENDER_RECORD)

    return write


@pytest.fixture
def reason() -> Reason:
    return Reason(code="render_failed", reason="It failed.", advice="Look.", when="2026-11-20T18:03:44Z")


@pytest.fixture
def states_of(store: Store) -> Callable[[str], list[TaskState]]:
    """In which folders a task is; a sound farm gives exactly one."""

    def look(task_id: str) -> list[TaskState]:
        return [state for state in TaskState if task_id in store.ids(state)]

    return look


@pytest.fixture
def tree_of() -> Callable[[Path], dict[str, str]]:
    """Every path below a folder with what it holds, to compare two moments."""

    def describe(folder: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_symlink():
                found[name] = f"→ {path.readlink()}"
            else:
                found[name] = repr(path.read_bytes()) if path.is_file() else "folder"
        return found

    return describe


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts real Python processes on a piece of code; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def said() -> Callable[[subprocess.Popen[str]], str]:
    """The next line a process says; it fails where the process ended without one."""

    def read(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line, f"the process ended with {process.wait()}"
        return line

    return read


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for something that is bound to happen."""

    def wait(happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not happened():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.02)

    return wait


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    """Whether a process has ended, even if nobody has collected its remains yet."""

    def look(pid: int) -> bool:
        with suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] == "Z"
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            return False
        return True

    return look


@pytest.fixture
def read_json() -> Callable[[Path], dict[str, object]]:
    def read(path: Path) -> dict[str, object]:
        found = json.loads(path.read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    return read
