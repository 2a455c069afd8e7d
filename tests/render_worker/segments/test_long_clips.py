"""A long clip is conformed in parts; where one ends and the next begins, no picture is lost, doubled or moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from render_worker.job import Job
from render_worker.segments import uses
from shared.domain.layout import FINAL
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Again = Callable[[Job], Job]
RunFfmpeg = Callable[..., bytes]

SECONDS = 19.3  # two parts at every rate, where parts have 12 seconds
LONG_SECONDS = 47.3  # the same where they are as long as they are


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are quicker to make, and still longer than what is read before one begins."""
    monkeypatch.setattr(uses, "WINDOW_SECONDS", 12)


@pytest.fixture
def brightness(run_ffmpeg: RunFfmpeg) -> Callable[[Path], bytes]:
    """How bright each frame of a film is."""

    def measure(film: Path) -> bytes:
        return run_ffmpeg("-i", film, "-vf", "scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-")

    return measure


@pytest.fixture
def changing(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Callable[..., Path]:
    """A clip each of whose frames has another brightness than its neighbours."""

    def make(seconds: float, rate: str = "30") -> Path:
        clip = tmp_path / "changing.mp4"
        grey = f"color=black:size=64x36:rate={rate}:duration={seconds},geq=lum='16+mod(N*37,210)':cb=128:cr=128"
        run_ffmpeg("-f", "lavfi", "-i", grey, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", clip)
        return clip

    return make


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize(
    ("clip_rate", "rate"),
    [("30", 30), ("60", 30), ("60000/1001", 29.97), ("25", 29.97), ("24", 59.94), ("50", 25), ("30", 23.976)],
)
def test_parts_show_the_pictures_of_the_whole(
    prepare: Prepare,
    render: Render,
    again: Again,
    changing: Callable[..., Path],
    brightness: Callable[[Path], bytes],
    clip_rate: str,
    rate: float,
) -> None:
    """Every frame of the segments is the one that the direct command shows, told by how bright it is."""
    job = prepare(
        clips=(changing(SECONDS + 0.5, clip_rate),), seconds_each=SECONDS, music=None, rate=rate, resolution="64x36"
    )
    job = replace(job, metadata=job.metadata.changed(voice_duration=SECONDS - 1))
    settings = {"preset": "ultrafast", "quality": 5}
    record = render(job, mode="segments", **settings)
    assert (record.fallback, record.counts["segments_conformed"]) == (None, 2)
    other = again(job)
    render(other, mode="direct", **settings)
    joined, whole = brightness(job.folder / FINAL), brightness(other.folder / FINAL)
    assert len(joined) == len(whole) == record.frames
    strange = [number for number in range(len(whole)) if abs(joined[number] - whole[number]) > 6]
    assert not strange


@pytest.mark.usefixtures("short_parts")
def test_wherever_the_voice_ends_nothing_is_left_out_at_a_seam(
    prepare: Prepare, render: Render, again: Again, changing: Callable[..., Path], brightness: Callable[[Path], bytes]
) -> None:
    """One clip in two parts, of which no shot before can give frames; with B-frames most ends are no anchors."""
    job = prepare(clips=(changing(SECONDS + 0.5),), seconds_each=SECONDS, music=None, resolution="64x36")
    settings = {"preset": "veryfast", "quality": 5}
    first = job = replace(job, metadata=job.metadata.changed(voice_duration=SECONDS - 1))
    render(job, mode="direct", **settings)
    whole = brightness(first.folder / FINAL)
    encoded = set()
    for fewer in range(6):
        job = again(job)
        job = replace(job, metadata=job.metadata.changed(voice_duration=SECONDS - 1 - fewer / 30))
        record = render(job, mode="segments", **settings)
        encoded.add(record.counts["encoded_frames"])
        joined = brightness(job.folder / FINAL)
        assert len(joined) == record.frames == len(whole) - fewer
        assert [number for number in range(len(joined)) if abs(joined[number] - whole[number]) > 6] == []
    assert len(encoded) > 1, "some ends are anchors, and some are not"


def test_what_a_video_left_out_is_added_for_the_next_one(
    prepare: Prepare, render: Render, again: Again, changing: Callable[..., Path], brightness: Callable[[Path], bytes]
) -> None:
    """A video that ends within its clip has only that much conformed; a longer one uses it, and only makes the rest."""
    first = prepare(clips=(changing(13.5),), seconds_each=13.0, music=None, resolution="64x36")
    settings = {"preset": "veryfast", "quality": 5}
    for seconds, made in ((3.3, 1), (12.9, 1), (3.0, 0), (7.4, 0)):
        job = replace(again(first), metadata=first.metadata.changed(voice_duration=seconds))
        record = render(job, mode="segments", **settings)
        assert (record.fallback, record.counts["segments_conformed"]) == (None, made)
        other = replace(again(first), metadata=first.metadata.changed(voice_duration=seconds))
        render(other, mode="direct", **settings)
        joined, whole = brightness(job.folder / FINAL), brightness(other.folder / FINAL)
        assert len(joined) == len(whole) == record.frames
        assert [number for number in range(len(whole)) if abs(joined[number] - whole[number]) > 6] == []


def test_a_picture_that_stands_for_long_is_shown_on_both_sides_of_a_seam(
    prepare: Prepare,
    render: Render,
    again: Again,
    run_ffmpeg: RunFfmpeg,
    brightness: Callable[[Path], bytes],
    tmp_path: Path,
) -> None:
    """Nothing may move on a screen for minutes: the part behind the seam begins with what was there."""
    clip = tmp_path / "screen.mp4"
    grey = f"color=black:size=64x36:rate=30:duration={LONG_SECONDS + 0.5},geq=lum='if(lt(T,37),60,200)':cb=128:cr=128"
    kept = "select=eq(n\\,0)+gte(t\\,37)"
    run_ffmpeg(*("-f", "lavfi", "-i", grey, "-vf", kept, "-fps_mode", "vfr"), *("-c:v", "libx264", "-crf", "10", clip))
    job = prepare(clips=(clip,), seconds_each=LONG_SECONDS, music=None, resolution="64x36")
    job = replace(job, metadata=job.metadata.changed(voice_duration=LONG_SECONDS - 1))
    record = render(job)
    assert (record.mode, record.counts["segments_conformed"]) == ("segments", 2)
    other = again(job)
    render(other, mode="direct")
    joined, whole = brightness(job.folder / FINAL), brightness(other.folder / FINAL)
    assert [number for number in range(len(whole)) if abs(joined[number] - whole[number]) > 6] == []
