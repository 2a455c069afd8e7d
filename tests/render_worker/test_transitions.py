"""From clip to clip through black, or one over the other: the same in both ways, and hardly any of it encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.commands.encoders import Way
from render_worker.job import Job
from shared.domain.layout import FINAL
from shared.domain.plan import Cut, exact_rate, transition_of
from shared.ffmpeg import Ffmpeg
from shared.records.metadata import Metadata
from shared.records.render import RenderRecord
from tests.render_worker.test_layers import BLUE, BOTH, RED, near
from tests.shown import psnr, shown

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Again = Callable[[Job], Job]
RATES = pytest.mark.parametrize("rate", [25, 29.97, 30, 60])
KINDS = pytest.mark.parametrize("kind", ["fade", "crossfade"])
CRISP = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p")


@pytest.fixture
def asking(prepare: Prepare) -> Callable[..., Job]:
    """A job whose task asks for transitions."""

    def make(kind: Cut, seconds: float = 0.5, **wanted: object) -> Job:
        job = prepare(**wanted)
        request = job.metadata.render.model_copy(update={"transition": kind, "transition_seconds": seconds})
        return Job(
            Metadata.model_validate({**job.metadata.model_dump(), "render": request.model_dump()}),
            job.task,
            job.library,
            job.folder,
            job.scratch,
            job.attempt,
            job.token,
        )

    return make


@pytest.fixture
def plain(tmp_path: Path, run_ffmpeg: Callable[..., bytes]) -> Callable[..., Path]:
    """A clip of one colour."""

    def make(colour: str, seconds: float = 4, rate: float = 30) -> Path:
        path = tmp_path / f"{colour}.mp4"
        size = f"size=320x180:rate={exact_rate(rate)}:duration={seconds}"
        run_ffmpeg(
            "-f", "lavfi", "-i", f"color={colour}:{size},format=yuv444p,scale=out_color_matrix=bt709", *CRISP, path
        )
        return path

    return make


@BOTH
@RATES
@KINDS
def test_one_clip_goes_where_the_next_one_comes(
    asking: Callable[..., Job],
    render: Render,
    plain: Callable[..., Path],
    ffmpeg: Ffmpeg,
    mode: str,
    rate: float,
    kind: Cut,
) -> None:
    """Frame by frame: before, in the middle and behind; and the film has exactly its frames."""
    clips = (plain("red", rate=rate), plain("blue", rate=rate))
    job = asking(kind, clips=clips, seconds_each=4.0, voice="voice_seven.mp3", rate=rate, music=None)
    record = render(job, mode=mode, quality=1)
    assert record.fallback is None
    frames, found = transition_of(kind, 0.5, exact_rate(rate)).frames, shown(ffmpeg, job.folder / FINAL, 320, 180)
    assert len(found.frames) == record.frames
    ends = int(4 * exact_rate(rate))  # of the first clip
    begins = ends - frames

    def mean(frame: int) -> tuple[int, int, int]:
        red, green, blue = found.mean(frame=frame)
        return round(red), round(green), round(blue)

    assert near(mean(begins - 1), RED, 4)
    if kind == "crossfade":
        assert near(mean(ends), BLUE, 4)
        middle = mean(begins + frames // 2)
        assert near(middle, (127, 0, 127), 14)
    else:
        assert max(mean(ends - 1)) < 80
        assert max(mean(ends)) < 80
        assert near(mean(ends - 1 - frames // 2), (127, 0, 0), 50)
        assert near(mean(ends + frames + 1), BLUE, 4)
    if mode == "segments":
        assert record.counts["encoded_frames"] in range(frames, 2 * frames + 12)


@KINDS
def test_both_ways_show_the_same_and_little_is_encoded(
    asking: Callable[..., Job],
    render: Render,
    again: Again,
    ffmpeg: Ffmpeg,
    kind: Cut,
    run_ffmpeg: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    """Moving pictures under a logo; a second video of the same clips conforms nothing, and encodes as little."""
    clips = []
    for number in range(3):
        clip = tmp_path / f"moving{number}.mp4"
        source = f"testsrc2=size=320x180:rate=30:duration=4,hue=h={number * 120}"
        run_ffmpeg("-f", "lavfi", "-i", source, *CRISP, clip)
        clips.append(clip)
    job = asking(kind, clips=tuple(clips), seconds_each=4.0, voice="voice_ten.mp3", logo="logo.png", music=None)
    films, counts = [], []
    for mode in ("direct", "segments", "segments"):
        job = again(job)
        record = render(job, mode=mode, quality=1)
        assert record.fallback is None
        films.append(shown(ffmpeg, job.folder / FINAL, 320, 180).frames)
        counts.append(record.counts)
    assert len(films[0]) == len(films[1]) == len(films[2]) == 301
    around = [*range(95, 125), *range(205, 240)]
    assert min(psnr(films[0][number], films[1][number]) for number in around) > 30
    assert films[1] == films[2]
    transition = transition_of(kind, 0.5, exact_rate(30))
    each = 2 * transition.frames - transition.shared
    assert 2 * each <= counts[1]["encoded_frames"] <= 2 * (each + 4) + 12
    assert (counts[1]["segments_conformed"], counts[2]["segments_conformed"]) == (3, 0)
    assert counts[1]["encoded_frames"] == counts[2]["encoded_frames"]


@BOTH
def test_clips_that_are_too_short_are_cut_hard(
    asking: Callable[..., Job], render: Render, plain: Callable[..., Path], ffmpeg: Ffmpeg, mode: str
) -> None:
    """For a transition of a second and a half each would need more than three."""
    job = asking(
        "crossfade", 1.5, clips=(plain("red", 2), plain("blue", 2)), seconds_each=2.0, voice="voice.mp3", music=None
    )
    record = render(job, mode=mode, quality=1)
    found = shown(ffmpeg, job.folder / FINAL, 320, 180)
    assert record.fallback is None
    assert near(tuple(map(round, found.mean(frame=50))), RED, 4)  # type: ignore[arg-type]
    assert near(tuple(map(round, found.mean(frame=70))), BLUE, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoder", ["libx265", "libsvtav1"])
def test_other_codecs_can_be_entered_behind_a_transition_as_well(
    asking: Callable[..., Job], render: Render, plain: Callable[..., Path], encoder: str
) -> None:
    """Their forced keyframes are as good as those of the grid."""
    job = asking(
        "crossfade", clips=(plain("red"), plain("blue")), seconds_each=4.0, voice="voice_seven.mp3", music=None
    )
    codec = {"libx265": "hevc", "libsvtav1": "av1"}[encoder]
    record = render(job, ways=(Way(encoder),), codec=codec)
    assert record.fallback is None
    assert record.counts["encoded_frames"] < 15 + 16
