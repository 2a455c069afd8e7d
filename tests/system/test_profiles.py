"""One story and three profiles: a whole farm makes three videos, and each is as its profile says."""

from __future__ import annotations

import json

import pytest

from console.init import lay_out
from shared.child import Limits
from shared.domain.layout import METADATA, RENDER_RECORD, Layout
from shared.ffmpeg import find_ffmpeg
from shared.mediainfo import Declared, read_declared
from shared.records.metadata import Metadata
from shared.records.render import RenderRecord
from shared.store import Store
from tests.system.test_farm import never, run_reelmill

PROFILES = """
[profiles.shorts]
resolution = "180x320"
fit = "crop"
codec = "hevc"
output_format = "mkv"
quality = 28
[profiles.shorts.mix]
loudness_lufs = -20
[profiles.square]
resolution = "240x240"
frame_rate = 25
fit = "blur"
mode = "direct"
"""
QUICK = {"quiet_seconds": 0.2, "rescan_seconds": 0.5, "unfinished_seconds": 0}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A root that has been run until idle with one voice, whose story asks for three profiles."""
    render = {"resolution": "320x180", "preset": "ultrafast", "encoder": "software"}
    layout = lay_out(tmp_path_factory.mktemp("profiles") / "root", {"ingest": QUICK, "render": render})
    with layout.config.open("a", encoding="utf-8") as config:
        config.write(PROFILES)
    speech = "aevalsrc='0.2*(sin(2*PI*150*t)+sin(6*PI*150*t))*pow(0.52-0.48*cos(8*PI*t),2)':s=44100:d=3"
    drops = {
        "story/tales/orla/voice/one.mp3": ["-i", speech],
        "music/tales/tune.mp3": ["-i", "anoisesrc=c=pink:r=44100:a=0.3:d=5"],
        "video/tales/a.mp4": ["-i", "testsrc2=size=320x180:rate=30:duration=2"],
        "video/tales/b.mp4": ["-i", "testsrc2=size=320x240:rate=25:duration=2"],
    }
    for name, source in drops.items():
        path = layout.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ended, _ = find_ffmpeg("").run(
            ["-f", "lavfi", *source, "-pix_fmt", "yuv420p", str(path)]
            if name.endswith("mp4")
            else ["-f", "lavfi", *source, str(path)],
            limits=Limits(total_seconds=60),
            stopping=never,
        )
        assert ended.code == 0, ended.errors
    settings = layout.raw / "story/tales/orla/story.toml"
    settings.write_text('profiles = ["default", "shorts", "square"]\n', "utf-8")
    done = run_reelmill("run", "--root", str(layout.root), "--until-idle", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["videos"]) == 3
    return layout


def video(layout: Layout, profile: str) -> tuple[Metadata, RenderRecord, Declared]:
    """The video of a profile, as its records and MediaInfo tell of it."""
    folders = [path.parent for path in layout.output.glob(f"*-*/{METADATA}")]
    (folder,) = (path for path in folders if Metadata.read(path / METADATA).render.profile == profile)
    declared = read_declared(Store(layout).video(folder.name), never)
    assert declared is not None
    return Metadata.read(folder / METADATA), RenderRecord.read(folder / RENDER_RECORD), declared


@pytest.mark.parametrize(
    ("profile", "codec", "size", "rate", "mode", "encoder"),
    [
        ("default", "AVC", (320, 180), 30.0, "segments", "libx264"),
        ("shorts", "HEVC", (180, 320), 30.0, "segments", "libx265"),
        ("square", "AVC", (240, 240), 25.0, "direct", "libx264"),
    ],
)
def test_each_profile_is_a_right_video(
    farm: Layout, profile: str, codec: str, size: tuple[int, int], rate: float, mode: str, encoder: str
) -> None:
    """It passed the gate, which knows the plan; another program sees the same."""
    metadata, record, declared = video(farm, profile)
    (picture,), (sound,) = declared.video, declared.audio
    assert (picture["format"], sound["format"]) == (codec, "AAC")
    assert (picture["width"], picture["height"], float(picture["frame_rate"])) == (*size, rate)
    assert (record.mode, record.encoder, record.seconds) == (mode, encoder, metadata.voice_duration)
    loudness = next(check for check in record.checks if check.name.startswith("loudness"))
    assert abs(float(str(loudness.measured).split()[0]) - (-20 if profile == "shorts" else -14)) < 1.5


def test_people_find_each_of_them(farm: Layout) -> None:
    """By the story's name; special profiles in a folder of their own."""
    story = farm.by_story / "tales" / "orla"
    assert sorted(str(path.relative_to(story)) for path in story.rglob("one.*")) == [
        "one.mp4",
        "shorts/one.mkv",
        "square/one.mp4",
    ]
