"""How the cores of a node are shared between the segments it conforms."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_worker.commands.conform import Look, Recipe
from render_worker.segments.assembly import Assembly
from render_worker.segments.conforming import Wanted, jobs_on, threads_for
from render_worker.segments.uses import Use
from render_worker.tool import Tool
from shared.domain.plan import Canvas, Profile, RenderPlan, Treatment
from shared.segments import SegmentCache


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


def test_the_most_work_is_begun_first(cache: SegmentCache, tool: Tool) -> None:
    """Once, however often it is used; so that no long one is begun when all others are done."""
    canvas, profile = Canvas(16, 16, Fraction(30)), Profile("libx264", 21, "medium", 192)
    recipe = Recipe("", 0, 1, Treatment(), Look(canvas, profile))
    efforts = {"a": 1.0, "b": 3.0, "c": 2.0}
    uses = [
        Use(Wanted(recipe, key, Path(), "", Path(), efforts[key]), 1, begins_shot=True, ends_shot=True)
        for key in "abcb"
    ]
    assembly = Assembly(RenderPlan(canvas, profile, 1.0, 30, (), (), ()), uses, cache, tool)
    assert [one.key for one in assembly.missing()] == ["b", "c", "a"]
