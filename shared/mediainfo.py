"""Facts a media file declares, read by MediaInfo in a child process: a hostile file can only crash the child."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.boxes import Matrix, display_matrices
from shared.child import Limits, run_child
from shared.domain.errors import MachineTrouble, ToolError
from shared.ffmpeg import check_machine

_LIMITS = Limits(  # MediaInfo reads headers; on a healthy file it needs milliseconds and 50 MB
    total_seconds=60, cpu_seconds=60, memory_bytes=1_000_000_000, file_bytes=64_000_000, offline=True
)
_NOT_LOADED, _NOT_READ = 3, 4  # exit statuses of the child; Python's own are 1 and 2
_CHILD = "import sys; from shared.mediainfo import _print_tracks; _print_tracks(sys.argv[1])"


@dataclass(frozen=True)
class Declared:
    """What a file says of itself: one dictionary of MediaInfo's lower-case keys per track.

    Attributes:
        pictures: of a file that is a picture, what it says of that.
        data: tracks that are neither picture nor sound: time codes, positions, subtitles.
        covers: number of pictures attached to the file as a whole.
        matrices: how each track is to be held, by its number in the file (MP4 and MOV only).
    """

    container: str | None
    video: tuple[dict[str, Any], ...]
    audio: tuple[dict[str, Any], ...]
    pictures: tuple[dict[str, Any], ...] = ()
    data: tuple[dict[str, Any], ...] = ()
    covers: int = 0
    matrices: Mapping[int, Matrix] = field(default_factory=dict)


def read_declared(path: Path, stopping: Callable[[], bool]) -> Declared | None:
    """What a file declares, or None where MediaInfo broke on it.

    Raises:
        ChildTimeout, ChildTooCostly: it did not come to an end, or took more than any header is worth.
        ToolError: MediaInfo itself is missing.
        MachineTrouble: the file could not be opened or read, which says nothing about what is in it.
    """
    ended = run_child([sys.executable, "-P", "-c", _CHILD, str(path)], limits=_LIMITS, stopping=stopping)
    check_machine(ended, "MediaInfo")
    if ended.code == _NOT_LOADED:
        raise ToolError("MediaInfo's library cannot be loaded; install pymediainfo with its library again")
    if ended.code == _NOT_READ:
        raise MachineTrouble(f"cannot read {path}: {ended.errors}")
    try:
        return _declared(json.loads(ended.output))
    except ValueError:
        return None


def _declared(told: dict[str, Any]) -> Declared:
    def tracks(*kinds: str) -> tuple[dict[str, Any], ...]:
        return tuple(track for track in told["tracks"] if track["track_type"] in kinds)

    general = next(iter(tracks("General")), {})
    return Declared(
        container=general.get("format"),
        video=tracks("Video"),
        audio=tracks("Audio"),
        pictures=tracks("Image"),
        data=tracks("Other", "Text"),
        covers=str(general.get("cover", "")).count("Yes"),
        matrices={int(track): tuple(matrix) for track, matrix in told["matrices"].items()},
    )


def number(track: dict[str, Any], key: str, default: float = 0.0) -> float:
    """A figure of a track; absent or unreadable ones take the default."""
    try:
        return float(track.get(key) or default)
    except (TypeError, ValueError):
        return default


def _print_tracks(path: str) -> None:
    """What the child does: read one file, through the one handle it is allowed to have open.

    MediaInfo follows playlists (HLS, DASH) to other files, whatever it is told; with no handle left it cannot.
    """
    from pymediainfo import MediaInfo  # noqa: PLC0415 - only the child loads the native library

    if not MediaInfo.can_parse():
        sys.exit(_NOT_LOADED)
    try:
        with Path(path).open("rb") as stream:
            resource.setrlimit(resource.RLIMIT_NOFILE, (stream.fileno() + 1,) * 2)
            tracks = [track.to_data() for track in MediaInfo.parse(stream).tracks]
            matrices = display_matrices(stream)
    except OSError as error:
        sys.stderr.write(str(error.strerror))
        sys.exit(_NOT_READ)
    sys.stdout.write(json.dumps({"tracks": tracks, "matrices": matrices}, default=str))
