"""Which segments a plan wants, and how many frames of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from render_worker.commands.conform import Look, Recipe
from render_worker.commands.outputs import gop_frames
from render_worker.segments.conforming import Wanted
from render_worker.segments.cuts import windows
from shared.domain.plan import RenderPlan, Treatment
from shared.records.metadata import Metadata

WINDOW_SECONDS = 30  # longer clips are conformed in parts, so that a short video need not wait for a long clip


@dataclass(frozen=True)
class Use:
    """Frames of one segment, from its first on, that a plan wants; whether a shot begins and ends with them."""

    wanted: Wanted
    frames: int
    begins_shot: bool
    ends_shot: bool


def uses_of(plan: RenderPlan, metadata: Metadata, task: Path, version: str) -> list[Use]:
    """The segments a plan wants, in the order of the video.

    Args:
        task: the folder with its files.
        version: of the ffmpeg that makes them.
    """
    layers = tuple((layer, metadata.inputs[layer.source].sha256) for layer in plan.layers)
    look = Look(plan.canvas, plan.profile, layers)
    uses: list[Use] = []
    for shot in plan.shots:
        source = metadata.inputs[shot.source]
        clip = Source(task / shot.source, source.path, source.sha256, shot.clip_frames, shot.treatment)
        for wanted in segments_of(clip, look, task, version):
            left = shot.frames - wanted.recipe.start
            if left > 0:
                frames = min(wanted.recipe.frames, left)
                uses.append(Use(wanted, frames, begins_shot=wanted.recipe.start == 0, ends_shot=frames == left))
    return uses


@dataclass(frozen=True)
class Source:
    """A clip: its file, its place in the library, hash, frames at the canvas rate, and what it needs."""

    path: Path
    place: str
    sha256: str
    frames: int
    treatment: Treatment


def segments_of(clip: Source, look: Look, folder: Path, version: str) -> list[Wanted]:
    """All segments of a clip; `folder` has the layers, `version` is that of ffmpeg."""
    gop = gop_frames(look.canvas.rate)
    most = max(1, round(WINDOW_SECONDS * look.canvas.rate / gop)) * gop
    wanted = []
    for start, frames in windows(clip.frames, most):
        recipe = Recipe(clip.sha256, start, frames, clip.treatment, look)
        wanted.append(Wanted(recipe, recipe.key(version), clip.path, clip.place, folder))
    return wanted
