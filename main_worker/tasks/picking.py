"""Which clips and which music a task gets: random, but the same for the same seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

from shared.domain.plan import HARD_CUT, Transition, frames_in, frames_to_cover, next_shot

T = TypeVar("T")


def seed_of(task_id: str) -> int:
    """The seed of a task's choices: made from its id, so that making it again makes the same task."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:4])


def pick_clips(
    categories: Sequence[Sequence[T]],
    clip_seconds: Callable[[T], float],
    *,
    seconds: float,
    rate: Fraction,
    seed: int,
    usable: Callable[[T], bool] = lambda _: True,
    transition: Transition = HARD_CUT,
    cards: tuple[int, int] = (0, 0),
) -> list[T]:
    """Clips that together cover `seconds`, in playing order; empty if there is no usable clip.

    The first category is used up before the next is touched, and every clip of all categories before
    any is repeated; within a category, and from round to round, the order is random by `seed`. The cost
    grows with the clips that are picked, not with those there are.

    Args:
        usable: asked of a clip only when it would be picked.
        transition: what is between them; clips that are crossfaded cover less.
        cards: frames that need no clips, at the beginning and at the end (:func:`taken_by_cards`).
    """
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    wanted = frames_to_cover(seconds, rate) - sum(cards)
    picked: list[T] = []
    known, before = -1, cards[0]
    while wanted > 0 and len(picked) > known:
        known = len(picked)
        for clips in categories:
            for clip in _shuffled(clips, dice):
                if wanted <= 0:
                    return picked
                frames = frames_in(clip_seconds(clip), rate)
                if frames > 0 and usable(clip):
                    picked.append(clip)
                    before, enters = next_shot(before, frames, wanted, transition)
                    wanted -= before - (transition.shared if enters else 0)
    return picked


def pick_one(categories: Sequence[Sequence[T]], seed: int, usable: Callable[[T], bool] = lambda _: True) -> T | None:
    """One track of music, or one frame, from the first category that has any."""
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    return next((track for tracks in categories for track in _shuffled(tracks, dice) if usable(track)), None)


def _shuffled(items: Sequence[T], dice: random.Random) -> Iterator[T]:
    """The items in random order, drawn one by one (Fisher-Yates, with only the swapped places written down)."""
    swapped: dict[int, int] = {}
    for place in range(len(items)):
        drawn = dice.randrange(place, len(items))
        yield items[swapped.get(drawn, drawn)]
        swapped[drawn] = swapped.get(place, place)
