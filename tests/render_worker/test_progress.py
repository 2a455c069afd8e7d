"""How far a render is: one figure over all its runs of ffmpeg, which never falls and ends at the whole."""

from __future__ import annotations

import threading
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from render_worker.progress import Report, Work
from shared.domain.plan import Canvas, Profile, RenderPlan
from shared.domain.progress import Progress

steps = st.lists(st.integers(0, 500), max_size=30)


def plan_of(frames: int) -> RenderPlan:
    canvas = Canvas(640, 360, Fraction(30))
    return RenderPlan(canvas, Profile("libx264", 21, "medium", 192), frames / 30, frames, (), (), ())


@given(st.integers(1, 10_000), st.integers(0, 20_000), steps, steps)
def test_conforming_and_joining_are_one_way(frames: int, missing: int, conformed: list[int], joined: list[int]) -> None:
    """Percent never falls, whatever is told, and ends at 100; segments that came too late count for nothing more."""
    reports: list[Report] = []
    work = Work(plan_of(frames), reports.append)
    work.begin("conforming", missing)
    for step in (*conformed, missing):
        work.add(step)
    work.begin("joining")
    reached = 0
    for step in joined:
        reached += step
        work.at(Progress(frame=reached))
    work.at(Progress(frame=frames))
    check(reports)
    assert [report.phase for report in reports] == ["conforming"] * (len(conformed) + 1) + ["joining"] * (
        len(joined) + 1
    )


@given(st.integers(1, 10_000), steps)
def test_one_command_is_one_way(frames: int, steps: list[int]) -> None:
    """The direct command's own frames are all there is to do."""
    reports: list[Report] = []
    work = Work(plan_of(frames), reports.append)
    work.begin("rendering")
    reached = 0
    for step in steps:
        reached += step
        work.at(Progress(frame=reached, fps=30.0, speed=1.0))
    work.at(Progress(frame=frames, fps=30.0, speed=1.0))
    check(reports)
    assert reports[-1].eta_seconds == 0


def test_segments_that_are_made_again_do_not_turn_progress_back() -> None:
    """A second round of conforming, and an encode of everything after all, add work without taking any away."""
    reports: list[Report] = []
    work = Work(plan_of(100), reports.append)
    for phase, missing in (("conforming", 300), ("joining", 0), ("conforming", 60), ("joining", 0), ("rendering", 0)):
        work.begin(phase, missing)
        if missing:
            work.add(missing)
        else:
            work.at(Progress(frame=50))
            work.at(Progress(frame=100))
    check(reports)
    assert reports[-1].phase == "rendering"


def test_several_threads_tell_in_one_order() -> None:
    """Segments are conformed by several threads; what is reported by all of them together never falls."""
    reports: list[Report] = []
    work = Work(plan_of(10), reports.append)
    work.begin("conforming", 4_000)

    def tell() -> None:
        for _ in range(1_000):
            work.add(1)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work.at(Progress(frame=10))
    check(reports)


def test_a_copied_picture_is_as_far_as_its_sound() -> None:
    """Where no frame is encoded, the time reached says how far the join is."""
    reports: list[Report] = []
    work = Work(plan_of(300), reports.append)
    work.begin("joining")
    work.at(Progress(frame=0, seconds=5.0))
    assert reports[-1].percent == 50


def test_seconds_to_go_are_told_once_there_is_a_speed() -> None:
    """Before the first frame nobody knows; then what is left over what is done per second."""
    reports: list[Report] = []
    work = Work(plan_of(300), reports.append)
    work.begin("rendering")
    work.at(Progress(frame=0))
    work.at(Progress(frame=100, fps=50.0))
    assert [report.eta_seconds for report in reports] == [None, 4.0]


def check(reports: list[Report]) -> None:
    percents = [report.percent for report in reports]
    assert all(earlier <= later for earlier, later in pairwise(percents))
    assert abs(percents[-1] - 100) < 1e-9
    assert max(percents) <= 100
