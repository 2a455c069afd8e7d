"""What a node counts of its time, alone and beside each other, and how it writes that down."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from render_worker.logbook import Logbook
from render_worker.worklog import Worklog
from shared.domain.figures import Counts, Outcome, Window, total
from shared.domain.layout import Layout
from shared.log import open_log
from shared.settings import Log
from shared.store import Store
from shared.tally import Tally

NOON = 1_795_953_600.0  # 2026-11-29, 12:00 UTC


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worklog(clock: Clock) -> Worklog:
    return Worklog(clock)


def counted(worklog: Worklog) -> Counts:
    return total(entry.counts for entry in worklog.take(all_of_it=True))


def test_one_after_the_other(worklog: Worklog, clock: Clock) -> None:
    """What is fetched and delivered alone is exposed; nothing waited when the last had gone."""
    worklog.looked(found=True)
    with worklog.fetching():
        clock.now += 10
    with worklog.rendering("t"):
        clock.now += 60
    with worklog.delivering():
        clock.now += 20
    worklog.ended("t", Outcome.FINISHED)
    worklog.looked(found=False)
    found = counted(worklog)
    assert (found.rendering, found.starved, found.idle, found.exposed) == (60, 10, 20, 30)
    assert (found.finished, found.render_seconds) == (1, 60)


def test_side_by_side(worklog: Worklog, clock: Clock) -> None:
    """What runs beside a render is hidden, however it begins and ends."""
    with ExitStack() as fetch, ExitStack() as upload:
        fetch.enter_context(worklog.fetching())
        clock.now += 5
        with worklog.rendering("a"):
            clock.now += 10
            upload.enter_context(worklog.delivering())
            fetch.close()
            clock.now += 30
        clock.now += 7
        upload.close()
        worklog.looked(found=True)
    found = counted(worklog)
    assert (found.rendering, found.starved, found.exposed) == (40, 12, 12)
    assert (found.fetching, found.delivering) == (15, 37)


def test_a_task_that_ends_has_a_line_of_its_own_and_the_rest_one_a_minute(worklog: Worklog, clock: Clock) -> None:
    """Idle time alone comes less often."""
    with worklog.rendering("a"):
        clock.now += 59
        assert worklog.take() == []
        clock.now += 1
        assert [entry.counts.rendering for entry in worklog.take()] == [60]
        clock.now += 3
    worklog.ended("a", Outcome.FINISHED)
    (entry,) = worklog.take()
    assert (entry.task_id, entry.counts.rendering, entry.counts.render_seconds) == ("a", 3, 63)
    clock.now += 120
    worklog.looked(found=False)
    assert worklog.take() == []
    clock.now += 500
    worklog.looked(found=False)
    assert [entry.counts.idle for entry in worklog.take()] == [620]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / ".farm").mkdir()
    return Layout(tmp_path)


def book(worklog: Worklog, layout: Layout, at: float = NOON) -> Logbook:
    return Logbook(worklog, Store(layout), "a", open_log("tests", Log(file=False)), now=lambda: at)


def test_lines_are_added_and_one_that_was_cut_off_is_passed_over(
    worklog: Worklog, clock: Clock, layout: Layout
) -> None:
    """With a count, by a reader that reads every line once."""
    tally = Tally(layout)
    first = book(worklog, layout)
    with worklog.rendering("a"):
        clock.now += 5
    worklog.ended("a", Outcome.FINISHED)
    first.write()
    path = layout.figures_of("2026-11-29", "a")
    line = json.loads(path.read_bytes())
    assert (line["task_id"], line["outcome"], line["rendering"], line["schema"]) == ("a", "finished", 5.0, 1)
    tally.look(NOON)
    with path.open("ab") as stream:
        stream.write(b'{"at":"2026-11-2')  # a node that was killed
    tally.look(NOON)
    assert tally.damaged == 0
    worklog.ended("b", Outcome.FAILED)
    second = book(worklog, layout)
    second.write()
    worklog.ended("c", Outcome.FINISHED)
    second.write()
    tally.look(NOON)
    tally.look(NOON)
    found = tally.record(NOON + 60).farm[Window.HOUR.value]
    assert (found.finished, found.failed, tally.damaged) == (2, 1, 1)
    assert (tally.news["a"].finished, tally.news["a"].failed) == (1, 1)


def test_what_cannot_be_written_now_is_written_later(worklog: Worklog, layout: Layout) -> None:
    """In order, once; and each day has its file."""
    layout.farm.rename(layout.root / "away")
    times = iter([NOON, NOON + 86_400])
    logbook = Logbook(worklog, Store(layout), "a", open_log("tests", Log(file=False)), now=lambda: next(times))
    worklog.ended("a", Outcome.FINISHED)
    logbook.write()
    (layout.root / "away").rename(layout.farm)
    worklog.ended("b", Outcome.GIVEN_BACK)
    logbook.write()
    for day, task in (("2026-11-29", "a"), ("2026-11-30", "b")):
        assert json.loads(layout.figures_of(day, "a").read_bytes())["task_id"] == task


@pytest.mark.parametrize("line", [b"\0\0\n", b"[]\n", b'{"at":"x"}\n', b'{"at":"2026-11-29T12:00:00Z","idle":1e999}\n'])
def test_a_damaged_line_is_counted_and_nothing_else_of_it(layout: Layout, line: bytes) -> None:
    """Whatever stands in it."""
    path = layout.figures_of("2026-11-29", "a")
    path.parent.mkdir(parents=True)
    path.write_bytes(line)
    tally = Tally(layout)
    tally.look(NOON)
    assert (tally.damaged, tally.record(NOON).nodes) == (1, {})
