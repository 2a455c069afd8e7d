"""A title or end card of one video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from main_worker.checks.examination import Content
from shared.domain.media import VideoFacts


@dataclass(frozen=True)
class Card:
    """A picture or film that is shown at the beginning or at the end; `video` are the facts of a film."""

    path: Path
    content: Content
    video: VideoFacts | None

    def seconds(self, still: float) -> float:
        """How long it is; a picture is shown for `still` seconds."""
        return self.video.seconds if self.video else still
