"""The cache: whatever is missing, damaged, crowded out or made twice, the video comes out right."""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from render_worker.job import Job
from render_worker.progress import Report
from shared.domain.layout import FINAL, POSTER, SEGMENT, SEGMENT_RECORD, THUMBNAIL, Layout
from shared.files import remove_tree
from shared.records.render import RenderRecord
from shared.segments import SegmentCache

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Again = Callable[[Job], Job]

CLIPS = ("h264.mp4", "halves.mp4", "hevc.mp4")
SETTINGS = {"preset": "veryfast"}


@pytest.fixture
def check_right(run_ffmpeg: Callable[..., bytes]) -> Callable[[Job, RenderRecord, Job], None]:
    """A render of segments shows what an earlier one of the same task showed, and decodes without a complaint.

    Not bit for bit: x264 with several threads does not encode the same pictures to the same bits each time.
    """

    def run(job: Job, record: RenderRecord, first: Job) -> None:
        assert (record.mode, record.fallback) == ("segments", None)
        assert all(check.passed for check in record.checks)
        final, compare = job.folder / FINAL, ("-lavfi", "[0:v][1:v]psnr=stats_file=-", "-f", "null", "-")
        lines = run_ffmpeg("-xerror", "-i", final, "-i", first.folder / FINAL, *compare).decode().splitlines()
        ratios = [float(line.split("psnr_avg:")[1].split()[0]) for line in lines]
        assert len(ratios) == record.frames
        assert min(ratios) > 38

    return run


def keys(layout: Layout) -> set[str]:
    return {path.name for path in layout.segments.iterdir()}


def films(layout: Layout) -> list[Path]:
    return sorted(layout.segments.glob(f"*/{SEGMENT}"))


def film_of(job: Job, layout: Layout, number: int = 0) -> Path:
    """The film of a clip of the task; the first one is used first and whole."""
    source = job.metadata.inputs[job.metadata.video_files[number]].path
    (found,) = [path for path in films(layout) if f'"{source}"' in (path.parent / SEGMENT_RECORD).read_text("utf-8")]
    return found


# -- warm, damaged -----------------------------------------------------------------------------------


def test_a_second_render_conforms_nothing(
    prepare: Prepare, render: Render, again: Again, check_right: Callable[..., None]
) -> None:
    """What was conformed once is used again, and shows the same pictures."""
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    assert render(first, **SETTINGS).counts["segments_conformed"] == 2
    second = again(first)
    record = render(second, **SETTINGS)
    assert (record.counts["segments_conformed"], record.counts["segments_reused"]) == (0, 2)
    check_right(second, record, first)


