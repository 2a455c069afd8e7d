"""The main worker's care for its nodes: what it says of them, and what it suggests to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from main_worker.nodes.handing import Handing
from main_worker.nodes.watching import Watching
from shared.domain.layout import METADATA, Layout
from shared.domain.node import NodeState
from shared.log import Logger, open_log
from shared.nodes import Nodes
from shared.process import open_root
from shared.records.agenda import AgendaRecord
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.node import NodeRecord
from shared.settings import Log
from shared.store import Store

LEASE = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "root" / "raw").mkdir(parents=True)
    return open_root(tmp_path / "root")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Logger:
    return open_log("tests", Log(file=False))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handing(layout: Layout, clock: Clock, log: Logger) -> Handing:
    return Handing(layout, Store(layout), Nodes(layout, LEASE, clock), Watching(log, 10**9), log)


@pytest.fixture
def add_task(layout: Layout) -> Callable[..., str]:
    def add(number: int, **changes: object) -> str:
        values: dict[str, object] = {
            "task_id": str(uuid.uuid4()),
            "category": "fantasy",
            "story_name": "dragon",
            "voice_file": "voice.mp3",
            "voice_duration": 12.5,
            "music_file": None,
            "video_files": (),
            "chapter": "1",
            "seed": 1,
            "inputs": {"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=1)},
            "render": RenderRequest(resolution="640x360", frame_rate=30),
            "created_at": f"2026-11-20T18:03:{number:02}Z",
        }
        metadata = Metadata.model_validate(values | changes)
        staged = layout.staging / metadata.task_id
        staged.mkdir()
        metadata.write(staged / METADATA)
        assert Store(layout).add(staged, metadata.task_id)
        return metadata.task_id

    return add


@pytest.fixture
def say(layout: Layout) -> Callable[..., None]:
    """What a node writes about itself; the counter moves with each."""
    counter = 0

    def write(node: str, **changes: object) -> None:
        nonlocal counter
        counter += 1
        values: dict[str, object] = {
            "node": node,
            "host": "elsewhere",
            "pid": 1,
            "program": "1",
            "state": "idle",
            "counter": counter,
            "updated_at": "2026-11-20T18:03:44Z",
            "free_bytes": 10**12,
            "profiles": ["default"],
        }
        NodeRecord.model_validate(values | changes).write(layout.node_record(node))

    return write


def suggested(layout: Layout, node: str) -> list[str]:
    path = layout.agenda(node)
    return list(AgendaRecord.read(path).tasks) if path.exists() else []


def test_each_node_gets_a_list_of_its_own(
    layout: Layout, handing: Handing, clock: Clock, add_task: Callable[..., str], say: Callable[..., None]
) -> None:
    """In the order of the queue; a node that takes none gets none, and a list that is not wanted any more goes."""
    ids = [add_task(number) for number in range(4)]
    say("a")
    say("b")
    say("c", state=NodeState.PAUSED.value)
    handing.look()
    assert sorted(suggested(layout, "a") + suggested(layout, "b")) == sorted(ids)
    assert suggested(layout, "a") == [ids[0], ids[2]]
    assert not layout.agenda("c").exists()
    clock.now += 2
    say("b", state=NodeState.UNHEALTHY.value)
    handing.look()
    assert suggested(layout, "a") == ids
    assert not layout.agenda("b").exists()


def test_what_is_wrong_with_nodes_is_said_once(
    handing: Handing, clock: Clock, say: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Late, dead, back, low on disk, slow, set aside; and the record for people has it as long as it holds."""
    for node in ("full", "fast", "quick", "slow", "aside", "silent"):
        say(node)
    for _ in range(60):
        clock.now += 1
        say("full", free_bytes=5 * 10**8)
        say("fast", pace=10.0)
        say("quick", pace=9.0)
        say("slow", pace=2.0)
        say("aside", state=NodeState.UNHEALTHY.value, why="3 tasks\x1b failed")
        handing.look()
    verdicts = {verdict.node: verdict for verdict in handing.verdicts}
    assert {node: verdict.what for node, verdict in verdicts.items()} == {
        "full": "low on disk",
        "slow": "slow",
        "aside": "unhealthy",
        "silent": "dead",
    }
    assert verdicts["full"].words == "is low on disk space: 0.5GB remaining"
    assert verdicts["slow"].words == "is slow: it makes 2 s of video in a second, the others 9.5 s"
    assert "3 tasks\\x1b failed" in verdicts["aside"].words
    say("silent")
    clock.now += 1
    handing.look()
    for event in ("node_low_on_disk", "node_slow", "node_unhealthy", "node_late", "node_dead", "node_well"):
        assert sum(f"event={event}" in line.split() for line in caplog.messages) == 1, event
    assert "silent" not in {verdict.node for verdict in handing.verdicts}
