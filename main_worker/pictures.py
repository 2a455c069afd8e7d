"""Is a clip a whole video that can be used? Its facts, as declared and as decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from main_worker.cage import Cage, check_whole, refused, unreadable
from shared.domain.media import VideoFacts, displayed_size
from shared.domain.names import readable
from shared.mediainfo import Declared, number

_CONTAINERS = ("MPEG-4", "QuickTime")  # as MediaInfo names the family that ffmpeg's mov demuxer reads


def examine_clip(cage: Cage, path: Path) -> VideoFacts:
    """Decode every frame of a clip's first real video track; attached pictures and other tracks do not count.

    Raises:
        DropRefused: no picture, encrypted, too large, cut off, or not a video at all.
    """
    track = _first_track(cage, path, cage.declared(path))
    width, height = int(number(track, "width")), int(number(track, "height"))
    _check_size(cage, width, height)
    declared = number(track, "duration") / 1000
    decoded, frames = _decode(cage, path, declared)
    rotation = round(number(track, "rotation")) % 360
    aspect = number(track, "pixel_aspect_ratio", 1.0)
    shown_width, shown_height = displayed_size(width, height, rotation, aspect)
    return VideoFacts(
        width=width,
        height=height,
        display_width=shown_width,
        display_height=shown_height,
        rotation=rotation,
        pixel_aspect=aspect,
        frame_rate=number(track, "frame_rate") or frames / decoded,
        seconds=min(declared, decoded) if declared else decoded,
        frames=frames,
        codec=str(track.get("format", "unknown")),
    )


def _first_track(cage: Cage, path: Path, declared: Declared) -> dict[str, Any]:
    if declared.container not in (*_CONTAINERS, None):
        container = readable(declared.container or "")
        raise refused(
            "wrong_content", f"The file is named as an MP4 but is {container}.", "Export it as an MP4 or MOV file."
        )
    if not declared.video:
        if declared.audio:
            raise refused("no_picture", "The file has sound but no picture.", "Drop a clip with a video track.")
        # MediaInfo saw no track at all: ffmpeg says best what is wrong with the file.
        _decode(cage, path, 0.0)
        raise refused("no_picture", "No video track was found in the file.", "Export it again as an MP4 file.")
    track = declared.video[0]
    if str(track.get("codec_id", "")).startswith("encv"):
        raise refused("encrypted", "The picture is encrypted (DRM).", "Drop a copy without protection.")
    return track


def _check_size(cage: Cage, width: int, height: int) -> None:
    limit = cage.config.ingest.max_pixels
    if not 0 < width * height <= limit:
        raise refused(
            "bad_size",
            f"The picture is declared as {width}x{height} pixels; 1 to {limit} pixels are accepted "
            "(ingest.max_pixels).",
            "Scale it down, or raise the limit.",
            width=width,
            height=height,
        )


def _decode(cage: Cage, path: Path, declared: float) -> tuple[float, int]:
    """Decode everything; returns the seconds that played and the number of frames."""
    passthrough = ["-map", "0:V:0", "-fps_mode", "passthrough", "-f", "null", "-"]
    ended, progress = cage.run("mov", path, passthrough)
    if ended.code != 0 or progress.frame == 0:
        raise unreadable("an MP4 or MOV video", ended)
    check_whole(declared, progress.seconds)
    return progress.seconds, progress.frame
