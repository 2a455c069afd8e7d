"""How the cores of a node are shared between the segments it conforms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_worker.segments.conforming import jobs_on, threads_for


@given(st.integers(1, 256))
def test_no_core_is_left_idle_nor_fought_over(cores: int) -> None:
    """With enough to do all cores are in use, by about as many threads; few cores have a segment each."""
    jobs = jobs_on(cores)
    threads = threads_for([1.0] * 3 * jobs, cores, jobs)[0]
    assert 1 <= jobs <= cores
    assert cores / 2 < jobs * threads <= cores
    if cores <= 4:
        assert (jobs, threads) == (cores, 1)


@pytest.mark.parametrize(
    ("efforts", "cores", "threads"),
    [
        ([], 2, []),
        ([1], 2, [2]),
        ([1.1, 1], 2, [1, 1]),
        ([2, 1], 2, [2, 1]),
        ([3, 3, 2, 2, 1, 1, 1], 2, [1, 1, 1, 1, 1, 1, 2]),
        ([3, 3, 3, 1], 2, [1, 1, 2, 1]),
        ([4, 4, 4, 4], 16, [4, 4, 4, 4]),
        ([12, 2, 2], 16, [12, 2, 2]),
        ([1] * 9, 16, [2, 2, 2, 2, 2, 2, 2, 2, 16]),
        ([5], 64, [16]),
    ],
)
def test_the_last_segments_share_all_cores(efforts: list[float], cores: int, threads: list[int]) -> None:
    """Nobody waits for one that has a single core while others are idle, and those in turn have the same."""
    assert threads_for(efforts, cores, jobs_on(cores)) == threads