def truncate(entry: Path) -> None:
    os.truncate(entry / SEGMENT, (entry / SEGMENT).stat().st_size // 2)


def truncate_record(entry: Path) -> None:
    os.truncate(entry / SEGMENT_RECORD, 100)


def remove_thumbnail(entry: Path) -> None:
    (entry / THUMBNAIL).unlink()


def remove_film(entry: Path) -> None:
    (entry / SEGMENT).unlink()


def empty(entry: Path) -> None:
    for path in entry.iterdir():
        path.unlink()


def spoil_the_times(entry: Path) -> None:
    """Every frame lasts longer than it did, though each packet is what it was."""
    content = bytearray((entry / SEGMENT).read_bytes())
    content[content.index(b"stts") + 19] ^= 0x40  # the lowest byte of the first frame's duration
    (entry / SEGMENT).write_bytes(content)


def spoil_the_thumbnail(entry: Path) -> None:
    """It becomes the poster of the video."""
    (entry / THUMBNAIL).write_bytes(b"")


def flip_a_byte(entry: Path) -> None:
    """In the middle of the pictures, with the same size: only comparing packets finds it."""
    content = bytearray((entry / SEGMENT).read_bytes())
    content[(content.index(b"mdat") + content.index(b"moov")) // 2] ^= 0xFF
    (entry / SEGMENT).write_bytes(content)


def spoil_the_index(entry: Path) -> None:
    """The film cannot be opened any more, though its size is right."""
    content = bytearray((entry / SEGMENT).read_bytes())
    place = content.index(b"moov")
    content[place : place + 4] = b"junk"
    (entry / SEGMENT).write_bytes(content)


def mix_up_the_record(entry: Path) -> None:
    """The record says the wrong things of another segment."""
    record = (entry / SEGMENT_RECORD).read_text("utf-8")
    (entry / SEGMENT_RECORD).write_text(record.replace(entry.name, "0" * 64), "utf-8")


DAMAGES = (
    truncate,
    truncate_record,
    remove_thumbnail,
    remove_film,
    empty,
    flip_a_byte,
    spoil_the_index,
    spoil_the_times,
    spoil_the_thumbnail,
    mix_up_the_record,
)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_segment_is_made_again(
    prepare: Prepare,
    render: Render,
    again: Again,
    layout: Layout,
    check_right: Callable[..., None],
    damage: Callable[[Path], None],
    number: int,
) -> None:
    """It is found before it is joined, or by what the join came to; a good one takes its place."""
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, **SETTINGS)
    before = keys(layout)
    entry = film_of(first, layout, number).parent
    damage(entry)
    second = again(first)
    third = again(second)
    healed = render(second, **SETTINGS)
    check_right(second, healed, first)
    assert healed.fallback is None
    assert keys(layout) == before
    assert (second.folder / POSTER).read_bytes() == (first.folder / POSTER).read_bytes()
    warm = render(third, **SETTINGS)
    assert warm.counts["segments_conformed"] == 0
    check_right(third, warm, first)


def test_damage_in_frames_that_are_encoded_anew_is_found(
    prepare: Prepare, render: Render, again: Again, layout: Layout, check_right: Callable[..., None]
) -> None:
    """What is encoded of a damaged segment would show it, with packets of its own that nobody could compare."""
    first = prepare(clips=("h264.mp4",), voice="voice_short.mp3", music=None)
    first = dataclasses.replace(first, metadata=first.metadata.changed(voice_duration=11 / 30))
    assert render(first, **SETTINGS).counts["encoded_frames"] == 11
    film = film_of(first, layout)
    content = bytearray(film.read_bytes())
    content[content.index(b"mdat") + 4000] ^= 0xFF
    film.write_bytes(content)
    second = again(first)
    record = render(second, **SETTINGS)
    assert record.counts["segments_conformed"] == 1
    check_right(second, record, first)


def test_all_that_is_damaged_is_made_again_at_once(
    prepare: Prepare, render: Render, again: Again, layout: Layout, check_right: Callable[..., None]
) -> None:
    """Both films of a task prove damaged by their packets, in one join."""
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, **SETTINGS)
    for film in films(layout):
        flip_a_byte(film.parent)
    second = again(first)
    record = render(second, **SETTINGS)
    check_right(second, record, first)
    assert record.counts["segments_conformed"] == 2


# -- going away, crowded out -------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["conforming", "joining"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_the_cache_may_be_deleted_during_a_render(
    prepare: Prepare,
    render: Render,
    again: Again,
    layout: Layout,
    check_right: Callable[..., None],
    phase: str,
    warm: bool,
) -> None:
    """What is needed was linked before; what was not is made again. Half of a warm cache is missing when it goes."""
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, **SETTINGS)
    if warm:
        remove_tree(film_of(first, layout).parent)
    else:
        remove_tree(layout.segments)
    deleted = threading.Event()

    def delete(report: Report) -> None:
        if report.phase == phase and not deleted.is_set():
            deleted.set()
            layout.cache.rename(layout.farm / "deleted")

    second = again(first)
    check_right(second, render(second, on_report=delete, **SETTINGS), first)
    assert deleted.is_set()


@pytest.mark.parametrize("budget", [0, 1, 50_000])
def test_a_budget_smaller_than_one_task_is_enough(
    prepare: Prepare, render: Render, again: Again, layout: Layout, check_right: Callable[..., None], budget: int
) -> None:
    """The task's own segments drive each other out of the cache, and are whole where they are used."""
    small = SegmentCache(layout, "here", budget)
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, cache=small, **SETTINGS)
    second = again(first)
    check_right(second, render(second, cache=small, **SETTINGS), first)
    assert sum(film.stat().st_size for film in films(layout)) <= budget
    assert not list(layout.removed.iterdir())


def entry_of(layout: Layout, key: str, size: int, used_at: float) -> Path:
    """A stand-in for a segment that was last used at a time."""
    entry = layout.segment(key)
    entry.mkdir(parents=True)
    (entry / SEGMENT).write_bytes(b"x" * size)
    os.utime(entry, (used_at, used_at))
    return entry


def test_what_was_not_used_for_longest_goes_first(layout: Layout) -> None:
    """As many go as have to, and none that was used after one that stays."""
    for number, key in enumerate(("d", "a", "c", "b")):
        entry_of(layout, key, 100, used_at=1_000.0 + number)
    SegmentCache(layout, "here", 400).shrink()
    assert keys(layout) == {"a", "b", "c", "d"}
    SegmentCache(layout, "here", 399).shrink()
    assert keys(layout) == {"a", "b", "c"}
    SegmentCache(layout, "here", 100).shrink()
    assert keys(layout) == {"b"}
    assert not list(layout.removed.iterdir())


