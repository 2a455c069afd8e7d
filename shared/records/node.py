"""``.farm/nodes/<node>.json``: what a render worker last said about itself."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record


class NodeRecord(Record):
    """One render worker, rewritten every second or so while it lives."""

    node: str
    host: str
    pid: int
    program: str = Field(description="Version of Reelmill.")
    ffmpeg: str = Field("", description="Version of the ffmpeg that it renders with.")
    state: str = Field(
        description="starting, idle, rendering, prefetching, conforming, draining, paused, off hours, resting, "
        "low on disk, unhealthy or outdated."
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
    free_bytes: int | None = None
    updated_at: str

    @property
    def words(self) -> str:
        """What the node does, on one line; names from outside stand in it as they are."""
        if self.percent is None:
            return ": ".join(filter(None, (self.state, self.label or self.why)))
        speed = f" at {self.fps:.0f} fps" if self.fps else ""
        left = f", {self.eta_seconds:.0f} s left" if self.eta_seconds is not None else ""
        return f"{self.phase} {self.label or ''} {self.percent:.0f} %{speed}{left}"
