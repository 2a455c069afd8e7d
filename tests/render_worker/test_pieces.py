"""A video of many shots is made in pieces and joined; nobody can tell from the result."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker import command
from render_worker.encoders import LIBX264
from render_worker.gate import packet_times
from render_worker.render import MOST_SHOTS, Job, Report, plan_of
from shared.config import Render
from shared.domain.layout import FINAL
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
RenderTask = Callable[..., RenderRecord]
RunFfmpeg = Callable[..., bytes]

MANY = tuple(itertools.islice(itertools.cycle(["h264.mp4", "hevc.mp4", "mpeg4.mp4", "vp9.mp4"]), 3 * MOST_SHOTS))
PRESET = "veryfast"  # with B-frames, which is where cuts and joins go wrong


@pytest.mark.parametrize(("rate", "frames", "tick"), [(30, 111, 1000), (29.97, 111, 1001), (23.976, 89, 1001)])
def test_pieces_join_to_the_exact_frame(
    prepare: Prepare, render: RenderTask, run_ffmpeg: RunFfmpeg, rate: float, frames: int, tick: int
) -> None:
    """Three pieces give the wanted number of frames, all one step apart, over the whole voice."""
    job = prepare(voice="voice_silent.mp3", clips=MANY, seconds_each=0.11, rate=rate)
    record = render(job, preset=PRESET)
    assert len(record.plan["shots"]) > 2 * MOST_SHOTS
    assert record.mode == "pieces"
    table = run_ffmpeg("-i", job.folder / FINAL, "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode()
    times = packet_times(table)
    assert len(times) == record.frames == frames
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    assert steps == {tick}


@pytest.mark.parametrize("rate", [30, 29.97])
def test_pieces_show_the_same_pictures_as_one_command(
    prepare: Prepare, render: RenderTask, run_ffmpeg: RunFfmpeg, tmp_path: Path, rate: float
) -> None:
    """Each frame of the join is the frame that the direct command makes, up to what encoding does to it."""
    job = prepare(clips=MANY, seconds_each=0.1, rate=rate, logo="logo.png")
    render(job, preset=PRESET, quality=5)
    plan = plan_of(job.metadata, Render())
    encoding = command.Encoding(LIBX264, quality=5, preset=PRESET, audio_kbps=192)
    whole = tmp_path / "whole.mp4"
    run_ffmpeg(*command.direct(plan, job.task, whole, encoding))
    compare = ("-lavfi", "[0:v][1:v]psnr=stats_file=-", "-f", "null", "-")
    lines = run_ffmpeg("-i", job.folder / FINAL, "-i", whole, *compare).decode().splitlines()
    ratios = [float(line.split("psnr_avg:")[1].split()[0]) for line in lines]
    assert len(ratios) == plan.frames
    assert min(ratios) > 40


@pytest.mark.parametrize("shots", [MOST_SHOTS + 1, 2 * MOST_SHOTS + 1])
def test_a_single_last_frame_joins_without_a_hole(prepare: Prepare, render: RenderTask, shots: int) -> None:
    """When the shot beyond the last full piece is one frame long, it is not left in a piece of its own."""
    full = 75 // (shots - 1)
    first = ("h264.mp4",) * (shots - 1)
    lengths = [(full + (number < 75 % (shots - 1))) / 30 for number in range(shots - 1)]
    job = prepare(clips=(*first, "white.mp4"), seconds_each=[*lengths, 1.0])
    record = render(job, preset=PRESET)
    assert len(record.plan["shots"]) == shots
    assert record.plan["shots"][-1]["frames"] == 1


def test_pieces_leave_nothing_behind_and_count_as_one_render(prepare: Prepare, render: RenderTask) -> None:
    """The scratch folder is gone, and progress runs once from 0 to 100 % over all pieces."""
    reports: list[Report] = []
    job = prepare(clips=MANY, seconds_each=0.1)
    render(job, preset=PRESET, on_report=reports.append)
    assert not [path for path in job.folder.iterdir() if path.is_dir()]
    percents = [report.percent for report in reports if report.phase == "rendering"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
