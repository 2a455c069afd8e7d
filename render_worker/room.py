"""Is there room on the disk for what a render will write? Asked before it starts, not found out at its end."""

from __future__ import annotations

import shutil
from pathlib import Path

from render_worker.commands.sounds import BYTES_PER_SAMPLE, SAMPLE_RATE
from shared.domain.errors import MachineTrouble
from shared.domain.plan import RenderPlan

# An estimate for moving pictures at x264's usual quality: 1080p at 30 frames a second counts 6 Mbit/s.
_BITS_PER_PIXEL = 0.1


def needed_bytes(plan: RenderPlan, conform_frames: int) -> int:
    """About how many bytes a render writes: its film, the sound on its way, and segments of so many frames."""
    canvas = plan.canvas
    pixels = canvas.width * canvas.height * (plan.frames + conform_frames)
    sound = plan.seconds * (SAMPLE_RATE * BYTES_PER_SAMPLE + plan.profile.audio_kbps * 125)
    return round(pixels * _BITS_PER_PIXEL / 8 + sound)


def check_room(folder: Path, plan: RenderPlan, conform_frames: int) -> None:
    """Raise MachineTrouble where a render will not find the room that it needs."""
    free, needed = shutil.disk_usage(folder).free, needed_bytes(plan, conform_frames)
    if free < needed:
        raise MachineTrouble(
            f"Low disk space: {free / 1e9:.1f}GB remaining, and this video needs about {needed / 1e9:.1f}GB on its way"
        )
