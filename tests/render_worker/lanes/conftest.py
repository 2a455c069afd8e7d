"""A node with a home of its own, whose root is reached through a tree that can be made to refuse."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from console.init import lay_out
from render_worker.commands.encoders import Way
from render_worker.duty import Duty
from render_worker.hauling import Far
from render_worker.health import Health
from render_worker.inputs import InputCache
from render_worker.kept import Kept
from render_worker.lanes.board import Board
from render_worker.lanes.care import Care
from render_worker.lanes.resting import Resting
from render_worker.lanes.station import Station
from render_worker.pace import Pace
from render_worker.pulse import Pulse
from render_worker.ways import Ways
from render_worker.worklog import Worklog
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.task import DEFAULT_PROFILE
from shared.log import Logger, open_log
from shared.nodes import Nodes
from shared.records.render import RenderRecord
from shared.recovery import Caps
from shared.settings import Log
from shared.store import Claim, Store
from shared.tree.local import LocalTree
from shared.tree.tree import Carried, Progress, TreeTrouble


class Refusing(LocalTree):
    """A root whose server takes no more files for as long as it is told so, as one with a full disk."""

    refuses = False

    def upload(
        self,
        source: Path,
        target: PurePosixPath,
        progress: Progress | None = None,
        sha256: str | None = None,
        *,
        durable: bool = True,
    ) -> Carried:
        if self.refuses:
            raise TreeTrouble(f"Cannot write {target}: Failure")
        return super().upload(source, target, progress, sha256, durable=durable)


def untold(_done: int, _size: int) -> None:
    """Progress that nobody asks for."""


@dataclass
class FarNode:
    """A node as its lanes see it."""

    home: Layout
    tree: Refusing
    store: Store
    kept: Kept
    hauling: Far
    log: Logger
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.board = Board()
        self.resting = Resting("far", self.board, self.log)
        self.at = Station(
            node="far",
            store=self.store,
            hauling=self.hauling,
            health=Health(self.store, "far", lambda: 0.0),
            resting=self.resting,
            board=self.board,
            worklog=Worklog(time.monotonic),
            log=self.log,
            stop=self.stop,
        )
        ways = Ways({DEFAULT_PROFILE: (Way("libx264"),)})
        self.duty = Duty(self.store, "far", self.log)
        self.pulse = Pulse(self.store, "far", 0.2, ways, Pace(), self.board, "ffmpeg 7", lambda _: None)
        nodes = Nodes(self.home, 300.0, tree=self.tree)
        self.care = Care(self.at, Caps(3, 10), self.pulse, self.duty, nodes)

    def claim(self, task_id: str) -> Claim:
        claim = self.store.claim(task_id, "far")
        assert claim is not None
        self.care.take(claim)
        return claim

    def render(self, claim: Claim, content: bytes = b"video") -> RenderRecord:
        """Leave in the attempt's folder what a render would have left."""
        self.hauling.bring(claim, untold)
        (claim.folder / FINAL).write_bytes(content)
        claim.metadata.write(claim.folder / METADATA)
        record = RenderRecord(
            task_id=claim.task_id,
            attempt=claim.attempt,
            token=claim.token,
            node="far",
            program="",
            ffmpeg="",
            encoder="libx264",
            mode="segments",
            plan={},
            checks=(),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            seconds=1.0,
            frames=30,
            timings={"join": 1.0},
            started_at="2026-01-01T00:00:00Z",
            finished_at="2026-01-01T00:00:01Z",
        )
        record.write(claim.folder / RENDER_RECORD)
        return record


@pytest.fixture
def node(farm: Layout, tmp_path: Path) -> FarNode:
    home = lay_out(tmp_path / "home", {})
    tree = Refusing(farm.root)
    store = Store(home, tree)
    log = open_log("render_worker", Log(file=False))
    kept = Kept(home.kept, 1 << 30, log)
    inputs = home.cache / "inputs"
    return FarNode(home, tree, store, kept, Far(store, InputCache(inputs, 1 << 30), inputs, kept), log)


AddTask = Callable[..., str]
