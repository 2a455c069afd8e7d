"""A clip as a segment: the canvas's size and rate, one encoder setting, closed GOPs, whole frames, no sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import ffmpeg

from render_worker.commands.luma import clip_luma, film_luma, placed
from render_worker.commands.outputs import arguments, container, device, entry, for_encoder, video_options
from render_worker.commands.pictures import Over, picture
from render_worker.commands.stretches import Decoding, Stretch, painted
from render_worker.commands.transitions import Take, joined
from shared.domain.plan import Canvas, Decoration, Layer, Profile, Transition, Treatment
from shared.ffmpeg import file_url

_SOME_FRAMES, _LATER = 100, 1_000_000


@dataclass(frozen=True)
class Look:
    """What all segments of a plan have in common.

    Attributes:
        layers: pictures laid over them, each with the hash of its content.
        decoration: the film laid over each clip, with the hash of its content.
        enters: a frame behind a transition, where those that begin a clip can be entered as well.
    """

    canvas: Canvas
    profile: Profile
    layers: tuple[tuple[Layer, str], ...] = ()
    decoration: tuple[Decoration, str] | None = None
    enters: int = 0


@dataclass(frozen=True)
class Recipe:
    """What a segment is made of: frames of a clip, known by its content, and how they are to look."""

    sha256: str
    start: int
    frames: int
    treatment: Treatment
    look: Look

    @property
    def end(self) -> int:
        """The first frame of the clip behind it."""
        return self.start + self.frames

    def key(self, version: str) -> str:
        """Its name in the cache: a hash of the clip's content, of which frames they are, and of how they are made.

        Whatever changes what comes out changes one of these, or the `version` of ffmpeg.
        """
        look = replace(self.look, enters=0) if self.start else self.look  # only a clip's beginning is entered so
        words = [self.sha256, self.start, self.frames, _way(self.treatment, look, version)]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()

    def command(
        self, clip: Path, folder: Path, target: Path, luma: Path | None, *, threads: int, hardware: str | None = None
    ) -> list[str]:
        """ffmpeg's arguments.

        Args:
            folder: where the files of the layers and of the decoration are.
            luma: gets the brightness of the clip.
            hardware: what decodes the clip.
        """
        stretch = Stretch(clip, self.start, self.frames, self.treatment)
        canvas, profile = self.look.canvas, self.look.profile
        decoration = self.look.decoration[0] if self.look.decoration else None
        over = Over(folder, [layer for layer, _ in self.look.layers], decoration)
        pictures = picture([stretch], canvas, over, Decoding(hardware, threads))
        grid = entry(profile, self.look.enters) if self.start == 0 and self.look.enters else {}
        settings = {**video_options(canvas, profile), **grid, **container(canvas), "threads": threads}
        beside = [clip_luma(pictures.small, luma)] if luma else []
        film = for_encoder(pictures.film, profile)
        return ["-filter_threads", str(threads), *device(profile), *arguments([film], target, settings, *beside)]


@lru_cache(maxsize=64)  # it takes a millisecond, and a video may have thousands of shots
def _way(treatment: Treatment, look: Look, version: str) -> str:
    """What is done to frames, wherever they are from: commands for first and for later ones, without any paths.

    How they are compared with the clip's is left out: it changes nothing of what comes out.
    """
    layers = tuple(replace(layer, source=sha256) for layer, sha256 in look.layers)
    look = replace(look, layers=tuple((layer, "") for layer in layers))
    turns: list[float] = []  # what only those frames show that none of these two commands is for
    if look.decoration:
        decoration, sha256 = look.decoration
        turns = [decoration.frames, decoration.treatment.late_seconds]
        look = replace(look, decoration=(replace(decoration, source=sha256), ""))
    recipes = [Recipe("", start, _SOME_FRAMES, treatment, look) for start in (0, _LATER)]
    paths = Path("/clip"), Path("/layers"), Path("/segment")
    commands = [recipe.command(*paths, None, threads=1) for recipe in recipes]
    return json.dumps([version, *commands, *turns])


def judge(segment: Path, packets: Path, luma: Path, thumbnail: Path, seconds: float, *, threads: int) -> list[str]:
    """Decode all of a segment, list its packets, and keep the keyframe before some time as a picture.

    What is decoded to be judged is not smoothed between blocks (the loop filter has no data that could be wrong, and
    takes a seventh of the time); the picture is.
    """
    film = ["-f", "mov", "-i", file_url(segment)]
    judged = ["-threads", str(threads), "-skip_loop_filter", "all", *film]
    still = ["-threads", "1", "-skip_frame", "nokey", "-noaccurate_seek", "-ss", f"{seconds:.3f}", *film]
    listed = ["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", file_url(packets)]
    kept = ["-map", "1:v:0", "-fps_mode", "passthrough", "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1"]
    return [*judged, *still, *film_luma(luma), *listed, *kept, "-y", file_url(thumbnail)]


def decode_exactly(segment: Path, luma: Path, *, threads: int) -> list[str]:
    """Decode a segment as players do, smoothed between blocks.

    Without that, errors add up from frame to frame until the next keyframe: in a fade, frames come out much darker.
    """
    return ["-threads", str(threads), "-f", "mov", "-i", file_url(segment), *film_luma(luma)]


def encoded_end(
    segment: Path, canvas: Canvas, profile: Profile, frames: tuple[int, int], target: Path, luma: Path
) -> list[str]:
    """Frames `frames[0]` up to `frames[1]` of a segment, encoded anew with the segment's own settings.

    What lies before the keyframe they need is not decoded; what lies between is dropped by its time.
    """
    stream = _part(segment, frames, canvas).filter_multi_output("split")
    return _encoded(stream.stream(0), placed(stream.stream(1), canvas), canvas, profile, target, luma)


def encoded_transition(
    parts: Sequence[tuple[Path, tuple[int, int]]],
    canvas: Canvas,
    profile: Profile,
    transition: Transition,
    target: Path,
    luma: Path,
    threads: int,
) -> list[str]:
    """The last frames of a segment, the transition and the first frames of another, with the segments' settings."""
    streams = [_part(segment, frames, canvas).filter_multi_output("split") for segment, frames in parts]
    counts = [end - first for _, (first, end) in parts]
    enters = (0, transition.frames)
    film, small = (
        joined([Take(*one) for one in zip(both, counts, enters, strict=True)], transition, canvas.rate)
        for both in ([stream.stream(0) for stream in streams], [placed(stream.stream(1), canvas) for stream in streams])
    )
    film = painted(film.filter("format", "yuv420p"))  # `xfade` works at full chroma
    return _encoded(film, small, canvas, profile, target, luma, threads=threads)


def _part(segment: Path, frames: tuple[int, int], canvas: Canvas) -> Any:
    """Frames `frames[0]` up to `frames[1]` of a segment."""
    first, end = frames
    seek = {"ss": f"{float((first - Fraction(1, 2)) / canvas.rate):.6f}"} if first else {}
    stream = ffmpeg.input(file_url(segment), f="mov", **seek)["v:0"].filter("trim", end_frame=end - first)
    return stream.filter("setpts", "PTS-STARTPTS")


def _encoded(
    film: Any, small: Any, canvas: Canvas, profile: Profile, target: Path, luma: Path, **options: int
) -> list[str]:
    settings: Mapping[str, object] = {**video_options(canvas, profile), **container(canvas), **options}
    return [*device(profile), *arguments([for_encoder(film, profile)], target, settings, clip_luma(small, luma))]
