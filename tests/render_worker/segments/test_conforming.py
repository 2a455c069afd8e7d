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
    threads = threads_for(1_000, cores)
    assert 1 <= jobs <= cores
    assert cores / 2 < jobs * threads <= cores
    if cores <= 4:
        assert (jobs, threads) == (cores, 1)


@pytest.mark.parametrize(("waiting", "cores", "threads"), [(7, 2, 1), (2, 2, 1), (1, 2, 2), (3, 16, 5), (1, 64, 16)])
def test_the_last_segments_share_all_cores(waiting: int, cores: int, threads: int) -> None:
    """Nobody waits for one that has a single core while others are idle."""
    assert threads_for(waiting, cores) == threads
