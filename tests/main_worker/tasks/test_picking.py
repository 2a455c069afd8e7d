"""Which clips and which music a task gets: random, fair, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, overload

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from main_worker.tasks.picking import pick_clips, pick_one, seed_of
from shared.domain import plan
from shared.domain.plan import (
    Canvas,
    Cut,
    Profile,
    Track,
    frames_in,
    frames_to_cover,
    make_plan,
    taken_by_cards,
    transition_of,
)


class Clip(NamedTuple):
    """A clip of some category."""

    name: str
    category: int
    seconds: float


def shelves(lengths: list[list[float]]) -> list[list[Clip]]:
    """Categories of clips of these lengths."""
    return [[Clip(f"{c}-{i}", c, seconds) for i, seconds in enumerate(row)] for c, row in enumerate(lengths)]


def pick(categories: list[list[Clip]], seconds: float, rate: Fraction = Fraction(30), seed: int = 1) -> list[Clip]:
    return pick_clips(categories, lambda clip: clip.seconds, seconds=seconds, rate=rate, seed=seed)


CATEGORIES = st.lists(st.lists(st.floats(0.0, 5.0), max_size=6), max_size=3).map(shelves)
RATES = st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60)])
SECONDS = st.floats(0.05, 40)
SEEDS = st.integers(0, 2**32 - 1)


@given(CATEGORIES, SECONDS, RATES, SEEDS)
def test_the_clips_cover_the_voice_and_none_is_superfluous(
    categories: list[list[Clip]], seconds: float, rate: Fraction, seed: int
) -> None:
    """Together they last at least as long as the voice; without the last of them they would not."""
    picked = pick(categories, seconds, rate, seed)
    frames = [frames_in(clip.seconds, rate) for clip in picked]
    if any(frames_in(clip.seconds, rate) for clips in categories for clip in clips):
        assert sum(frames) >= frames_to_cover(seconds, rate) > sum(frames[:-1])
        assert all(frames)
    else:
        assert picked == []


@given(CATEGORIES, SECONDS, RATES, SEEDS)
def test_no_clip_is_repeated_before_all_are_used(
    categories: list[list[Clip]], seconds: float, rate: Fraction, seed: int
) -> None:
    """Every round through the library shows each usable clip once."""
    usable = {clip for clips in categories for clip in clips if frames_in(clip.seconds, rate)}
    picked = pick(categories, seconds, rate, seed)
    rounds = [picked[start : start + len(usable)] for start in range(0, len(picked), max(1, len(usable)))]
    assert all(set(one) == usable for one in rounds[:-1])
    assert all(len(set(one)) == len(one) for one in rounds)


@given(CATEGORIES, SECONDS, RATES, SEEDS)
def test_the_own_category_is_used_up_before_the_next_is_touched(
    categories: list[list[Clip]], seconds: float, rate: Fraction, seed: int
) -> None:
    """Within a round, fallback categories come in the order they are configured."""
    usable = sum(bool(frames_in(clip.seconds, rate)) for clips in categories for clip in clips)
    picked = [clip.category for clip in pick(categories, seconds, rate, seed)]
    for start in range(0, len(picked), max(1, usable)):
        one = picked[start : start + usable]
        assert one == sorted(one)


@given(CATEGORIES, SECONDS, RATES, SEEDS)
def test_the_same_seed_makes_the_same_choice(
    categories: list[list[Clip]], seconds: float, rate: Fraction, seed: int
) -> None:
    """A task that is made again shows the same picture."""
    assert pick(categories, seconds, rate, seed) == pick(categories, seconds, rate, seed)


def test_different_seeds_make_different_choices() -> None:
    """Two chapters of one story do not look alike."""
    library = shelves([[1.0] * 20])
    assert len({tuple(pick(library, 10, seed=seed)) for seed in range(10)}) == 10


def test_a_category_that_suffices_keeps_the_others_out() -> None:
    """Fallback categories are for need, not for variety."""
    assert {clip.category for clip in pick(shelves([[1.0] * 5, [1.0] * 5]), 5.0)} == {0}


def test_a_repeated_round_comes_in_a_new_order() -> None:
    """A library that is too small is not shown as a loop."""
    names = [clip.name for clip in pick(shelves([[1.0] * 8]), 80.0)]
    assert len({tuple(names[start : start + 8]) for start in range(0, 80, 8)}) > 1


def test_a_clip_shorter_than_a_frame_is_never_used() -> None:
    """It would make the picking endless."""
    assert [clip.seconds for clip in pick(shelves([[0.01, 1.0]]), 3.0)] == [1.0] * 3
    assert pick(shelves([[0.01, 0.0]]), 3.0) == []


def test_music_comes_from_the_first_category_that_has_any() -> None:
    """The own category wins, an empty one is passed over."""
    assert pick_one([["own"], ["other"]], 1) == "own"
    assert pick_one([[], ["other"]], 1) == "other"
    assert pick_one([[], []], 1) is None


def test_music_is_chosen_by_the_seed() -> None:
    """The same seed takes the same track; over many seeds every track has its turn."""
    tracks = ["a", "b", "c"]
    assert {pick_one([tracks], seed) for seed in range(50)} == set(tracks)
    assert pick_one([tracks], 7) == pick_one([tracks], 7)


def test_a_task_has_one_seed_that_fits_its_record() -> None:
    """The seed comes from the id alone and is an unsigned number of 32 bits."""
    seeds = {seed_of(f"task-{number}") for number in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of("5f0c") == seed_of("5f0c")


# -- what it costs -------------------------------------------------------------------------------------


def test_every_order_is_as_likely_as_any_other() -> None:
    """Over many seeds each of the six orders of three clips comes up about as often: 600 ± 100 of 3600."""
    orders = Counter(
        tuple(clip.name for clip in pick(shelves([[1.0] * 3]), 3.0, seed=seed_of(f"task-{number}")))
        for number in range(3600)
    )
    assert len(orders) == 6
    assert all(500 < count < 700 for count in orders.values()), orders


def test_every_clip_of_a_large_library_has_its_chance() -> None:
    """Also where only the first few of the order are ever drawn."""
    library = shelves([[1.0] * 50])
    first = Counter(pick(library, 1.0, seed=seed_of(f"task-{number}"))[0].name for number in range(5000))
    assert len(first) == 50
    assert all(50 < count < 170 for count in first.values()), first


class Shelf(Sequence[int]):
    """A very long shelf that counts how often something is taken from it."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.taken = 0

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        assert isinstance(place, int)
        self.taken += 1
        return place


