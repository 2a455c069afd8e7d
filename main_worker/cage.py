"""How tools are let near a drop: one file, one forced format, bounded in pixels, tracks and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.child import Ended, Limits
from shared.config import Config
from shared.domain.errors import DropRefused, Rejection
from shared.domain.names import readable
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, file_url, last_line
from shared.mediainfo import Declared, read_declared

_MAX_TRACKS = 64
# Headers round, edit lists shift and last frames vary; a file that was cut loses far more than this.
_SHORTFALL_SECONDS, _SHORTFALL_SHARE = 0.5, 0.02


@dataclass(frozen=True)
class Cage:
    """The tools, and the limits they run under; one value serves all worker threads."""

    config: Config
    ffmpeg: Ffmpeg
    stopping: Callable[[], bool]

    def declared(self, path: Path) -> Declared:
        """What a file says of itself.

        Raises:
            DropRefused: MediaInfo broke on it, or it declares a crowd of tracks.
        """
        declared = read_declared(path, self.stopping)
        if declared is None:
            raise refused("unreadable", "MediaInfo could not read the file at all.", "Export it again.")
        tracks = len(declared.video) + len(declared.audio)
        if tracks > _MAX_TRACKS:
            advice = f"Export it with at most {_MAX_TRACKS} tracks."
            raise refused("too_many_tracks", f"The file declares {tracks} tracks.", advice, tracks=tracks)
        return declared

    def run(
        self,
        demuxer: str,
        path: Path,
        arguments: Sequence[str],
        *,
        talkative: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> tuple[Ended, Progress]:
        """Run ffmpeg on one drop, opened as `demuxer` and as nothing else.

        ffmpeg chooses the demuxer by content where it may: a playlist named ``.mp4`` would read other files.
        """
        whitelist = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer]
        pixels = ["-max_pixels", str(self.config.ingest.max_pixels)]
        level = ["-loglevel", "info"] if talkative else []
        return self.ffmpeg.run(
            [*level, *whitelist, *pixels, "-i", file_url(path), *arguments],
            limits=Limits(total_seconds=self.config.ingest.check_timeout_seconds),
            stopping=self.stopping,
            on_line=on_line,
        )


def check_whole(declared: float, decoded: float) -> None:
    """Raise DropRefused for a file that plays much shorter than it says (both in seconds)."""
    missing = declared - decoded
    if missing > max(_SHORTFALL_SECONDS, _SHORTFALL_SHARE * declared):
        raise refused(
            "truncated",
            f"The file says it lasts {declared:.1f} s, but only {decoded:.1f} s can be played: "
            "it is cut off or damaged.",
            "Copy it again from its source.",
            declared_seconds=round(declared, 3),
            decoded_seconds=round(decoded, 3),
        )


def unreadable(wanted: str, ended: Ended) -> DropRefused:
    """The refusal of a file that ffmpeg cannot decode as what it should be."""
    said = readable(last_line(ended.errors)) or f"exit status {ended.code}"
    if "moov atom not found" in ended.errors:
        sentence = "The file's index (moov) is missing: it is not an MP4 or MOV video, or its end was cut off."
    else:
        sentence = f"The file cannot be read as {wanted}."
    advice = "Copy it again from its source, or export it again."
    return refused("unreadable", sentence, advice, ffmpeg=said[:500])


def refused(code: str, sentence: str, advice: str, **measured: object) -> DropRefused:
    return DropRefused(Rejection(code, sentence, advice, measured))
