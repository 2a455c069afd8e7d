"""What players that are not ours make of a video's captions: ffprobe and ffmpeg of the system, and a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from render_worker.job import Job
from shared.domain.layout import CAPTIONS, FINAL
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]

FFPROBE, FFMPEG, CHROMIUM = (shutil.which(name) for name in ("ffprobe", "ffmpeg", "chromium"))
PATIENCE = 60.0  # seconds

WORDS = """WEBVTT

00:00:00.250 --> 00:00:01.000
Ein &lt;Drache&gt; &amp; ein Schloss
über den Wolken

00:00:01.500 --> 00:00:02.500
龍が飛ぶ
"""
SHOWN = [(0.25, 1.0, "Ein <Drache> & ein Schloss\nüber den Wolken"), (1.5, 2.5, "龍が飛ぶ")]


@pytest.mark.skipif(not (FFPROBE and FFMPEG), reason="needs the system's ffprobe and ffmpeg")
@pytest.mark.parametrize("mode", ["direct", "segments"])
def test_players_find_the_track_its_language_and_all_captions(prepare: Prepare, render: Render, mode: str) -> None:
    """The language is the tag that players choose by; the times are exact to the millisecond."""
    job = prepare(captions=WORDS)
    render(job, mode=mode)
    final = str(job.folder / FINAL)
    entries = "stream=codec_name:stream_tags=language:packet=pts_time,duration_time,size"
    told = _output(FFPROBE, "-v", "error", "-select_streams", "s", "-show_entries", entries, "-of", "json", final)
    probed = json.loads(told)
    assert [(text["codec_name"], text["tags"]) for text in probed["streams"]] == [("mov_text", {"language": "deu"})]
    packets = [packet for packet in probed["packets"] if int(packet["size"]) > 2]  # the others end what is shown
    times = [(float(packet["pts_time"]), float(packet["duration_time"])) for packet in packets]
    assert times == [(start, end - start) for start, end, _ in SHOWN]
    read = _output(FFMPEG, "-v", "error", "-i", final, "-map", "0:s", "-c:s", "text", "-f", "srt", "-")
    blocks = [block.split("\n", 2)[2] for block in read.strip().split("\n\n")]
    assert blocks == [text for _, _, text in SHOWN]


def _output(tool: str | None, *arguments: str) -> str:
    assert tool
    command = [tool, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE, encoding="utf-8").stdout


_PAGE = f"""<!doctype html>
<link rel="icon" href="data:,">
<video src="{FINAL}" muted><track src="{CAPTIONS}" kind="captions" srclang="de" default></video>
<script>
const video = document.querySelector("video"), [track] = video.textTracks, seen = [];
const told = cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent];
const tell = problem => fetch("/", {{method: "POST", body: JSON.stringify({{
  problem, seen, cues: [...track.cues].map(told), tracks: video.textTracks.length,
  time: video.currentTime, size: [video.videoWidth, video.videoHeight],
}})}});
track.mode = "showing";
track.oncuechange = () => seen.push([video.currentTime, [...track.activeCues].map(told)]);
video.onended = () => tell(null);
video.onerror = () => tell(video.error.message);
video.play().catch(error => tell(String(error)));
</script>
"""


class _Page(SimpleHTTPRequestHandler):
    """The page, the files beside a video, and what the page tells when the video has ended."""

    def __init__(self, *arguments: Any, told: Queue[dict[str, Any]], **options: Any) -> None:
        self._told = told
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(_PAGE.encode())

    def do_POST(self) -> None:
        self._told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests are silent."""


@contextmanager
def _served(folder: Path, told: Queue[dict[str, Any]]) -> Iterator[str]:
    handler = partial(_Page, told=told, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _play(folder: Path, profile: Path) -> dict[str, Any]:
    """Play a finished video in a browser; returns what the page told of it."""
    assert CHROMIUM
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")
    alone = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server")
    command = [CHROMIUM, *quiet, *alone, "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}"]
    told: Queue[dict[str, Any]] = Queue()
    with (
        _served(folder, told) as address,
        subprocess.Popen([*command, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser,
    ):
        try:
            return told.get(timeout=PATIENCE)
        finally:
            browser.terminate()


def _in_time(found: dict[str, Any]) -> list[tuple[float, float, str]]:
    """The captions that were shown between their beginning and their end."""
    return [(start, end, text) for time, cues in found["seen"] for start, end, text in cues if start <= time < end]


@pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium, which plays H.264")
def test_a_browser_plays_a_video_with_its_captions(prepare: Prepare, render: Render, tmp_path: Path) -> None:
    """To its end and at its size; each caption is shown in its time. The track within the file it does not look at."""
    job = prepare(captions=WORDS)
    render(job)
    plays = (_play(job.folder, tmp_path / f"profile-{number}") for number in range(3))
    found: dict[str, Any] = {}
    for found in plays:
        if found["problem"] is None and _in_time(found) == SHOWN:
            break  # a browser on a busy machine may be late for a caption
    assert found["problem"] is None
    assert (found["size"], found["time"]) == ([320, 180], pytest.approx(2.53, abs=0.05))
    assert [tuple(cue) for cue in found["cues"]] == SHOWN
    assert _in_time(found) == SHOWN
    assert found["tracks"] == 1, "the browser offers the track of text that is within the file as well"
