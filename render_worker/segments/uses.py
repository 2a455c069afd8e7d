"""Which segments a plan wants, and how many frames of each. Pure, but for being told which there are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

from render_worker.commands.conform import Look, Recipe
from render_worker.commands.outputs import gop_frames
from render_worker.segments.conforming import Wanted
from render_worker.segments.cuts import stops, windows
from shared.domain.plan import RenderPlan, Treatment
from shared.records.metadata import Metadata

WINDOW_SECONDS = 30  # longer clips are conformed in parts, so that a short video need not wait for a long clip


@dataclass(frozen=True)
class Use:
    """Frames of one segment, from its first on, that a plan wants; whether a shot begins and ends with them.

    Attributes:
        enters: how many of them are in the transition into its shot.
        card: whether they are of a title or end card, which is shown for just so many frames.
    """

    wanted: Wanted
    frames: int
    begins_shot: bool
    ends_shot: bool
    enters: int = 0
    card: bool = False


def uses_of(plan: RenderPlan, metadata: Metadata, task: Path, version: str, has: Callable[[str], bool]) -> list[Use]:
    """The segments a plan wants, in the order of the video.

    Args:
        task: the folder with its files.
        version: of the ffmpeg that makes them.
        has: whether there is a segment of a name.
    """
    layers = tuple((layer, metadata.inputs[layer.source].sha256) for layer in plan.layers)
    over = (plan.decoration, metadata.inputs[plan.decoration.source].sha256) if plan.decoration else None
    look = Look(plan.canvas, plan.profile, layers, over, plan.transition.frames)
    uses: list[Use] = []
    known: set[str] = set()
    for shot in plan.shots:
        source = metadata.inputs[shot.source]
        clip = Source(task / shot.source, source.path, source.sha256, source.size, shot.clip_frames, shot.treatment)
        # What an earlier shot has made is there by then.
        shown = replace(look, decoration=None) if shot.card else look
        for wanted in segments_of(clip, shot.frames, shown, task, version, lambda key: key in known or has(key)):
            known.add(wanted.key)
            left = shot.frames - wanted.recipe.start
            frames = min(wanted.recipe.frames, left)
            begins, ends = wanted.recipe.start == 0, frames == left
            uses.append(Use(wanted, frames, begins, ends, shot.enters if begins else 0, shot.card))
    return uses


@dataclass(frozen=True)
class Source:
    """A clip: its file, its place in the library, hash, bytes, frames at the canvas rate, and what it needs."""

    path: Path
    place: str
    sha256: str
    size: int
    frames: int
    treatment: Treatment


def segments_of(
    clip: Source, frames: int, look: Look, folder: Path, version: str, has: Callable[[str], bool]
) -> list[Wanted]:
    """Segments that hold the first `frames` of a clip: those that `has` knows, and one for what is missing in a window.

    A video that ends within a clip does not wait for the rest of it; what wants that later goes on where it ended.

    Args:
        folder: the one with the layers.
        version: of ffmpeg.
    """
    gop = gop_frames(look.canvas.rate)
    most = max(1, round(WINDOW_SECONDS * look.canvas.rate / gop)) * gop

    def part(start: int, end: int) -> Wanted:
        recipe = Recipe(clip.sha256, start, end - start, clip.treatment, look)
        # What is hard to encode took many bits before; measured on camera footage from 2 to 23 Mbit/s, within a fifth.
        effort = recipe.frames * math.sqrt(clip.size / clip.frames)
        return Wanted(recipe, recipe.key(version), clip.path, clip.place, folder, effort)

    wanted = []
    for first, count in windows(clip.frames, most):
        start, end = first, first + count
        while start < min(end, frames):
            ends = stops(start, end, gop)
            enough = part(start, next(stop for stop in ends if stop >= min(end, frames)))
            there = (one for one in map(part, repeat(start), reversed(ends)) if has(one.key))
            wanted.append(next(there, enough))
            start = wanted[-1].recipe.end
    return wanted
