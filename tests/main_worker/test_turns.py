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
        ("video/nature/a.mp4", Lane.PICTURES),
        ("frame/gold/a.mp4", Lane.PICTURES),
        ("music/calm/a.mp3", Lane.SOUNDS),
        ("story/tales/fox/voice/a.mp3", Lane.SOUNDS),
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
def test_no_more_is_decoded_than_the_workers_and_one_sound(waiting: list[Lane], workers: int) -> None:
    """And one link and one trifle: what the threads are counted for."""
    busy = Counter(run(waiting, [], workers))
    assert busy[Lane.PICTURES] <= workers
    assert busy[Lane.PICTURES] + busy[Lane.SOUNDS] <= workers + 1
    assert busy[Lane.LINKS] <= 1
    assert busy[Lane.TRIFLES] <= 1
    assert busy.total() <= most_at_once(workers)


@given(LANES, WORKERS)
def test_nothing_that_waits_is_idle_beside_a_free_place(waiting: list[Lane], workers: int) -> None:
    """If no lane may begin, every lane in which something waits is full."""
    running = run(waiting, [], workers)
    busy = Counter(running)
    left = Counter(waiting) - busy
    decoding = busy[Lane.PICTURES] + busy[Lane.SOUNDS]
    full = {
        Lane.PICTURES: decoding >= workers,
        Lane.SOUNDS: decoding >= workers and busy[Lane.SOUNDS] > 0,
        Lane.LINKS: busy[Lane.LINKS] == 1,
        Lane.TRIFLES: busy[Lane.TRIFLES] == 1,
    }
    assert all(full[lane] for lane in left)


@given(LANES, WORKERS)
def test_a_voice_never_waits_for_pictures(running: list[Lane], workers: int) -> None:
    """However many pictures there are and however long they take, the first sound begins at once."""
    now = run(running, [], workers)
    if Lane.SOUNDS not in now:
        assert Lane.SOUNDS in run([Lane.SOUNDS, *[Lane.PICTURES] * 50], now, workers)


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_nobody_starves(lane: Lane, workers: int) -> None:
    """While every other lane always has more to do, a drop has its turn once as many ended as are at work."""
    others = [other for other in Lane if other is not lane]
    running = run([other for other in others for _ in range(20)], [], workers)
    for _ in range(len(running) + 1):
        begun = next_lane(Lane, running, workers)
        if begun is lane:
            return
        running.pop(0)  # the oldest ends
        for _ in range(20):
            begun = next_lane(Lane, running, workers)
            if begun is None:
                break
            if begun is lane:
                return
            running.append(begun)
    pytest.fail(f"{lane} never had its turn")


def test_pictures_and_sounds_take_turns() -> None:
    """Where there is much of both, neither has all the places."""
    busy = Counter(run([Lane.PICTURES] * 9 + [Lane.SOUNDS] * 9, [], 4))
    assert busy == {Lane.PICTURES: 2, Lane.SOUNDS: 2}