@pytest.mark.parametrize("length", [100, 10_000_000])
def test_the_cost_grows_with_what_is_picked_and_not_with_what_there_is(length: int) -> None:
    """Ten clips are drawn, and no more than one besides is looked at."""
    shelf = Shelf(length)
    asked: list[int] = []

    def usable(clip: int) -> bool:
        asked.append(clip)
        return True

    picked = pick_clips([shelf], lambda _: 1.0, seconds=10.0, rate=Fraction(30), seed=1, usable=usable)
    assert len(picked) == 10
    assert shelf.taken <= 11
    assert asked == picked


@given(CATEGORIES, SECONDS, RATES, SEEDS, st.sets(st.integers(0, 5)))
def test_what_is_out_of_use_is_passed_over(
    categories: list[list[Clip]], seconds: float, rate: Fraction, seed: int, retired: set[int]
) -> None:
    """As if it were not there; where nothing else is, nothing is picked."""

    def usable(clip: Clip) -> bool:
        return int(clip.name.split("-")[1]) not in retired

    picked = pick_clips(categories, lambda clip: clip.seconds, seconds=seconds, rate=rate, seed=seed, usable=usable)
    assert all(map(usable, picked))
    there_are = any(usable(clip) and frames_in(clip.seconds, rate) for clips in categories for clip in clips)
    assert bool(picked) == there_are
    frames = sum(frames_in(clip.seconds, rate) for clip in picked)
    assert not there_are or frames >= frames_to_cover(seconds, rate)


def test_music_that_is_out_of_use_is_passed_over() -> None:
    """The next category has its turn; where all is, there is none."""
    assert pick_one([["a", "b"], ["c"]], 1, usable=lambda track: track == "b") == "b"
    assert pick_one([["a", "b"], ["c"]], 1, usable=lambda track: track == "c") == "c"
    assert pick_one([["a", "b"], ["c"]], 1, usable=lambda _: False) is None


def test_a_short_voice_with_cards_and_a_long_crossfade_gets_a_clip() -> None:
    """The cards give way: a voice never waits for clips that are there."""
    rate, slow = Fraction(30), transition_of("crossfade", 1.5, Fraction(30))
    cards = taken_by_cards(5.0, 5.0, 2.0, rate, slow)
    assert pick_clips([["a"]], lambda _: 10.0, seconds=2.0, rate=rate, seed=1, transition=slow, cards=cards) == ["a"]


@given(
    CATEGORIES,
    SECONDS,
    RATES,
    SEEDS,
    st.sampled_from(("cut", "fade", "crossfade")),
    st.floats(0.1, 1.5),
    st.tuples(st.none() | st.floats(0.5, 20), st.none() | st.floats(0.5, 20)),
)
def test_there_are_enough_clips_for_transitions_and_cards(
    categories: list[list[Clip]],
    seconds: float,
    rate: Fraction,
    seed: int,
    kind: Cut,
    lasts: float,
    cards: tuple[float | None, float | None],
) -> None:
    """What is picked makes a plan, though clips that are crossfaded cover less; none is superfluous."""
    transition = transition_of(kind, lasts, rate)
    picked = pick_clips(
        categories,
        lambda clip: clip.seconds,
        seconds=seconds,
        rate=rate,
        seed=seed,
        transition=transition,
        cards=taken_by_cards(*cards, seconds, rate, transition),
    )
    assume(picked)
    title, end = (
        None if card is None else plan.Clip(name, card)
        for name, card in zip(("title.png", "end.mp4"), cards, strict=True)
    )
    made = make_plan(
        Canvas(64, 64, rate),
        Profile("libx264", 21, "medium", 192),
        seconds=seconds,
        clips=[plan.Clip(clip.name, clip.seconds) for clip in picked],
        layers=[],
        tracks=[Track("voice.mp3", 1.0, 1)],
        transition=transition,
        title=title,
        end=end,
    )
    assert [shot.source for shot in made.shots if not shot.card] == [clip.name for clip in picked]
