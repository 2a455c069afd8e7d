"""What `reelmill status` says of a pause and of what was refused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from console.snapshot import Snapshot, take_snapshot
from console.status import lines
from shared.domain.figures import Counts
from shared.domain.layout import Layout, reason_of
from shared.records.figures import FiguresLine


def snapshot(**changes: object) -> Snapshot:
    values: dict[str, object] = {
        "root": "farm",
        "main_running": True,
        "main_state": "working",
        "trouble": None,
        "paused_since": None,
        "pending": (),
        "waiting_voices": (),
        "nodes": (),
        "counts": {"tasks": 0, "processing": 0, "output": 0, "trash/failed": 0, "trash/invalid": 0},
        "processing": (),
        "failed": (),
    }
    return Snapshot.model_validate(values | changes)


def test_a_pause_is_the_first_thing_said() -> None:
    """With the trouble and since when, and that nothing is lost."""
    said = list(lines(snapshot(main_state="paused", trouble="disk full\x1b", paused_since="2026-11-20T18:03:44Z")))
    assert said[0] == "Main worker   PAUSED since 2026-11-20T18:03:44Z: disk full\\x1b"
    assert "drops stay in raw/" in said[1]


def test_what_is_not_listed_is_counted() -> None:
    """The main worker names only the first of very many."""
    said = list(lines(snapshot(pending_count=1200, waiting_count=3)))
    assert "              and 1200 more drops in raw/" in said
    assert "              and 3 more voices waiting" in said


def test_a_trouble_of_a_main_worker_that_does_not_run_is_still_told() -> None:
    """It may be why it stopped."""
    said = list(lines(snapshot(main_running=False, main_state=None, trouble="disk full")))
    assert "not running (start it with: reelmill main)" in said[0]
    assert "disk full" in said[1]


def test_the_ten_newest_rejected_drops_are_told(layout: Layout, reject: Callable[..., Path]) -> None:
    """Newest first, with the sentence and the way to try them again; the rest is counted."""
    for number in range(12):
        path = reject(f"raw/video/nature/{number}.mp4", f"{number}.mp4")
        os.utime(reason_of(path), (1_000_000 + number, 1_000_000 + number))
    reject("raw/video/nature/gone.mp4", "gone.mp4").unlink()
    found = take_snapshot(layout, most_rejected=10)
    assert [view.drop for view in found.rejected] == [f"raw/video/nature/{number}.mp4" for number in range(11, 1, -1)]
    said = list(lines(found))
    assert "Rejected      12 drops (reasons in trash/invalid/)" in said
    assert "  rejected    11.mp4: 11.mp4 is cut off." in said
    assert "              and 2 more rejected earlier" in said
    assert any("reelmill retry NAME" in line for line in said)
    assert take_snapshot(layout).rejected == ()


def test_a_failed_task_is_told_with_the_way_to_try_it_again(layout: Layout, fail_task: Callable[..., str]) -> None:
    """Its label is what the command takes."""
    fail_task()
    said = list(lines(take_snapshot(layout)))
    assert "  failed      Fantasy/Dragon Flight/Chapter 1: It failed." in said
    assert any("reelmill retry CATEGORY/STORY/CHAPTER" in line for line in said)


def test_the_figures_are_told_of_the_farm_and_of_each_node(layout: Layout) -> None:
    """Counted from what the nodes wrote, where no main worker runs."""
    assert not any("Figures" in line for line in lines(take_snapshot(layout)))
    line = FiguresLine.of(time.time(), Counts(rendering=30, starved=10, exposed=4, finished=2, render_seconds=30))
    path = layout.figures_of(line.at[:10], "attic")
    path.parent.mkdir(parents=True)
    path.write_bytes(line.to_line())
    said = list(lines(take_snapshot(layout)))
    (head,) = [number for number, words in enumerate(said) if words.startswith("Figures")]
    assert said[head].split() == ["Figures", "USED", "RENDER", "TASKS/H", "IO"]
    assert said[head + 1].split()[:6] == ["last", "hour", "75", "%", "15.0", "s"]
    (node,) = [words for words in said if words.startswith("  attic")]
    assert node.endswith("2.0 s")
