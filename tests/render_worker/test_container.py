"""Videos in other containers hold the very film that was judged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from render_worker.commands.encoders import Way
from render_worker.container import compared
from render_worker.gate import GateClosed, boxes_of
from render_worker.job import Job
from render_worker.packets import Packet, Stream
from shared.domain.layout import FINAL, final_name
from shared.ffmpeg import Ffmpeg
from shared.records.render import RenderRecord
from tests.render_worker.test_layers import BOTH

Render = Callable[..., RenderRecord]
CAPTIONS = "WEBVTT\n\n00:00:00.300 --> 00:00:00.800\nEin Drache\n\n00:00:00.900 --> 00:00:01.100\nfliegt\n"


def as_format(job: Job, video: str) -> Job:
    request = job.metadata.render.model_copy(update={"output_format": video})
    return replace(job, metadata=job.metadata.model_copy(update={"render": request}))


@BOTH
@pytest.mark.parametrize("video", ["mov", "mkv"])
def test_another_container_holds_the_same_film(
    prepare: Callable[..., Job],
    again: Callable[[Job], Job],
    render: Render,
    run_ffmpeg: Callable[..., bytes],
    mode: str,
    video: str,
) -> None:
    """Picture and sound decode to the same, captions are a track that nobody sees unasked, and no MP4 is left."""
    job = prepare(clips=("h264.mp4", "hevc.mp4"), voice="voice_short.mp3", captions=CAPTIONS)
    render(job, mode=mode)
    other = as_format(again(job), video)
    record = render(other, mode=mode)
    final = other.folder / final_name(video)  # type: ignore[arg-type]
    assert not (other.folder / FINAL).exists()
    assert record.size == final.stat().st_size
    for stream in ("0:v", "0:a"):
        decoded = [run_ffmpeg("-i", path, "-map", stream, "-f", "md5", "-") for path in (job.folder / FINAL, final)]
        assert decoded[0] == decoded[1]
    assert run_ffmpeg("-i", final, "-map", "0:s", "-f", "webvtt", "-").count(b"-->") == 2
    told = {check.name: check.measured for check in record.checks}
    assert told["packets of subtitle in its container"] == 2
    assert told["video is byte for byte the same in its container"] is True
    assert "container" in record.timings
    if video == "mov":
        assert boxes_of(final)[-1] == "moov"


@pytest.mark.parametrize("video", ["mov", "mkv"])
def test_players_see_what_an_mp4_tells(prepare: Callable[..., Job], render: Render, video: str) -> None:
    """By ffprobe: it begins at zero, captions are not shown unasked, and its colours are told."""
    job = as_format(prepare(clips=("h264.mp4",), voice="voice_short.mp3", captions=CAPTIONS, language="deu"), video)
    render(job)
    probe = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(job.folder / final_name(video))]  # type: ignore[arg-type]
    try:
        done = subprocess.run(probe, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("ffprobe is not installed")
    picture, sound, words = json.loads(done.stdout)["streams"]
    assert (picture["codec_name"], float(picture["start_time"])) == ("h264", 0.0)
    assert (picture["color_space"], picture["color_range"]) == ("bt709", "tv")
    assert abs(float(sound["start_time"])) < 0.022
    assert words["tags"]["language"] in ("deu", "ger")  # the older code means the same
    assert words["disposition"]["default"] == (0 if video == "mkv" else 1)  # of QuickTime players ask people


def test_hevc_keeps_the_tag_that_players_of_apple_want(prepare: Callable[..., Job], render: Render) -> None:
    """In QuickTime as in MP4."""
    job = as_format(prepare(clips=("h264.mp4",), voice="voice_short.mp3"), "mov")
    render(job, codec="hevc", ways=(Way("libx265"),))
    assert b"hvc1" in (job.folder / "final.mov").read_bytes()[:20_000]


def test_a_container_that_lost_something_is_refused(
    prepare: Callable[..., Job], render: Render, script: Callable[[str], Ffmpeg]
) -> None:
    """Here by a muxer that leaves a frame out and says that all is well; no encoder is blamed for it."""
    lossy = '$(echo "$@" | sed "s/-f matroska -y/-frames:v 20 -f matroska -y/")'
    body = f'case "$*" in *"-f matroska -y"*) exec "$FFMPEG" {lossy};; esac'
    job = as_format(prepare(clips=("h264.mp4",), voice="voice_short.mp3"), "mkv")
    with pytest.raises(GateClosed, match="packets of video in its container is 20, must be 36"):
        render(job, program=script(f'{body}\nexec "$FFMPEG" "$@"'), ways=(Way("libx264"), Way("libx264")))


# -- comparing -----------------------------------------------------------------------------------


def stream(kind: str, *packets: Packet, tick: str = "1/30000") -> Stream:
    return Stream({"media_type": kind, "tb": tick}, list(packets))


def frame(number: int, ticks: int = 1000, checksum: str = "0x1", size: int = 9) -> Packet:
    return Packet(number * ticks, number * ticks, ticks, size, checksum, is_key=True)


PICTURE = stream("video", frame(0), frame(1), frame(2))


def failed(judged: list[Stream], found: list[Stream], tick: Fraction = Fraction(1, 1000)) -> list[str]:
    return [check.name for check in compared(judged, found, tick) if not check.passed]


def test_times_may_be_rounded_and_nothing_else() -> None:
    """To the container's own tick, and packet by packet."""
    times = (0, 33, 67)
    rounded = stream("video", *(Packet(0, at, 33, 9, "0x1", is_key=True) for at in times), tick="1/1000")
    assert failed([PICTURE], [rounded]) == []
    assert failed([PICTURE], [PICTURE], Fraction(0)) == []
    assert failed([PICTURE], [rounded], Fraction(0)) == ["seconds by which video is shifted in its container"]
    late = stream("video", frame(1), frame(2), frame(3))
    assert failed([PICTURE], [late]) == ["seconds by which video is shifted in its container"]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([], "kinds of streams in its container"),
        ([stream("audio", frame(0), frame(1), frame(2))], "kinds of streams in its container"),
        ([stream("video", frame(0), frame(1))], "packets of video in its container"),
        (
            [stream("video", frame(0), frame(1), frame(2, checksum="0x2"))],
            "video is byte for byte the same in its container",
        ),
    ],
    ids=["nothing", "another kind", "a lost frame", "another frame"],
)
def test_what_is_lost_or_changed_is_found(found: list[Stream], wanted: str) -> None:
    """Each by its name."""
    assert wanted in failed([PICTURE], found)


def test_of_captions_what_shows_words_counts() -> None:
    """MP4 fills gaps with packets of none, and other containers write the words differently."""
    judged = stream("subtitle", frame(0, size=2), frame(1, size=12), frame(2, size=2))
    judged.facts["codec_id"] = "mov_text"
    assert failed([judged], [judged], Fraction(0)) == []
    assert failed([judged], [stream("subtitle", frame(1, size=2))]) == []
    assert failed([judged], [stream("subtitle", frame(1, size=10))]) == []
    assert failed([judged], [stream("subtitle")]) == ["packets of subtitle in its container"]
