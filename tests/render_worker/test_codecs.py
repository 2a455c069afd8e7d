"""Videos in HEVC and AV1: of segments and in one command, wherever their voice ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from render_worker.commands.encoders import ENCODERS, Way
from render_worker.job import Job
from shared.domain.layout import FINAL
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
RunFfmpeg = Callable[..., bytes]

CODECS = pytest.mark.parametrize("encoder", ["libx265", "libsvtav1"])


@CODECS
@pytest.mark.parametrize("mode", ["direct", "segments"])
def test_a_video_of_another_codec(
    prepare: Prepare, render: Render, run_ffmpeg: RunFfmpeg, encoder: str, mode: str
) -> None:
    """It passes every check; players find the codec that was asked for."""
    job = prepare(clips=("h264.mp4", "hevc.mp4"))
    record = render(job, ways=(Way(encoder),), mode=mode)
    assert (record.mode, record.fallback, record.encoder) == (mode, None, encoder)
    codec = ENCODERS[encoder].codec
    checks = {check.name: check.measured for check in record.checks}
    assert checks["streams"] == [codec.title, "AAC"]
    assert checks["codec tags"] == [codec.tag, "mp4a"]
    told = run_ffmpeg("-i", job.folder / FINAL, "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode()
    assert f"#codec_id 0: {codec.name}\n" in told


@CODECS
def test_it_may_end_at_any_frame(
    prepare: Prepare, render: Render, again: Callable[[Job], Job], run_ffmpeg: RunFfmpeg, encoder: str
) -> None:
    """Its pictures are those of the one command to the last, whether its end is an anchor or is encoded anew."""
    first = prepare(clips=("long.mp4",))
    for frames in (71, 74, 75, 90):
        job = replace(again(first), metadata=first.metadata.changed(voice_duration=frames / 30))
        record = render(job, ways=(Way(encoder),), mode="segments")
        assert (record.fallback, record.frames) == (None, frames)
        other = replace(again(first), metadata=job.metadata)
        render(other, ways=(Way(encoder),), mode="direct")
        graph = "[0:v][1:v]ssim=stats_file=-"
        stats = run_ffmpeg("-i", job.folder / FINAL, "-i", other.folder / FINAL, "-lavfi", graph, "-f", "null", "-")
        likeness = [float(line.partition("All:")[2].split()[0]) for line in stats.decode().splitlines()]
        assert len(likeness) == frames
        assert min(likeness) > 0.9
