"""A whole farm makes a video with a title of the story's own and the end card that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console.init import lay_out
from shared.child import Limits
from shared.domain.layout import FINAL, METADATA
from shared.ffmpeg import find_ffmpeg
from shared.records.metadata import Metadata
from tests.shown import shown
from tests.system.test_farm import never, run_reelmill
from tests.system.test_profiles import QUICK


def make(path: Path, *arguments: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    limits = Limits(total_seconds=60)
    ended, _ = find_ffmpeg("").run(["-f", "lavfi", "-i", *arguments, str(path)], limits=limits, stopping=never)
    assert ended.code == 0, ended.errors


def test_a_video_begins_and_ends_with_its_cards(tmp_path: Path) -> None:
    """Dropped beside the voice, and laid into assets/; a corrected one is shown by the next chapter."""
    render: dict[str, Any] = {
        "resolution": "320x180",
        "preset": "ultrafast",
        "encoder": "software",
        "end_card": "bye.mp4",
        "card_seconds": 0.5,
    }
    settings: dict[str, dict[str, Any]] = {"ingest": QUICK, "render": render, "music": {"required": False}}
    layout = lay_out(tmp_path / "root", settings)
    speech = "aevalsrc='0.2*(sin(2*PI*150*t)+sin(6*PI*150*t))*pow(0.52-0.48*cos(8*PI*t),2)':s=44100:d="
    make(layout.assets / "bye.mp4", "color=blue:size=320x180:rate=30:duration=0.6", "-pix_fmt", "yuv420p")
    make(layout.raw / "video/tales/a.mp4", "color=white:size=320x180:rate=30:duration=2", "-pix_fmt", "yuv420p")
    make(layout.raw / "story/tales/orla/title.png", "color=red:size=320x180", "-frames:v", "1")
    make(layout.raw / "story/tales/orla/voice/one.mp3", f"{speech}3")
    done = run_reelmill("run", "--root", str(layout.root), "--until-idle")
    assert done.returncode == 0, done.stderr
    make(layout.raw / "story/tales/orla/title.png", "color=green:size=320x180", "-frames:v", "1")
    make(layout.raw / "story/tales/orla/voice/two.mp3", f"{speech}2.5")
    done = run_reelmill("run", "--root", str(layout.root), "--until-idle")
    assert done.returncode == 0, done.stderr
    found = {}
    for folder in layout.output.glob("*-*-*"):
        metadata = Metadata.read(folder / METADATA)
        video = shown(find_ffmpeg(""), folder / FINAL, 320, 180)
        found[metadata.chapter] = [video.mean(frame=number) for number in (5, 30, len(video.frames) - 5)]
    assert sorted(found) == ["one", "two"]
    for title, clip, end in found.values():
        assert min(clip) > 200
        assert (end[2] > 200, end[0] < 40) == (True, True)
        assert title[2] < 40
    assert found["one"][0][0] > 200
    assert 90 < found["two"][0][1] < 150
