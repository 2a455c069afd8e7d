"""The four figures: a node's time is divided without gap or overlap, and what a render hides costs nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.figures import (
    Activity,
    Counts,
    Ledger,
    Spent,
    Window,
    begin_of,
    by_window,
    decide,
    figures,
    spend,
    total,
)

RENDERING, FETCHING, DELIVERING = (Activity(rendering=True), Activity(fetching=True), Activity(delivering=True))
activities = st.builds(Activity, st.booleans(), st.booleans(), st.booleans())
steps = st.lists(st.tuples(activities, st.floats(0, 1e5), st.sampled_from([None, True, False])), max_size=40)
counted = st.builds(
    Counts,
    rendering=st.floats(0, 1e6),
    starved=st.floats(0, 1e6),
    exposed=st.floats(0, 1e6),
    finished=st.integers(0, 1000),
    failed=st.integers(0, 1000),
    render_seconds=st.floats(0, 1e6),
)


def spent(*parts: tuple[Activity, float], found: bool = False) -> Counts:
    """What some activities one after the other count for, with one look for a task at the end."""
    so_far = Spent()
    for activity, seconds in parts:
        so_far = spend(so_far, activity, seconds)
    return decide(so_far, found=found).counts


def test_one_after_the_other_shows_every_transfer() -> None:
    """Half of the time is not rendering, and all of the transfers are exposed."""
    counts = spent((FETCHING, 30), (RENDERING, 60), (DELIVERING, 30), found=True)
    counts += Counts(finished=1, render_seconds=60)
    found = figures(counts, 3600)
    assert (found.render_utilization, found.avg_render_time, found.task_throughput) == (50, 60, 1)
    assert found.io_overhead == 60


def test_what_runs_beside_a_render_is_hidden() -> None:
    """However much is carried."""
    counts = spent((Activity(rendering=True, fetching=True, delivering=True), 60)) + Counts(finished=1)
    found = figures(counts, 60)
    assert (found.render_utilization, found.io_overhead, counts.fetching, counts.delivering) == (100, 0, 60, 60)


def test_the_last_upload_is_no_lost_render_where_nothing_waits() -> None:
    """It is exposed all the same: the video came that much later."""
    counts = spent((RENDERING, 60), (DELIVERING, 30), found=False)
    assert (counts.starved, counts.idle, counts.exposed) == (0, 30, 30)
    assert figures(counts, 90).render_utilization == 100


def test_without_anything_done_there_is_nothing_to_tell() -> None:
    """A share of no time is not 0 %."""
    found = figures(Counts(idle=3600), 3600)
    assert (found.render_utilization, found.avg_render_time, found.io_overhead) == (None, None, None)
    assert found.task_throughput == 0


@given(steps)
def test_every_second_is_counted_once(parts: list[tuple[Activity, float, bool | None]]) -> None:
    """As rendering, starved, idle, or undecided; exposed transfers are never rendering, and part of all transfers."""
    so_far, whole = Spent(), 0.0
    for activity, seconds, look in parts:
        so_far, whole = spend(so_far, activity, seconds), whole + seconds
        if look is not None:
            so_far = decide(so_far, found=look)
            assert so_far.undecided == 0
    counts = so_far.counts
    assert counts.rendering + counts.starved + counts.idle + so_far.undecided == pytest.approx(whole)
    slack = 1e-6 * (1 + whole)
    assert counts.exposed <= whole - counts.rendering + slack
    assert counts.exposed <= counts.fetching + counts.delivering + slack
    assert min(counts.rendering, counts.starved, counts.idle, counts.exposed, so_far.undecided) >= 0


@given(steps)
def test_a_look_that_finds_a_task_never_makes_the_share_better(
    parts: list[tuple[Activity, float, bool | None]],
) -> None:
    """Time is lost by waiting while there is work, never won."""
    so_far = Spent()
    for activity, seconds, _ in parts:
        so_far = spend(so_far, activity, seconds)
    busy, quiet = (figures(decide(so_far, found=found).counts, 1).render_utilization for found in (True, False))
    if busy is not None and quiet is not None:
        assert busy <= quiet + 1e-9


@given(counted, st.floats(0, 1e6))
def test_every_figure_is_within_its_bounds(counts: Counts, seconds: float) -> None:
    """A share is from 0 to 100, and nothing is below 0."""
    found = figures(counts, seconds)
    assert found.render_utilization is None or 0 <= found.render_utilization <= 100
    assert all(value is None or value >= 0 for value in (found.avg_render_time, found.io_overhead))
    assert found.task_throughput >= 0


@given(st.lists(counted, max_size=5))
def test_a_farm_is_the_sum_of_its_nodes(nodes: list[Counts]) -> None:
    """Throughput adds up; the share of the farm lies between those of its nodes."""
    whole = figures(total(nodes), 3600)
    each = [figures(counts, 3600) for counts in nodes]
    assert whole.task_throughput == pytest.approx(sum(one.task_throughput for one in each))
    shares = [one.render_utilization for one in each if one.render_utilization is not None]
    if shares and whole.render_utilization is not None:
        assert min(shares) - 1e-6 <= whole.render_utilization <= max(shares) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 4e9), counted), max_size=20), st.floats(1e6, 4e9))
def test_a_ledger_loses_nothing_that_a_window_needs(entries: list[tuple[float, Counts]], now: float) -> None:
    """What is forgotten lies before every window."""
    kept, whole = Ledger(), Ledger()
    for at, counts in entries:
        kept.add(at, counts)
        whole.add(at, counts)
    kept.forget_before(begin_of(Window.LAST_DAY, now))
    for window in Window:
        begin = begin_of(window, now)
        assert kept.since(begin) == whole.since(begin)
        assert whole.since(begin).finished == sum(counts.finished for at, counts in entries if at // 300 * 300 >= begin)


@given(st.floats(1e6, 4e9))
def test_a_window_is_as_long_as_it_is_called(now: float) -> None:
    """Or up to five minutes longer; a day begins at midnight (UTC)."""
    hour, day, today = (now - begin_of(window, now) for window in (Window.HOUR, Window.LAST_DAY, Window.TODAY))
    assert hour + 1e-3 >= 3600
    assert hour <= 3900 + 1e-3
    assert day + 1e-3 >= 86_400
    assert day <= 86_700 + 1e-3
    assert 0 <= today < 86_400
    assert begin_of(Window.TODAY, now) % 86_400 == 0


def test_each_node_and_the_farm_have_their_figures() -> None:
    """Over the same time."""
    ledgers = {"a": Ledger(), "b": Ledger()}
    ledgers["a"].add(10_000_000, Counts(rendering=30, starved=10, finished=2, render_seconds=30))
    ledgers["b"].add(10_000_000, Counts(rendering=10, starved=30, finished=1, render_seconds=10))
    farm, nodes = by_window(ledgers, Window.HOUR, 10_000_200)
    assert (farm.render_utilization, farm.finished) == (50, 3)
    assert (nodes["a"].render_utilization, nodes["b"].render_utilization) == (75, 25)
    assert nodes["a"].avg_render_time == 15
