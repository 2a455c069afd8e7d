"""What is dropped in the torture runs: one root and one small drop of each kind, made once and copied for every run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from console.init import lay_out
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg
from tests.main_worker.conftest import Media

CONFIG: dict[str, dict[str, Any]] = {
    "ingest": {"quiet_seconds": 0.1, "blind_quiet_seconds": 0.1, "unfinished_seconds": 0, "workers": 1},
    "links": {"allow_loopback": True, "chunk_words": 40, "retries": 0, "timeout_seconds": 20},
    "log": {"file": False},
}
_PAGE = "\n\n".join(f"Paragraph {number}. " + "The fox went on through the wood. " * 4 for number in range(3)).encode()


@dataclass(frozen=True)
class Scene:
    """Some files to be dropped into a root.

    Attributes:
        files: the source of each by its place below ``raw/``; a string is the target of a symbolic link.
        markers: files beside the drops, which are used up.
        stocked: whether a clip and music are in the library already.
    """

    name: str
    files: dict[str, Path | str]
    markers: dict[str, str]
    stocked: bool = False

    def lay(self, raw: Path) -> None:
        """Put everything into ``raw/``, as complete as it will ever be."""
        for where, source in self.files.items():
            target = raw / where
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, str):
                target.symlink_to(source)
            else:
                shutil.copyfile(source, target)
        for where, text in self.markers.items():
            (raw / where).write_text(text, "ascii")


def make_scenes(folder: Path, ffmpeg: Ffmpeg, page: str) -> dict[str, Scene]:
    """Make the media in `folder`; `page` is an address that gives a text."""
    media = Media(folder, ffmpeg)
    clip, voice = media.clip(), media.sound()
    music = media.sound("music.mp3", source="sine=frequency=330:duration=3")
    link = media.text("links.txt", f"{page}\n")
    settings = media.text("story.toml", 'clips = "nature"\n')
    half = media.half(media.clip("long.mp4", seconds=3), 0.7)
    checksum = f"{hashlib.sha256(clip.read_bytes()).hexdigest()}  marked.mp4\n"
    made = [
        _scene("clip", {"video/nature/clip.mp4": clip}),
        _scene("frame", {"frame/nature/leaf.mp4": media.frame()}),
        _scene("music", {"music/nature/song.mp3": music}),
        _scene("voice", {"story/nature/tale/voice/chapter_0001.mp3": voice}, stocked=True),
        _scene("link", {"story/nature/tale/link/web.txt": link}),
        _scene("settings", {"story/nature/tale/story.toml": settings}),
        _scene("misplaced", {"video/nowhere.mp4": clip}),
        _scene("truncated", {"video/nature/half.mp4": half}),
        _scene("duplicate", {"video/nature/again.mp4": clip}, stocked=True),
        _scene(
            "marked",
            {"video/nature/marked.mp4": clip},
            markers={"video/nature/marked.mp4.sha256": checksum, "video/nature/marked.mp4.done": ""},
        ),
        _scene("symlink", {"video/nature/linked.mp4": "../../../outside/precious.mp4"}),
    ]
    return {scene.name: scene for scene in made}


def _scene(
    name: str, files: dict[str, Path | str], *, markers: dict[str, str] | None = None, stocked: bool = False
) -> Scene:
    return Scene(name, files, markers or {}, stocked)


def make_roots(folder: Path, scenes: dict[str, Scene], ingest: Callable[[Layout], None]) -> dict[bool, Layout]:
    """A root with nothing in its library, and one with the clip and the music of the scenes."""
    roots = {}
    for stocked in (False, True):
        layout = lay_out(folder / ("stocked" if stocked else "empty"), CONFIG)
        if stocked:
            for scene in (scenes["clip"], scenes["music"]):
                scene.lay(layout.raw)
            ingest(layout)
        roots[stocked] = layout
    return roots


def serve_page() -> str:
    """Serve one text on this machine until the calling process ends; returns its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    get_context("fork").Process(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    server.socket.close()
    return f"http://127.0.0.1:{port}/tale.txt"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""
