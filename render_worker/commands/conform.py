"""A clip as a segment: the canvas's size and rate, one encoder setting, closed GOPs, whole frames, no sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg

from render_worker.commands.outputs import arguments, container, video_options
from render_worker.commands.pictures import Stretch, picture
from shared.domain.plan import Canvas, Layer, Profile, Treatment
from shared.ffmpeg import file_url


@dataclass(frozen=True)
class Look:
    """What all segments of a plan have in common.

    Attributes:
        layers: pictures laid over them, each with the hash of its content.
    """

    canvas: Canvas
    profile: Profile
    layers: tuple[tuple[Layer, str], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What a segment is made of: frames of a clip, known by its content, and how they are to look."""

    sha256: str
    start: int
    frames: int
    treatment: Treatment
    look: Look

    def key(self, version: str) -> str:
        """Its name in the cache: a hash of the command that makes it, with contents in the place of paths.

        Whatever changes what comes out changes the command, or the `version` of ffmpeg.
        """
        contents = Path("/content")
        layers = tuple(Layer(sha256, layer.left, layer.top) for layer, sha256 in self.look.layers)
        words = [version, *self._command(contents / self.sha256, layers, contents, Path("/segment"))]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()

    def command(self, clip: Path, folder: Path, target: Path, *, threads: int) -> list[str]:
        """ffmpeg's arguments; the layers are files in `folder`."""
        layers = tuple(layer for layer, _ in self.look.layers)
        return ["-filter_threads", str(threads), *self._command(clip, layers, folder, target, threads=threads)]

    def _command(self, clip: Path, layers: tuple[Layer, ...], folder: Path, target: Path, **options: int) -> list[str]:
        stretch = Stretch(clip, self.start, self.frames, self.treatment)
        canvas, profile = self.look.canvas, self.look.profile
        stream = picture([stretch], canvas, layers, folder)
        settings = {**video_options(canvas, profile), **container(canvas), **options}
        return arguments([stream], target, settings)


def judge(segment: Path, packets: Path, thumbnail: Path, frame: int, *, threads: int) -> list[str]:
    """Decode all of a segment, list its packets, and keep one of its frames as a picture."""
    source = ["-threads", str(threads), "-f", "mov", "-i", file_url(segment)]
    decoded = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-"]
    listed = ["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", file_url(packets)]
    kept = ["-map", "0:v:0", "-vf", f"select=eq(n\\,{frame})", "-frames:v", "1", "-q:v", "3", "-f", "image2"]
    return [*source, *decoded, *listed, *kept, "-update", "1", "-y", file_url(thumbnail)]


def encoded_end(segment: Path, canvas: Canvas, profile: Profile, frames: tuple[int, int], target: Path) -> list[str]:
    """Frames `frames[0]` up to `frames[1]` of a segment, encoded anew with the segment's own settings.

    What lies before the keyframe they need is not decoded; what lies between is dropped by its time.
    """
    first, end = frames
    seek = {"ss": f"{float((first - Fraction(1, 2)) / canvas.rate):.6f}"} if first else {}
    stream = ffmpeg.input(file_url(segment), f="mov", **seek)["v:0"].filter("trim", end_frame=end - first)
    options: Mapping[str, object] = {**video_options(canvas, profile), **container(canvas)}
    return arguments([stream.filter("setpts", "PTS-STARTPTS")], target, options)
