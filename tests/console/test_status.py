"""What `reelmill status` says of a pause and of what was refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from console.cli import main
from console.snapshot import Snapshot, take_snapshot
from console.status import lines
from console.trash import rejected_names
from shared.domain.errors import RootError
from shared.domain.figures import Counts
from shared.domain.layout import Layout, reason_of
from shared.records.figures import FiguresLine
from shared.records.mounts import MountsRecord

REPOSITORY = Path(__file__).parents[2]
REELMILL = str(Path(sys.executable).with_name("reelmill"))


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
    said = list(lines(snapshot(main_state="paused", trouble="disk full", paused_since="2026-11-20T18:03:44Z")))
    assert said[0] == "Main worker   PAUSED since 2026-11-20T18:03:44Z: disk full"
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


def test_its_json_is_as_published(layout: Layout, fail_task: Callable[..., str], reject: Callable[..., Path]) -> None:
    """What the command really prints against docs/schema/status.json."""
    fail_task()
    reject("raw/video/nature/a.mp4", "a.mp4")
    done = CliRunner().invoke(main, ["status", "--root", str(layout.root), "--json"])
    schema = json.loads((REPOSITORY / "docs/schema/status.json").read_text("utf-8"))
    jsonschema.validate(json.loads(done.output), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("way", [[], ["--json"]])
def test_it_is_said_again_until_ctrl_c(layout: Layout, way: list[str]) -> None:
    """In plain blocks for a pipe, a line each as JSON; Ctrl-C is no failure. A root that goes is told of."""
    command = [REELMILL, "status", "--watch", "--root", str(layout.root), *way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        assert (json.loads(first)["root"] if way else first.split()[1]) == str(layout.root)
        layout.root.rename(layout.root.with_name("gone"))
        assert any("there is no folder" in line for line in watching.stdout)
        watching.send_signal(signal.SIGINT)
        said, _ = watching.communicate(timeout=30)
    assert (watching.returncode, "Traceback" in said, "\x1b" in said) == (0, False, False)


def test_a_root_that_goes_while_it_is_read_is_no_empty_farm(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read after it went seems to be empty, so whether it is there is asked last."""

    def gone(found: Layout) -> object:
        layout.root.rename(layout.root.with_name("away"))
        return rejected_names(found)

    monkeypatch.setattr("console.snapshot.rejected_names", gone)
    with pytest.raises(RootError, match="there is no folder"):
        take_snapshot(layout)


def test_a_root_that_has_gone_is_no_empty_farm(layout: Layout) -> None:
    """Nor is the bare point where it was mounted; a lost filesystem within it is named."""
    lost = layout.root / "output"
    MountsRecord(mounts=("output",)).write(layout.mounts)
    assert any("output/ should be mounted and is not there" in line for line in lines(take_snapshot(layout)))
    assert lost.is_dir()
    layout.root.rename(layout.root.with_name("away"))
    with pytest.raises(RootError, match="there is no folder"):
        take_snapshot(layout)
    layout.root.mkdir()
    for words in (["status"], ["tasks"], ["nodes"]):
        done = CliRunner().invoke(main, [*words, "--root", str(layout.root)])
        assert (done.exit_code, "is not a project root" in done.output) == (2, True)
