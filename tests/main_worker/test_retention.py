"""What is deleted by itself, when, and what never is."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.init import lay_out
from main_worker.retention import Kept, Retention, due
from shared import by_story
from shared.domain.layout import FINAL, METADATA, REASON, RENDER_RECORD, Layout, reason_of
from shared.domain.task import TaskState
from shared.lifesign import boot_id
from shared.log import open_log
from shared.records.encoders import EncodersRecord
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.records.render import RenderRecord
from shared.settings import Log
from shared.settings import Retention as Settings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD, NEW = "2026-11-01T12:00:00.000Z", "2026-11-19T12:00:00.000Z"
IDS = [f"5f0c0000-0000-5000-8000-00000000000{number}" for number in range(9)]
WEEK = Settings(trash_days=7, output_days=7, cache_days=7)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return lay_out(tmp_path / "root")


@pytest.fixture
def sweep(layout: Layout) -> Callable[..., int]:
    """Deletes what is due at NOW, or at another time."""

    def run(settings: Settings = WEEK, now: datetime = NOW) -> int:
        return Retention(layout, settings, open_log("tests", Log(file=False))).sweep(now)

    return run


def far_future() -> datetime:
    """A time at which everything this test has just made is old."""
    return datetime.now(UTC) + timedelta(days=1000)


def reject(layout: Layout, name: str, when: str) -> Path:
    path = layout.invalid / name
    path.write_bytes(b"drop")
    os.utime(path, (0, 0))
    reason = Reason(code="c", reason="r", advice="a", original_path=f"raw/video/nature/{name}", when=when)
    reason.write(reason_of(path))
    return path


def fail(layout: Layout, task_id: str, when: str) -> Path:
    folder = layout.task(TaskState.FAILED, task_id)
    folder.mkdir()
    (layout.scanned / "video/clip.mp4").write_bytes(b"library")
    (folder / "video_part1.mp4").symlink_to("../../../scanned/video/clip.mp4")
    (folder / "folder").symlink_to("../../../scanned/video")
    Reason(code="c", reason="r", advice="a", when=when).write(folder / REASON)
    return folder


def finish(layout: Layout, task_id: str, when: str, chapter: str = "one") -> Path:
    folder = layout.task(TaskState.FINISHED, task_id)
    folder.mkdir()
    (folder / FINAL).write_bytes(b"video")
    values: dict[str, object] = {
        "task_id": task_id,
        "category": "fantasy",
        "story_name": "dragon",
        "chapter": chapter,
        "voice_file": "voice.mp3",
        "voice_duration": 1.0,
        "music_file": None,
        "inputs": {"voice.mp3": {"path": "scanned/voice.mp3", "sha256": "00", "size": 1}},
        "video_files": (),
        "render": {"resolution": "640x360", "frame_rate": 30},
        "seed": 1,
        "created_at": when,
    }
    metadata = Metadata.model_validate(values)
    metadata.write(folder / METADATA)
    RenderRecord(
        task_id=task_id, attempt=1, token="", node="", program="", ffmpeg="", encoder="", mode="", plan={}, checks=(),
        sha256="", size=5, seconds=1, frames=30, timings={}, started_at=when, finished_at=when,
    ).write(folder / RENDER_RECORD)  # fmt: skip
    by_story.show(layout, metadata)
    return folder


def test_what_is_due_is_decided_by_age_alone() -> None:
    """Exactly so many days are enough, the oldest goes first, and 0 days keeps for ever."""
    kept = [Kept("", Path(str(days)), NOW - timedelta(days=days)) for days in (6.9, 7, 8, -1)]
    assert [one.path.name for one in due(kept, NOW, 7)] == ["8", "7"]
    assert [one.path.name for one in due(kept, NOW, 0.5)] == ["8", "7", "6.9"]
    assert due(kept, NOW, 0) == []


def test_nothing_goes_unless_the_configuration_says_so(layout: Layout, sweep: Callable[..., int]) -> None:
    """All three times are off by default."""
    paths = [reject(layout, "a.mp4", OLD), fail(layout, IDS[0], OLD), finish(layout, IDS[1], OLD)]
    assert sweep(Settings(), far_future()) == 0
    assert all(path.exists() for path in paths)


def test_old_trash_goes_with_its_explanations(
    layout: Layout, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each; what is younger stays, and links are not followed into the library."""
    open_log("tests", Log(file=False))
    old, new = reject(layout, "old.mp4", OLD), reject(layout, "new.mp4", NEW)
    failed, later = fail(layout, IDS[0], OLD), fail(layout, IDS[1], NEW)
    (layout.invalid / "link").symlink_to(new)
    Reason(code="c", reason="r", advice="a", when=OLD).write(reason_of(layout.invalid / "link"))
    assert sweep(Settings(trash_days=7)) == 3
    assert not old.exists()
    assert not reason_of(old).exists()
    assert not os.path.lexists(layout.invalid / "link")
    assert not failed.exists()
    assert new.exists()
    assert reason_of(new).exists()
    assert later.exists()
    assert (layout.scanned / "video/clip.mp4").read_bytes() == b"library"
    assert list(layout.removed.iterdir()) == []
    said = capsys.readouterr().err
    assert said.count("event=retention_deleted") == 3
    assert 'Deleted trash/invalid/old.mp4: a rejected drop, kept since 2026-11-01T12:00:00Z"' in said
    assert sweep(Settings(trash_days=7)) == 0


