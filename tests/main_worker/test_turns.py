"""Whose turn it is: no kind of drop holds up another, and no more is decoded at once than was asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.turns import Lane, lane_of, most_at_once, next_lane
from shared.domain.drop import Drop, Misplaced, classify

LANES = st.lists(st.sampled_from(Lane), max_size=12)
WORKERS = st.integers(1, 4)
DECODED = (Lane.VOICE, Lane.VIDEO, Lane.FRAME, Lane.MUSIC)


def run(waiting: list[Lane], running: list[Lane], workers: int) -> list[Lane]:
    """Begin whatever may begin, as ingest does; returns what is running then."""
    waiting, running = list(waiting), list(running)
    while (lane := next_lane([one for one in Lane if one in waiting], running, workers)) is not None:
        waiting.remove(lane)
        running.append(lane)
    return running


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("video/nature/a.mp4", Lane.VIDEO),
        ("frame/gold/a.mp4", Lane.FRAME),
        ("music/calm/a.mp3", Lane.MUSIC),
        ("story/tales/fox/voice/a.mp3", Lane.VOICE),
        ("story/tales/fox/link/a.txt", Lane.LINKS),
        ("story/tales/fox/story.toml", Lane.TRIFLES),
        ("loose.mp4", Lane.TRIFLES),
    ],
)
def test_every_drop_has_a_lane(path: str, lane: Lane) -> None:
    """By what it needs of the machine."""
    drop = classify(PurePosixPath(path))
    assert isinstance(drop, Drop | Misplaced)
    assert lane_of(drop) is lane


@given(LANES, WORKERS)
def test_no_more_is_decoded_than_the_workers_and_one_voice(waiting: list[Lane], workers: int) -> None:
    """And one link and one trifle: what the threads are counted for."""
    busy = Counter(run(waiting, [], workers))
    assert sum(busy[lane] for lane in DECODED) <= workers + 1
    assert sum(busy[lane] for lane in DECODED if lane is not Lane.VOICE) <= workers
    assert busy[Lane.LINKS] <= 1
    assert busy[Lane.TRIFLES] <= 1
    assert busy.total() <= most_at_once(workers)


@given(LANES, WORKERS)
def test_nothing_that_waits_is_idle_beside_a_free_place(waiting: list[Lane], workers: int) -> None:
    """If no lane may begin, every lane in which something waits is full."""
    running = run(waiting, [], workers)
    busy = Counter(running)
    left = Counter(waiting) - busy
    is_full = sum(busy[lane] for lane in DECODED) >= workers
    full = {
        **dict.fromkeys(DECODED, is_full),
        Lane.VOICE: is_full and busy[Lane.VOICE] > 0,
        Lane.LINKS: busy[Lane.LINKS] == 1,
        Lane.TRIFLES: busy[Lane.TRIFLES] == 1,
    }
    assert all(full[lane] for lane in left)


@given(LANES, WORKERS)
def test_a_voice_never_waits_for_films_or_tracks(running: list[Lane], workers: int) -> None:
    """However many there are and however long they take, the first voice begins at once."""
    now = run(running, [], workers)
    if Lane.VOICE not in now:
        others = [lane for lane in Lane if lane is not Lane.VOICE]
        assert Lane.VOICE in run([Lane.VOICE, *others * 50], now, workers)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_nobody_starves(workers: int) -> None:
    """While every lane always has more to do, each has its turn before any other has had many."""
    order, running, begun = list(Lane), list[Lane](), Counter[Lane]()
    for _ in range(60):
        while (lane := next_lane(order, running, workers)) is not None:
            order.remove(lane)
            order.append(lane)
            running.append(lane)
            begun[lane] += 1
        running.pop(0)
    assert set(begun) == set(Lane)
    kinds = [begun[lane] for lane in DECODED if lane is not Lane.VOICE]
    assert max(kinds) <= min(kinds) + 1


def test_kinds_take_turns() -> None:
    """Where there is much of each, none has all the places."""
    waiting = [lane for lane in DECODED for _ in range(9)]
    assert Counter(run(waiting, [], 4)) == dict.fromkeys(DECODED, 1)
    assert Counter(run([Lane.VIDEO] * 9 + [Lane.MUSIC] * 9, [], 4)) == {Lane.VIDEO: 2, Lane.MUSIC: 2}
