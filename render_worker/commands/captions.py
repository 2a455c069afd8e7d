"""The captions of a plan as a track of text (3GPP timed text, which ffmpeg calls mov_text)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import RenderPlan
from shared.ffmpeg import file_url


def captions(plan: RenderPlan, task: Path) -> tuple[list[Any], dict[str, Any]]:
    """The streams to add to an output, and the options for them; none where a plan has no captions of that kind."""
    texts = plan.text_track
    if texts is None:
        return [], {}
    stream = ffmpeg.input(file_url(task / texts.source), f="webvtt", protocol_whitelist="file")["s:0"]
    return [stream], {"c:s": "mov_text", "metadata:s:s:0": f"language={texts.language}"}
