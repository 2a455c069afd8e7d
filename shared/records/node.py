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
    state: str = Field(description="idle, rendering, or why it takes no task.")
    counter: int = 0
    encoder: str | None = None
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
            return f"{self.state}: {self.label}" if self.label else self.state
        speed = f" at {self.fps:.0f} fps" if self.fps else ""
        left = f", {self.eta_seconds:.0f} s left" if self.eta_seconds is not None else ""
        return f"{self.phase} {self.label or ''} {self.percent:.0f} %{speed}{left}"
