"""What cannot be joined is encoded in one command, and render.json says why; a clip at fault is named instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.job import Job
from render_worker.progress import Report
from render_worker.tool import RenderFailed
from shared.domain.errors import Stopped
from shared.domain.layout import FINAL, RENDER_RECORD, SEGMENT_RECORD, Layout
from shared.domain.plan import LEAST
from shared.ffmpeg import Ffmpeg
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Again = Callable[[Job], Job]
Script = Callable[[str], Ffmpeg]

CLIPS = ("h264.mp4", "halves.mp4")
SETTINGS = {"preset": "veryfast"}

# How a stand-in spoils every join, and what is then told of it.
WITH = 'exec "$FFMPEG" $(echo "$@" | sed "s!-f mp4!{} -f mp4!")'
SPOILT = {
    "it fails": ("echo 'cannot join' >&2; exit 7", "ffmpeg ended with status 7 while joining: cannot join"),
    "its end is missing": (WITH.format("-bsf:v noise=drop=floor(n/50)"), "the gate: packets is 50, must be 76"),
    "it ends early": (WITH.format("-t 0.5"), "the join ended before its sound did|the gate: .*must be 76"),
    "its packets are changed": (
        WITH.format("-bsf:v filter_units=remove_types=6"),
        r"\d conformed clips are not what they were: [0-9a-f]{64}",
    ),
}


def check_fallback(job: Job, record: RenderRecord, why: str) -> None:
    assert record.mode == "direct"
    assert re.search(why, record.fallback or "")
    assert record.counts == {"encoded_frames": record.frames}
    assert all(check.passed for check in record.checks)
    assert RenderRecord.read(job.folder / RENDER_RECORD).fallback == record.fallback
    assert not job.scratch.exists()


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_join_that_goes_wrong_is_not_the_tasks_fault(
    prepare: Prepare, render: Render, script: Script, spoilt: str
) -> None:
    """The video is made all the same; the reason stands in its record."""
    body, why = SPOILT[spoilt]
    program = script(f'case "$*" in *ffconcat*) {body};; esac; exec "$FFMPEG" "$@"')
    job = prepare(clips=CLIPS)
    loud = {"audio_kbps": 512}  # more sound than a pipe holds, so that its maker may notice a join that is gone
    check_fallback(job, render(job, program=program, **SETTINGS, **loud), why)


def test_segments_of_different_parameters_are_not_joined(
    prepare: Prepare, render: Render, again: Again, layout: Layout
) -> None:
    """A decoder gets the parameters of the first only: half of the frames would be lost, without a complaint."""
    job = prepare(clips=CLIPS)
    render(job, **SETTINGS)
    path = next(layout.segments.glob(f"*/{SEGMENT_RECORD}"))
    path.write_text(re.sub(r'("extradata": *)"[^"]*"', r'\1"another"', path.read_text("utf-8")), "utf-8")
    warm = again(job)
    check_fallback(warm, render(warm, **SETTINGS), "the segments differ in their codec's parameters")


@pytest.mark.parametrize("frames", range(1, 8))
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_clips_of_very_few_frames_are_shown(prepare: Prepare, render: Render, frames: int, place: str) -> None:
    """A clip too short to have B-frames may have other decoding times; whatever is done about it, no frame is lost."""
    lengths = {"first": (frames, 30, 31), "middle": (30, frames, 31), "last": (30, 31, frames)}[place]
    job = prepare(
        clips=("h264.mp4", "halves.mp4", "long.mp4"), seconds_each=[count / 30 for count in lengths], music=None
    )
    total = sum(lengths)
    record = render(_lasting(job, total / 30), **SETTINGS)
    assert record.frames == total
    assert record.mode == "segments" or frames < 3, record.fallback


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 15, 16, 17, 59, 60])
@pytest.mark.parametrize("before", [(), ("halves.mp4",)], ids=["alone", "after another"])
def test_a_voice_may_end_anywhere(prepare: Prepare, render: Render, frames: int, before: tuple[str, ...]) -> None:
    """Whatever is left for the last shot is made of segments, with few frames encoded."""
    job = prepare(clips=(*before, "h264.mp4"), music=None)
    record = render(_lasting(job, (60 * len(before) + frames) / 30), **SETTINGS)
    assert (record.mode, record.frames) == ("segments", 60 * len(before) + frames)
    assert record.counts["encoded_frames"] <= 2 * LEAST


def _lasting(job: Job, seconds: float) -> Job:
    metadata = job.metadata.changed(voice_duration=seconds)
    return Job(metadata, job.task, job.library, job.folder, job.scratch, job.attempt, job.token)


# -- failing and stopping while segments are made ----------------------------------------------------


def test_a_clip_replaced_by_rubbish_is_named(
    prepare: Prepare, render: Render, again: Again, layout: Layout, tmp_path: Path
) -> None:
    """The first failure ends the others, names the clip, and leaves no half-made segment."""
    job = prepare(clips=("h264.mp4", "halves.mp4", "hevc.mp4"), voice="voice_silent.mp3")
    clip = tmp_path / "library" / "halves.mp4"
    size = clip.stat().st_size
    clip.unlink()  # it is linked to the media of all tests
    clip.write_bytes(b"rubbish!" * (size // 8) + b"x" * (size % 8))
    with pytest.raises(RenderFailed, match=r"while conforming scanned/halves\.mp4: "):
        render(job, **SETTINGS)
    assert not list(layout.segments.glob(".*"))
    assert not (job.folder / FINAL).exists()


@pytest.mark.parametrize("phase", ["conforming", "joining"])
def test_a_stop_ends_every_ffmpeg_of_a_render(
    prepare: Prepare, render: Render, layout: Layout, ffmpeg: Ffmpeg, phase: str
) -> None:
    """In the middle of conforming or joining: nothing half-made stays in the cache, and no process goes on."""
    reached = []

    def reach(report: Report) -> None:
        if report.phase == phase:
            reached.append(report)

    job = prepare(clips=("long.mp4", "h264.mp4"), voice="voice_slow.mp3", seconds_each=[12.0, 2.0])
    with pytest.raises(Stopped):
        render(
            job,
            on_report=reach,
            stopping=lambda: bool(reached),
            preset="veryslow" if phase == "conforming" else "ultrafast",
        )
    assert not list(layout.segments.glob(".*"))
    assert not (job.folder / RENDER_RECORD).exists()
    assert not _working_on(job.folder, ffmpeg) + _working_on(layout.root, ffmpeg)


def _working_on(folder: Path, ffmpeg: Ffmpeg) -> list[str]:
    """The command lines of every ffmpeg that was given files of a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if words.startswith(ffmpeg.path) and str(folder) in words:
            found.append(words)
    return found
