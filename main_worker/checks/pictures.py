"""Is a clip a whole video that can be used? Its facts, as declared and as decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from main_worker.checks.cage import Cage, check_whole, refused, unreadable
from shared.child import Ended
from shared.domain.errors import DropRefused
from shared.domain.media import Scan, VideoFacts, displayed_size, orientation
from shared.domain.names import readable
from shared.ffmpeg import last_line
from shared.mediainfo import Declared, number

_CONTAINERS = ("MPEG-4", "QuickTime")  # as MediaInfo names the family that ffmpeg's mov demuxer reads

# What cameras, phones and editors write into these containers, as MediaInfo names it. The decoders are
# cage.py's; a codec that ffmpeg alone may know (VVC) would fail on a render node with another ffmpeg.
_CODECS = frozenset(
    "AVC,HEVC,AV1,VP9,MPEG-4 Visual,MPEG Video,H.263,ProRes,VC-3,CineForm,DV,JPEG,RLE,PNG".split(",")  # noqa: SIM905
)

# The share of pictures that a decoder may refuse outright. One refused picture spoils what follows it up to
# the next whole one. That pictures were mended does not count: good old phone clips are full of such notes.
_MAX_LOST_SHARE = 0.01
_TOO_MANY_LOST = "Decode error rate"  # how ffmpeg begins to say so
_TICKS = 1_000_000  # to the second, as in ffmpeg's progress, so that both round alike
_SCANS: dict[str, Scan] = {"Progressive": "progressive", "TFF": "top field first", "BFF": "bottom field first"}
_HDR: dict[str, Literal["PQ", "HLG"]] = {"PQ": "PQ", "HLG": "HLG"}


def examine_clip(cage: Cage, path: Path, *, still: bool = False) -> VideoFacts:
    """Decode every frame of a clip's first real video track; attached pictures and other tracks do not count.

    Args:
        still: whether a single picture will do.

    Raises:
        DropRefused: no picture, encrypted, of an unknown codec, too large, cut off, damaged, or not a video at all.
    """
    declared = cage.declared(path)
    track = _first_track(cage, path, declared)
    _check_codec(track)
    width, height = int(number(track, "width")), int(number(track, "height"))
    check_size(cage, width, height)
    seconds = number(track, "duration") / 1000
    decoded, frames, late = _decode(cage, path, seconds)
    if frames == 1 and not still:
        advice = "Drop a clip that moves, or put it into frame/ if it is a decoration."
        raise refused("too_short", "The clip is a single picture.", advice, frames=1)
    rotation, mirrored = _orientation(track, declared)
    aspect = number(track, "pixel_aspect_ratio", 1.0)
    shown_width, shown_height = displayed_size(width, height, rotation, aspect)
    return VideoFacts(
        width=width,
        height=height,
        display_width=shown_width,
        display_height=shown_height,
        rotation=rotation,
        mirrored=mirrored,
        pixel_aspect=aspect,
        frame_rate=number(track, "frame_rate") or frames / decoded,
        seconds=min(seconds, decoded) if seconds else decoded,
        frames=frames,
        codec=str(track.get("format", "unknown")),
        **_timing(track),
        **_colours(track),
        **_tracks(track, declared),
        late_seconds=late,
    )


def _orientation(track: dict[str, Any], declared: Declared) -> tuple[int, bool]:
    matrix = declared.matrices.get(int(number(track, "track_id")))
    return orientation(*matrix) if matrix else (round(number(track, "rotation")) % 360, False)


def _timing(track: dict[str, Any]) -> dict[str, Any]:
    return {
        "variable_frame_rate": {"VFR": True, "CFR": False}.get(str(track.get("frame_rate_mode"))),
        "min_frame_rate": number(track, "minimum_frame_rate") or None,
        "max_frame_rate": number(track, "maximum_frame_rate") or None,
        "scan": _scan(track.get("scan_type"), track.get("scan_order")),
    }


def _scan(kind: object, order: object) -> Scan | None:
    """Kinds are Progressive, Interlaced, and H.264's mixtures of both (MBAFF, PAFF), which often tell no order."""
    return _SCANS.get(str(kind)) or _SCANS.get(str(order)) or ("interlaced" if kind else None)


