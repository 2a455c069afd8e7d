"""``.farm/nodes/<node>.json``: what a render worker last said about itself."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.node import TAKES_TASKS, NodeState
from shared.records.record import Record


class Direction(Enum):
    """Which way files of a task go between the root and a node that has not mounted it."""

    FETCHING = "fetching"
    DELIVERING = "delivering"


class Transfer(BaseModel):
    """Files of one task on their way."""

    model_config = ConfigDict(frozen=True, extra="allow")

    direction: Direction
    task_id: str
    label: str = Field(description="The task in words: category/story/chapter.")
    bytes_done: int = Field(0, description="Of them, carried so far.")
    bytes: int = 0
    bytes_per_second: int | None = Field(None, description="Over the last seconds.")
    eta_seconds: float | None = None

    @property
    def words(self) -> str:
        """How far it is; the label stands in it as it is."""
        share = 100 * self.bytes_done // self.bytes if self.bytes else 0
        rate = f" at {self.bytes_per_second / 1e6:.1f} MB/s" if self.bytes_per_second else ""
        left = f", {self.eta_seconds:.0f} s left" if self.eta_seconds is not None else ""
        return f"{self.direction.value} {self.label} {share} %{rate}{left}"


class NodeRecord(Record):
    """One render worker, rewritten every second or so while it lives."""

    node: str
    host: str
    pid: int
    program: str = Field(description="Version of Reelmill.")
    ffmpeg: str = Field("", description="Version of the ffmpeg that it renders with.")
    state: str = Field(
        description="starting, idle, rendering, prefetching, delivering, conforming, draining, paused, off hours, "
        "resting, low on disk, unhealthy or outdated."
    )
    why: str | None = Field(None, description="In words, why it is in this state.")
    counter: int = 0
    profiles: tuple[str, ...] | None = Field(None, description="Profiles it can encode; null where it does not say.")
    encoder: str | None = None
    measured_fps: dict[str, float] = Field(
        default_factory=dict, description="Frames of 1080p that each of its encoders made in a second, when tried."
    )
    pace: float | None = Field(None, description="Seconds of video it made in a second, over its last tasks.")
    clips: tuple[str, ...] = Field((), description="First 8 digits of the SHA-256 of the clips it used last.")
    decoder: str | None = Field(None, description="Hardware that decodes clips; null where the processor does.")
    stepped_down: str | None = Field(None, description="Why the task that is being rendered lost its encoder.")
    task_id: str | None = None
    label: str | None = Field(None, description="The task in words: category/story/chapter.")
    phase: str | None = None
    percent: float | None = None
    fps: float | None = None
    speed: float | None = None
    eta_seconds: float | None = None
    transfers: tuple[Transfer, ...] = Field((), description="What it fetches and uploads beside that.")
    free_bytes: int | None = None
    updated_at: str

    @property
    def takes_tasks(self) -> bool:
        """Whether it says that it takes tasks, at once or after the one it renders."""
        return self.state in {state.value for state in TAKES_TASKS}

    def makes(self, profile: str) -> bool:
        """Whether it can encode a profile, as far as it says."""
        return self.profiles is None or profile in self.profiles

    @property
    def words(self) -> str:
        """What the node does, on one line; names from outside stand in it as they are."""
        is_only_carrying = self.state in (NodeState.PREFETCHING.value, NodeState.DELIVERING.value) and self.transfers
        carrying = [transfer.words for transfer in self.transfers]
        return "; ".join(carrying if is_only_carrying else (self._making, *carrying))

    @property
    def _making(self) -> str:
        if self.percent is None:
            return ": ".join(filter(None, (self.state, self.label or self.why)))
        speed = f" at {self.fps:.0f} fps" if self.fps else ""
        left = f", {self.eta_seconds:.0f} s left" if self.eta_seconds is not None else ""
        return f"{self.phase} {self.label or ''} {self.percent:.0f} %{speed}{left}"
