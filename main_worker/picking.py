"""Which clips and which music a task gets: random, but the same for the same seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

from shared.domain.plan import frames_in, frames_to_cover

T = TypeVar("T")


def seed_of(task_id: str) -> int:
    """The seed of a task's choices: made from its id, so that making it again makes the same task."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:4])


def pick_clips(
    categories: Sequence[Sequence[T]], clip_seconds: Callable[[T], float], *, seconds: float, rate: Fraction, seed: int
) -> list[T]:
    """Clips that together cover `seconds`, in playing order; empty if there is no usable clip.

    The first category is used up before the next is touched, and every clip of all categories before
    any is repeated; within a category, and from round to round, the order is random by `seed`.
    """
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    usable = [[clip for clip in clips if frames_in(clip_seconds(clip), rate)] for clips in categories]
    wanted = frames_to_cover(seconds, rate)
    picked: list[T] = []
    while wanted > 0 and any(usable):
        for clips in usable:
            for clip in dice.sample(clips, len(clips)):
                if wanted <= 0:
                    return picked
                picked.append(clip)
                wanted -= frames_in(clip_seconds(clip), rate)
    return picked


def pick_music(categories: Sequence[Sequence[T]], seed: int) -> T | None:
    """One track from the first category that has any."""
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    return next((dice.choice(tracks) for tracks in categories if tracks), None)
