"""How far work is: one figure over all its runs of ffmpeg, which never falls and ends at the whole."""

from __future__ import annotations

import threading
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from render_worker.progress import Report, Work
from shared.domain.progress import Progress

RATE = Fraction(30)
steps = st.lists(st.integers(0, 500), max_size=30)


@given(st.integers(1, 10_000), st.integers(1, 20_000), steps, steps)
def test_several_phases_are_one_way(frames: int, missing: int, conformed: list[int], joined: list[int]) -> None:
    """Percent never falls, whatever is told, and ends at 100; each phase is told as it begins."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.set_out({"conforming": missing, "joining": 0.01 * frames})
    work.begin("conforming", missing)
    for step in (*conformed, missing):
        work.add(step)
    work.begin("joining", frames)
    reached = 0
    for step in joined:
        reached += step
        work.at(Progress(frame=reached))
    work.at(Progress(frame=frames))
    check(reports)
    phases = ["conforming"] * (len(conformed) + 2) + ["joining"] * (len(joined) + 2)
    assert [report.phase for report in reports] == phases


def test_what_is_made_again_does_not_turn_progress_back() -> None:
    """A segment that was dropped from the cache in the last moment is conformed once more."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.set_out({"conforming": 300, "joining": 1})
    for phase, frames in (("conforming", 300), ("conforming", 60), ("joining", 100)):
        work.begin(phase, frames)
        work.add(frames)
    check(reports)


def test_another_way_begins_anew() -> None:
    """Where everything is encoded after all, nobody is told that it is done."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.set_out({"joining": 1})
    work.begin("joining", 100)
    work.at(Progress(frame=100))
    work.set_out({"rendering": 100, "checking": 10})
    work.begin("rendering", 100)
    work.at(Progress(frame=55))
    assert [round(report.percent) for report in reports] == [0, 100, 0, 50]


def test_several_threads_tell_in_one_order() -> None:
    """Segments are conformed by several threads; what is reported by all of them together never falls."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.set_out({"conforming": 4_000})
    work.begin("conforming", 4_000)

    def tell() -> None:
        for _ in range(1_000):
            work.add(1)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(reports)


def test_a_copied_picture_is_as_far_as_its_sound() -> None:
    """Where no frame is encoded, the time reached says how far the join is."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.set_out({"joining": 1})
    work.begin("joining", 300)
    work.at(Progress(frame=0, seconds=5.0))
    assert reports[-1].percent == 50


def test_seconds_to_go_are_told_once_there_is_a_speed() -> None:
    """Before the first frame nobody knows; then what is left over what is done per second."""
    reports: list[Report] = []
    work = Work(RATE, reports.append)
    work.begin("rendering", 300)
    work.at(Progress(frame=0))
    work.at(Progress(frame=100, fps=50.0))
    assert [report.eta_seconds for report in reports] == [None, None, 4.0]


def check(reports: list[Report]) -> None:
    percents = [report.percent for report in reports]
    assert all(earlier <= later for earlier, later in pairwise(percents))
    assert abs(percents[-1] - 100) < 1e-9
    assert max(percents) <= 100 + 1e-9