def test_use_counts_not_age(prepare: Prepare, render: Render, again: Again, layout: Layout) -> None:
    """A segment that was taken for a task is younger than one that was made after it."""
    job = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(job, **SETTINGS)
    used = {film.parent for film in films(layout)}
    for entry in used:
        os.utime(entry, (1_000.0, 1_000.0))
    idle = entry_of(layout, "0" * 64, 10, used_at=2_000.0)
    render(again(job), **SETTINGS)
    SegmentCache(layout, "here", sum(path.stat().st_size for entry in used for path in entry.iterdir())).shrink()
    assert set(layout.segments.iterdir()) == used
    assert not idle.exists()


# -- several workers ---------------------------------------------------------------------------------


def test_two_workers_conform_the_same_clips_at_once(
    prepare: Prepare, render: Render, again: Again, layout: Layout, check_right: Callable[..., None]
) -> None:
    """Both begin before either has a segment; both get their video, and the cache has each segment once."""
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, **SETTINGS)
    before = keys(layout)
    remove_tree(layout.segments)
    jobs = [again(first)]
    jobs.append(again(jobs[0]))
    both, records = threading.Barrier(2, timeout=60), {}

    def work(job: Job, node: str) -> None:
        met = threading.Event()

        def meet(_: Report) -> None:
            if not met.is_set():
                met.set()
                both.wait()

        cache = SegmentCache(layout, node, 10**12)
        records[job.attempt] = render(job, cache=cache, on_report=meet, **SETTINGS)

    threads = [threading.Thread(target=work, args=(job, node)) for job, node in zip(jobs, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        check_right(job, records[job.attempt], first)
    assert keys(layout) == before


def test_the_second_to_put_a_segment_in_place_gives_way(layout: Layout, cache: SegmentCache) -> None:
    """The place is taken: what is there stays, and the bench is cleared."""
    other = SegmentCache(layout, "other", 10**12)
    for maker in (cache, other):
        bench = maker.bench()
        (bench / SEGMENT).write_bytes(b"here" if maker is cache else b"other")
        maker.put("key", bench)
    assert (layout.segment("key") / SEGMENT).read_bytes() == b"here"
    assert keys(layout) == {"key"}


def test_benches_of_the_dead_are_tidied_away(layout: Layout, cache: SegmentCache) -> None:
    """A node's own half-made segments go when it starts; those of others only after a day, and segments never."""
    entry_of(layout, "key", 10, used_at=1_000.0)
    mine, other, old = (SegmentCache(layout, node, 0).bench() for node in ("here", "there", "gone"))
    for bench in (mine, other, old):
        (bench / SEGMENT).write_bytes(b"half")
    day_before_yesterday = time.time() - 2 * 86_400
    os.utime(old, (day_before_yesterday, day_before_yesterday))
    cache.tidy()
    assert keys(layout) == {"key", other.name}


def test_a_node_whose_name_begins_like_another_ones_leaves_its_benches_alone(layout: Layout) -> None:
    """`a` is not `a-2`, which is at work beside it on the same host."""
    bench = SegmentCache(layout, "a-2", 0).bench()
    SegmentCache(layout, "a", 10**12).tidy()
    assert bench.exists()


def test_a_root_without_a_cache_is_tidied_too(layout: Layout, cache: SegmentCache) -> None:
    """The first worker of a root finds nothing there."""
    cache.tidy()
    assert keys(layout) == set()


# -- filesystems -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_hard_links_are_impossible_segments_are_copied(
    prepare: Prepare,
    render: Render,
    again: Again,
    layout: Layout,
    check_right: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """Another filesystem, or one that knows no links: the render comes out the same, cold and warm."""

    def refuse(self: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), self, None, target)

    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    render(first, **SETTINGS)
    assert {film.stat().st_nlink for film in films(layout)} == {1}
    second = again(first)
    record = render(second, **SETTINGS)
    assert record.counts["segments_reused"] == 2
    check_right(second, record, first)


def test_a_cache_on_another_filesystem_is_copied_from(
    prepare: Prepare, render: Render, again: Again, check_right: Callable[..., None], elsewhere: Path
) -> None:
    """The same with a real second filesystem."""
    layout = Layout(elsewhere)
    layout.removed.mkdir(parents=True)
    cache = SegmentCache(layout, "here", 10**12)
    first = prepare(clips=CLIPS, voice="voice_silent.mp3")
    render(first, cache=cache, **SETTINGS)
    second = again(first)
    record = render(second, cache=cache, **SETTINGS)
    assert record.counts["segments_reused"] == 2
    check_right(second, record, first)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem than the tests' own: one in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if Path(folder).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm is on the filesystem of the tests")
        yield Path(folder)