def _colours(track: dict[str, Any]) -> dict[str, Any]:
    transfer = _told(track, "transfer_characteristics")
    colour_range = _told(track, "color_range")
    return {
        "bit_depth": int(number(track, "bit_depth")) or None,
        "chroma": _told(track, "chroma_subsampling"),
        "primaries": _told(track, "color_primaries"),
        "transfer": transfer,
        "matrix": _told(track, "matrix_coefficients"),
        "hdr": _HDR.get(transfer or ""),
        "dolby_vision": "Dolby Vision" in str(track.get("hdr_format", "")),
        "full_range": None if colour_range is None else colour_range == "Full",
    }


def _told(track: dict[str, Any], key: str) -> str | None:
    """What the film itself says, which is what a decoder goes by, else what its container says of it."""
    original = f"{key.replace('color_', 'colour_')}_original"  # pymediainfo respells only the plain key
    value = track.get(original) or track.get(key)
    return str(value) if value else None


def _tracks(track: dict[str, Any], declared: Declared) -> dict[str, Any]:
    return {
        "track": int(number(track, "streamorder")),
        "video_tracks": len(declared.video),
        "audio_tracks": len(declared.audio),
        "data_tracks": len(declared.data),
        "attached_pictures": declared.covers,
        "has_sound": bool(declared.audio),
    }


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


def _check_codec(track: dict[str, Any]) -> None:
    codec = readable(str(track.get("format") or track.get("codec_id") or "unknown"))
    if codec not in _CODECS:
        sentence = f"The picture is coded as {codec}, which is not among the codecs that are accepted."
        raise refused("wrong_codec", sentence, "Export it as H.264 (AVC) or H.265 (HEVC) in an MP4 file.", codec=codec)


def check_size(cage: Cage, width: int, height: int) -> None:
    """Raise DropRefused for a picture of more pixels than are accepted, or of none."""
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


def _decode(cage: Cage, path: Path, declared: float) -> tuple[float, int, float]:
    """Decode everything; returns the seconds that played, the number of frames, and when the first of them came."""
    first: list[str] = []

    def note(line: str) -> None:
        if not first and line.startswith("0,"):  # track, decoding time, presentation time, …
            first.append(line)

    passthrough = ["-map", "0:V:0", "-fps_mode", "passthrough", "-max_error_rate", f"{_MAX_LOST_SHARE:g}"]
    all_pictures = [*passthrough, "-f", "null", "-"]
    ticks = ["-enc_time_base", f"1/{_TICKS}"]
    first_picture = [*passthrough, *ticks, "-frames:v", "1", "-f", "framecrc", "pipe:1"]
    ended, progress = cage.run("mov", path, [*all_pictures, *first_picture], seconds=declared, on_line=note)
    if progress.frame and (ended.code == 0 or _TOO_MANY_LOST in ended.errors):
        check_whole(declared, progress.seconds)
    if progress.frame and _TOO_MANY_LOST in ended.errors:
        raise _damaged(progress.frame, ended)
    if ended.code != 0 or progress.frame == 0:
        raise unreadable("an MP4 or MOV video", ended)
    late = max(0.0, int(first[0].split(",")[2]) / _TICKS) if first else 0.0
    return round(progress.seconds - late, 6), progress.frame, late


def _damaged(frames: int, ended: Ended) -> DropRefused:
    return refused(
        "damaged",
        f"More than {_MAX_LOST_SHARE:.0%} of its pictures cannot be decoded, and those after them show it.",
        "Copy it again from its source, or export it again.",
        frames=frames,
        ffmpeg=readable(last_line(ended.errors))[:500],
    )
