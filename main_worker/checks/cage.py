"""How tools are let near a drop: one file, one forced format, known codecs, no network, and bounds on all they may use.

A tool that meets a bound says something about the drop (it costs too much); one that is killed by
somebody else, or cannot read, says something about this machine, and nobody's file is refused for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.child import ChildTimeout, ChildTooCostly, Ended, Limits
from shared.config import Config
from shared.domain.errors import DropRefused, Rejection
from shared.domain.names import readable
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, file_url, last_line
from shared.mediainfo import Declared, read_declared
from shared.settings import Ingest

_MAX_TRACKS = 64
# Headers round, edit lists shift and last frames vary; a file that was cut loses far more than this.
_SHORTFALL_SECONDS, _SHORTFALL_SHARE = 0.5, 0.02
_MAX_THREADS = 16  # as many as ffmpeg takes by itself; more only cost memory
_LARGEST_FILE_BYTES = 1_000_000_000  # eleven hours of normalised music; also of complaints
_LEAST_BYTES_PER_SECOND = 1_000  # MP3 has no lower rate than 8 kbit/s
_TRIAL_SECONDS, _TRIAL_SHARE = 30.0, 0.1  # processor time after which, at the latest, the whole cost is estimated
_DOUBT = 1.5  # how far an estimate from the beginning of a film may be off

# The decoders ffmpeg may use, whatever a file asks for: what cameras, phones and editors write, and what lies beside
# it. Each by its name in ffmpeg; a build knows some of them.
_SOUND_DECODERS = "mp3,mp3float,mp2,mp2float,mp1,mp1float"
_DECODERS = {
    "mov": "h264,hevc,libdav1d,av1,libaom-av1,vp9,libvpx-vp9,mpeg4,h263,mpeg1video,mpeg2video,mpegvideo,"
    f"prores,dnxhd,cfhd,dvvideo,mjpeg,mjpegb,qtrle,png,aac,aac_fixed,alac,ac3,eac3,{_SOUND_DECODERS}",
    "mp3": f"{_SOUND_DECODERS},mjpeg,png",
    "srt": "srt,subrip",
    "webvtt": "webvtt",
    "png_pipe": "png",
    "jpeg_pipe": "mjpeg",
    "webp_pipe": "webp",
}


@dataclass(frozen=True)
class Cage:
    """The tools, and the limits they run under; one value serves all worker threads."""

    config: Config
    ffmpeg: Ffmpeg
    stopping: Callable[[], bool]

    def declared(self, path: Path) -> Declared:
        """What a file says of itself.

        Raises:
            DropRefused: MediaInfo broke on it or came to no end, or it declares a crowd of tracks.
            ChildTimeout: MediaInfo hardly did anything for a minute.
        """
        try:
            declared = read_declared(path, self.stopping)
        except ChildTimeout as error:
            if error.is_idle:
                raise
            raise refused("too_slow", f"Reading its headers {error}.", "Export it again.") from error
        except ChildTooCostly as error:
            raise refused("too_costly", f"Reading its headers {error}.", "Export it again.") from error
        if declared is None:
            raise refused("unreadable", "MediaInfo could not read the file at all.", "Export it again.")
        tracks = len(declared.video) + len(declared.audio) + len(declared.data)
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
        seconds: float | None = None,
    ) -> tuple[Ended, Progress]:
        """Run ffmpeg on one drop, opened as `demuxer` and as nothing else.

        ffmpeg chooses the demuxer by content where it may: a playlist named ``.mp4`` would read other files.

        Args:
            seconds: how long the drop says it lasts; patience grows with it, and a decode that will
                cost too much is ended early. Without it, patience grows with the size of the file.

        Raises:
            ChildTimeout, ChildTooCostly: it met a limit of the configuration.
            MachineTrouble: as :meth:`shared.ffmpeg.Ffmpeg.run`.
        """
        whitelist = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer]
        decoders = ["-codec_whitelist", _DECODERS[demuxer], "-threads", str(self._threads())]
        pixels = ["-max_pixels", str(self.config.ingest.max_pixels)]
        level = ["-loglevel", "info"] if talkative else []
        longest = path.stat().st_size / _LEAST_BYTES_PER_SECOND if seconds is None else seconds
        return self.ffmpeg.run(
            [*level, *whitelist, *decoders, *pixels, "-i", file_url(path), *arguments],
            limits=limits_for(self.config.ingest, longest),
            stopping=self.stopping,
            on_line=on_line,
            on_cost=lambda progress, used: self._check_cost(used, progress.seconds, seconds or 0.0),
        )

    def _threads(self) -> int:
        """Decoder threads of one check, so that as many checks as there may be do not fight over the cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(cores // self.config.ingest.workers, _MAX_THREADS))

    def _check_cost(self, used: float, decoded: float, declared: float) -> None:
        cost = projected_cost(used, decoded, declared, self.config.ingest.decode_budget_seconds)
        if cost is not None:
            words = f"would use about {cost:.0f} s of processor time ({used:.0f} s for the first {decoded:.0f} s)"
            raise ChildTooCostly("cpu", words)


def limits_for(ingest: Ingest, seconds: float) -> Limits:
    """What ffmpeg may take to decode a drop that lasts at most so many seconds."""
    return Limits(
        total_seconds=max(ingest.check_timeout_seconds, ingest.check_timeout_ratio * seconds),
        silence_seconds=ingest.check_timeout_seconds,
        cpu_seconds=ingest.decode_budget_seconds,
        memory_bytes=ingest.memory_bytes,
        file_bytes=_LARGEST_FILE_BYTES,
        offline=True,
    )


def projected_cost(used: float, decoded: float, declared: float, budget: float) -> float | None:
    """Processor time that decoding a drop to its end will cost, if that is clearly more than the budget.

    Args:
        used: processor time used so far. All arguments and the result are seconds.
        decoded, declared: how much of the drop it was used for, and how long the drop says it is.
    """
    if decoded <= 0 or used < min(_TRIAL_SECONDS, _TRIAL_SHARE * budget):
        return None
    cost = used * declared / decoded
    return cost if cost > _DOUBT * budget else None


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


def too_costly(error: ChildTooCostly, config: Config) -> DropRefused:
    """The refusal of a drop whose decoding took more of this machine than it may."""
    budget = config.ingest.decode_budget_seconds
    match error.need:
        case "cpu":
            limit = f"; {budget:g} s are allowed (ingest.decode_budget_seconds)"
            advice = "Re-encode it smaller or with fewer pictures a second, or raise ingest.decode_budget_seconds."
        case "memory":
            limit = " (ingest.memory_bytes)"
            advice = "Re-encode it with smaller pictures, or raise ingest.memory_bytes."
        case "file":
            limit, advice = " about it", "Export it again."
    return refused("too_costly", f"Decoding it {error}{limit}.", advice)