def test_a_drop_without_a_readable_time_counts_from_when_it_was_moved_here(
    layout: Layout, sweep: Callable[..., int]
) -> None:
    """Not from its own old modification time; later it goes like every other."""
    path = reject(layout, "a.mp4", "some day")
    reason_of(reject(layout, "b.mp4", OLD)).write_bytes(b"{")
    assert sweep(now=datetime.now(UTC)) == 0
    assert path.exists()
    assert sweep(now=far_future()) == 2
    assert list(layout.invalid.iterdir()) == []


def test_an_explanation_that_a_crash_left_goes_when_it_is_old(layout: Layout, sweep: Callable[..., int]) -> None:
    """The drop goes first, so a crash leaves at most this."""
    reject(layout, "old.mp4", OLD).unlink()
    reject(layout, "new.mp4", NEW).unlink()
    assert sweep() == 1
    assert [path.name for path in layout.invalid.iterdir()] == ["new.mp4.reason.json"]


def test_what_the_farm_did_not_put_into_the_trash_stays(layout: Layout, sweep: Callable[..., int]) -> None:
    """Files without an explanation, hidden files, folders of other names."""
    (layout.invalid / ".gitkeep").touch()
    (layout.invalid / "notes.txt").touch()
    (layout.state(TaskState.FAILED) / "my notes").mkdir()
    (layout.output / "my folder").mkdir()
    assert sweep(now=far_future()) == 0
    assert len(list(layout.invalid.iterdir())) == 2


def test_old_videos_go_with_their_links(layout: Layout, sweep: Callable[..., int]) -> None:
    """A link that leads to a newer version stays, and folders that hold nothing any more go."""
    old = finish(layout, IDS[0], OLD)
    replaced = finish(layout, IDS[1], OLD, "two")
    newer = finish(layout, IDS[2], NEW, "two")
    assert sweep(Settings(output_days=7)) == 2
    assert not old.exists()
    assert not replaced.exists()
    assert newer.exists()
    assert [path.name for path in (layout.by_story / "fantasy/dragon").iterdir()] == ["two.mp4"]
    assert (layout.by_story / "fantasy/dragon/two.mp4").read_bytes() == b"video"
    assert sweep(Settings(output_days=7), far_future()) == 1
    assert list(layout.by_story.iterdir()) == []


def test_a_video_whose_task_was_not_cleared_away_stays(layout: Layout, sweep: Callable[..., int]) -> None:
    """Without the output the task would be made again; it goes once the task has."""
    output = finish(layout, IDS[0], OLD)
    leftover = layout.task(TaskState.WAITING, IDS[0])
    leftover.mkdir()
    assert sweep() == 0
    leftover.rmdir()
    assert sweep() == 1
    assert not output.exists()


def test_a_crash_between_link_and_video_is_finished_by_the_next_sweep(
    layout: Layout, sweep: Callable[..., int]
) -> None:
    """The link went first; the video is still due."""
    output = finish(layout, IDS[0], OLD)
    by_story.hide(layout, {IDS[0]})
    assert sweep() == 1
    assert not output.exists()


def test_unused_conformed_clips_go(layout: Layout, sweep: Callable[..., int]) -> None:
    """By the time their folder was last used; one that is being made stays, and links are not followed."""
    library = layout.scanned / "video/clip.mp4"
    library.write_bytes(b"library")
    for name, age in (("old", 8), ("new", 1), (".node-being-made", 9)):
        segment = layout.segment(name)
        segment.mkdir(parents=True)
        (segment / "segment.mp4").write_bytes(b"x")
        used = (NOW - timedelta(days=age)).timestamp()
        os.utime(segment, (used, used))
    layout.segment("link").symlink_to(layout.scanned)
    os.utime(layout.segment("link"), (0, 0), follow_symlinks=False)
    assert sweep(Settings(cache_days=7)) == 2
    assert sorted(path.name for path in layout.segments.iterdir()) == [".node-being-made", "new"]
    assert library.read_bytes() == b"library"


def tried(layout: Layout, host: str, when: str, boot: str = "b") -> Path:
    """What came of trying a machine's encoders."""
    path = layout.encoders(f"{host}-0", "h264")
    path.parent.mkdir(parents=True, exist_ok=True)
    EncodersRecord(host=host, boot=boot, user=0, ffmpeg="f", codec="h264", trials=(), tried_at=when).write(path)
    return path


def test_trials_of_encoders_that_nobody_can_use_go(
    layout: Layout, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an earlier boot of this machine, and after a month of any; whatever the configuration says, and told."""
    month_old = "2026-10-21T12:00:00.000Z"
    other = tried(layout, "container-1", month_old)
    later = tried(layout, "container-2", OLD)
    own = tried(layout, platform.node(), OLD, boot_id())
    assert sweep(Settings()) == 1
    assert not other.exists()
    assert "Deleted .farm/cache/encoders/container-1-0.h264.json: what came of" in capsys.readouterr().err
    tried(layout, platform.node(), NEW, "an earlier boot")
    assert sweep(Settings()) == 1
    assert not own.exists()
    assert later.exists()
    assert list(layout.removed.iterdir()) == []


def test_damaged_and_half_written_trials_go_when_they_are_old(layout: Layout, sweep: Callable[..., int]) -> None:
    """By their own time; folders and links are not ours."""
    damaged = tried(layout, "here", OLD)
    damaged.write_text("{", "utf-8")
    half = damaged.with_name(f".{damaged.name}.0a1b2c3d.tmp")
    half.write_text("{", "utf-8")
    (layout.trials / "folder").mkdir()
    (layout.trials / "link").symlink_to(layout.scanned)
    assert sweep(Settings(), datetime.now(UTC)) == 0
    assert sweep(Settings(), far_future()) == 2
    assert sorted(path.name for path in layout.trials.iterdir()) == ["folder", "link"]


@pytest.mark.parametrize("name", ["cache", "segments", "trials"])
def test_a_cache_that_is_a_link_is_left_alone(layout: Layout, sweep: Callable[..., int], name: str) -> None:
    """Whatever it leads to is not the farm's to delete."""
    library = layout.scanned / "video/clip.mp4"
    library.write_bytes(b"library")
    (layout.scanned / "clip.json").write_bytes(b"library")
    link = {"cache": layout.cache, "segments": layout.segments, "trials": layout.trials}[name]
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(layout.scanned)
    assert sweep(now=far_future()) == 0
    assert library.exists()
    assert (layout.scanned / "clip.json").exists()


def test_trash_on_a_disk_of_its_own_is_emptied_too(layout: Layout, sweep: Callable[..., int], tmp_path: Path) -> None:
    """What cannot be renamed into .farm/ is renamed out of sight where it is."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here: /dev/shm is missing or the one of the temporary folder")
    elsewhere = memory / f"reelmill-test-{os.getpid()}"
    elsewhere.mkdir()
    try:
        layout.invalid.rmdir()
        layout.invalid.symlink_to(elsewhere)
        reject(layout, "old.mp4", OLD)
        assert sweep() == 1
        assert list(elsewhere.iterdir()) == []
    finally:
        for path in elsewhere.iterdir():
            path.unlink()
        elsewhere.rmdir()


def test_what_cannot_be_deleted_is_told_and_does_not_stop_the_others(
    layout: Layout, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine's trouble; it is due again next time."""
    reject(layout, "old.mp4", OLD)
    output = finish(layout, IDS[0], OLD)
    layout.removed.rmdir()
    layout.removed.write_bytes(b"in the way")
    assert sweep() == 0
    assert output.exists()
    assert capsys.readouterr().err.count("event=retention_trouble") == 2
    layout.removed.unlink()
    layout.removed.mkdir()
    assert sweep() == 2


def test_days_of_figures_go_after_their_time(layout: Layout, sweep: Callable[..., int]) -> None:
    """Counted from their end; what is no day is not ours."""
    for day in ("2026-11-12", "2026-11-13", "mine"):
        (layout.figures / day).mkdir(parents=True)
        (layout.figures / day / "a.jsonl").write_bytes(b"")
    assert sweep(Settings(figures_days=7)) == 1
    assert sorted(path.name for path in layout.figures.iterdir()) == ["2026-11-13", "mine"]
    assert sweep(Settings(figures_days=0), far_future()) == 0
