"""Examines a drop: is it what it claims to be, whole, and fit to be used? Every "no" is a DropRefused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from main_worker.addresses import parse_link_file
from main_worker.article import Article, fetch_article
from main_worker.intake import Ready
from shared.child import ChildTimeout, Ended, Limits
from shared.config import Config
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused, MachineTrouble, Rejection
from shared.domain.media import AudioFacts, LoudnessFacts, VideoFacts, displayed_size
from shared.domain.names import readable
from shared.ffmpeg import Ffmpeg, file_url, last_line
from shared.mediainfo import Declared, number, read_declared

_BLOCK = 1 << 20
_MAX_LINK_BYTES = 1_000_000
_MAX_TRACKS = 64
# Headers round, edit lists shift and last frames vary; a file that was cut loses far more than this.
_SHORTFALL_SECONDS, _SHORTFALL_SHARE = 0.5, 0.02


@dataclass(frozen=True)
class Content:
    """The bytes of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Examined:
    """A drop that passed, with what was learnt.

    Attributes:
        dropped: the bytes as dropped.
        made: for music, the normalised file in staging and its bytes.
        articles: for links, the texts found.
    """

    dropped: Content
    video: VideoFacts | None = None
    audio: AudioFacts | None = None
    loudness: LoudnessFacts | None = None
    made: tuple[Path, Content] | None = None
    articles: tuple[Article, ...] = ()


@dataclass(frozen=True)
class Examiner:
    """Everything an examination needs; one value serves all worker threads."""

    config: Config
    ffmpeg: Ffmpeg
    staging: Path
    stopping: Callable[[], bool]

    def examine(self, ready: Ready, drop: Drop, known: Callable[[Content], None]) -> Examined:
        """Examine a complete drop.

        Args:
            known: called with the content before any costly work; raises DropRefused for a duplicate.

        Raises:
            DropRefused: with the reason its owner will read.
            MachineTrouble, OSError: this machine is at fault; the drop stays where it is.
            Stopped: the worker is ending.
        """
        size, limit = ready.identity.size, self.config.ingest.max_file_bytes
        if size == 0:
            raise _refused("empty", "The file is empty (0 bytes).", "Copy it again.")
        if size > limit:
            raise _refused(
                "too_large",
                f"The file has {size} bytes; at most {limit} are accepted (ingest.max_file_bytes).",
                "Make it smaller, or raise the limit.",
                bytes=size,
            )
        content = content_of(ready.path)
        known(content)
        try:
            match drop.kind:
                case Kind.VIDEO | Kind.FRAME:
                    return Examined(content, video=self._clip(ready.path))
                case Kind.VOICE:
                    return Examined(content, audio=self._voice(ready.path))
                case Kind.MUSIC:
                    return self._music(ready.path, content)
                case Kind.LINK:
                    return Examined(content, articles=self._articles(ready.path, size))
        except ChildTimeout as error:
            raise _refused(
                "too_slow",
                f"Checking it {error}.",
                "It costs too much to decode; re-encode it, or raise ingest.check_timeout_seconds.",
            ) from error

    # -- pictures --------------------------------------------------------------------------------

    def _clip(self, path: Path) -> VideoFacts:
        declared = self._declared(path)
        if not declared.video:
            self._refuse_without_picture(path, declared)
        track = declared.video[0]
        width, height = int(number(track, "width")), int(number(track, "height"))
        if str(track.get("codec_id", "")).startswith("encv"):
            raise _refused("encrypted", "The picture is encrypted (DRM).", "Drop a copy without protection.")
        if not 0 < width * height <= self.config.ingest.max_pixels:
            raise _refused(
                "bad_size",
                f"The picture is declared as {width}x{height} pixels; up to "
                f"{self.config.ingest.max_pixels} pixels in all are accepted (ingest.max_pixels).",
                "Scale it down, or raise the limit.",
                width=width,
                height=height,
            )
        seconds, frames = self._decode_picture(path, number(track, "duration") / 1000)
        rotation = round(number(track, "rotation")) % 360
        aspect = number(track, "pixel_aspect_ratio", 1.0)
        shown = displayed_size(width, height, rotation, aspect)
        rate = number(track, "frame_rate") or frames / seconds
        codec = str(track.get("format", "unknown"))
        return VideoFacts(width, height, *shown, rotation, aspect, rate, seconds, frames, codec)

    def _refuse_without_picture(self, path: Path, declared: Declared) -> None:
        if declared.audio:
            raise _refused("no_picture", "The file has sound but no picture.", "Drop a clip with a video track.")
        # MediaInfo saw no track at all: let ffmpeg say what is wrong with the file.
        self._decode_picture(path, 0.0)
        raise _refused("no_picture", "No video track was found in the file.", "Export it again as an MP4 file.")

    def _decode_picture(self, path: Path, declared_seconds: float) -> tuple[float, int]:
        """Decode every frame; returns the usable length in seconds and the number of frames."""
        ended, progress = self.ffmpeg.run(
            [
                *self._cage("mov"),
                "-i",
                file_url(path),
                "-map",
                "0:V:0",
                "-fps_mode",
                "passthrough",
                "-f",
                "null",
                "-",
            ],
            limits=self._limits(),
            stopping=self.stopping,
        )
        if ended.code != 0 or progress.frame == 0:
            raise _unreadable("MP4 or MOV video", ended)
        _check_whole(declared_seconds, progress.seconds)
        return min(filter(None, (declared_seconds, progress.seconds))), progress.frame

    # -- sounds ----------------------------------------------------------------------------------

    def _voice(self, path: Path) -> AudioFacts:
        facts = self._sound(path)
        limits = self.config.voice
        if facts.seconds < limits.min_seconds:
            raise _refused(
                "too_short",
                f"The voice lasts {facts.seconds:.1f} s; at least {limits.min_seconds:g} s are needed.",
                "Record it again, or lower voice.min_seconds.",
                seconds=facts.seconds,
            )
        share = 1 - facts.silent_seconds / facts.seconds
        if share < limits.min_sound_share:
            raise _refused(
                "silent",
                f"Only {share:.0%} of the voice is louder than {limits.silence_db:g} dBFS; at least "
                f"{limits.min_sound_share:.0%} must be.",
                "Check the recording's level, or lower voice.min_sound_share.",
                sound_share=round(share, 3),
            )
        return facts

    def _sound(self, path: Path) -> AudioFacts:
        declared = self._declared(path)
        if not declared.audio and declared.container is not None:
            raise _refused(
                "wrong_content",
                f"The file is named .mp3 but is {readable(declared.container)}.",
                "Export the sound as an MP3 file.",
            )
        track = declared.audio[0] if declared.audio else {}
        silence = _Silence()
        level = f"silencedetect=n={self.config.voice.silence_db:g}dB:d=0.5,ametadata=mode=print:file=-"
        ended, progress = self.ffmpeg.run(
            [*self._cage("mp3"), "-i", file_url(path), "-map", "0:a:0", "-af", level, "-f", "null", "-"],
            limits=self._limits(),
            stopping=self.stopping,
            on_line=silence.read,
        )
        if ended.code != 0 or progress.seconds == 0:
            raise _unreadable("MP3 sound", ended)
        _check_whole(number(track, "duration") / 1000, progress.seconds)
        return AudioFacts(
            seconds=progress.seconds,
            channels=int(number(track, "channel_s", 2)),
            sample_rate=int(number(track, "sampling_rate")),
            codec=str(track.get("format", "MPEG Audio")),
            silent_seconds=silence.total(progress.seconds),
        )

    def _music(self, path: Path, content: Content) -> Examined:
        facts = self._sound(path)
        target = self.staging / f"{content.sha256}.mp3"
        loudness = self._normalise(path, target)
        return Examined(content, audio=facts, loudness=loudness, made=(target, content_of(target)))

    def _normalise(self, path: Path, target: Path) -> LoudnessFacts:
        """EBU R128 in two passes: measure, then apply one gain where the true peak allows it."""
        music = self.config.music
        source = [*self._cage("mp3"), "-i", file_url(path), "-map", "0:a:0"]
        aim = f"loudnorm=I={music.target_lufs:g}:TP={music.true_peak_db:g}"
        first = self._run_loudnorm([*source, "-af", f"{aim}:print_format=json", "-f", "null", "-"])
        if first["input_i"] == float("-inf"):
            raise _refused("silent", "The music is silent.", "Check the file: it contains no sound.")
        spread = min(50.0, max(7.0, first["input_lra"]))  # a target below the measured range would compress it
        second = (
            f"{aim}:LRA={spread:g}:measured_I={first['input_i']}:measured_TP={first['input_tp']}"
            f":measured_LRA={first['input_lra']}:measured_thresh={first['input_thresh']}"
            f":offset={first['target_offset']}:linear=true:print_format=json"
        )
        encode = [
            "-ar",
            "48000",
            "-c:a",
            "libmp3lame",
            "-b:a",
            "192k",
            "-map_metadata",
            "-1",
            "-f",
            "mp3",
            "-y",
        ]
        result = self._run_loudnorm([*source, "-af", second, *encode, file_url(target)])
        return LoudnessFacts(result["output_i"], result["output_lra"], result["output_tp"])

    def _run_loudnorm(self, arguments: list[str]) -> dict[str, float]:
        ended, _ = self.ffmpeg.run(["-loglevel", "info", *arguments], limits=self._limits(), stopping=self.stopping)
        if "No space left on device" in ended.errors:
            raise MachineTrouble("cannot normalise music: the disk is full")
        start, end = ended.errors.rfind("{"), ended.errors.rfind("}")
        if ended.code != 0 or start < 0:
            raise _unreadable("MP3 sound", ended)
        report: dict[str, str] = json.loads(ended.errors[start : end + 1])
        return {key: float(value) for key, value in report.items() if key != "normalization_type"}

    # -- texts -----------------------------------------------------------------------------------

    def _articles(self, path: Path, size: int) -> tuple[Article, ...]:
        if size > _MAX_LINK_BYTES:
            raise _refused(
                "bad_link_file",
                f"A link file holds one address per line; this one has {size} bytes.",
                "Drop a text file with the addresses only.",
                bytes=size,
            )
        addresses = parse_link_file(path.read_bytes())
        return tuple(fetch_article(address, self.config.links, self.stopping) for address in addresses)

    # -- shared steps ----------------------------------------------------------------------------

    def _declared(self, path: Path) -> Declared:
        declared = read_declared(path, self.stopping)
        if declared is None:
            raise _refused("unreadable", "MediaInfo could not read the file at all.", "Export it again.")
        tracks = len(declared.video) + len(declared.audio)
        if tracks > _MAX_TRACKS:
            raise _refused(
                "too_many_tracks",
                f"The file declares {tracks} tracks.",
                f"Export it with at most {_MAX_TRACKS}.",
            )
        return declared

    def _cage(self, demuxer: str) -> list[str]:
        """Input options: ffmpeg may open this one file, as what its suffix says, and nothing else."""
        pixels = str(self.config.ingest.max_pixels)
        options = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer]
        return [*options, "-max_pixels", pixels] if demuxer == "mov" else options

    def _limits(self) -> Limits:
        return Limits(total_seconds=self.config.ingest.check_timeout_seconds)


def content_of(path: Path) -> Content:
    """Hash and size of a file's bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Content(digest.hexdigest(), size)


class _Silence:
    """Adds up ffmpeg's silencedetect metadata (``lavfi.silence_start=…`` and ``lavfi.silence_end=…``)."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._start: float | None = None

    def read(self, line: str) -> None:
        key, _, value = line.strip().partition("=")
        if key == "lavfi.silence_start":
            self._start = max(0.0, float(value))
        elif key == "lavfi.silence_end" and self._start is not None:
            self._sum += float(value) - self._start
            self._start = None

    def total(self, seconds: float) -> float:
        """Seconds of silence in a sound of this length; a silence that lasts to the end has no end mark."""
        rest = max(0.0, seconds - self._start) if self._start is not None else 0.0
        return round(self._sum + rest, 3)


def _check_whole(declared: float, decoded: float) -> None:
    missing = declared - decoded
    if missing > max(_SHORTFALL_SECONDS, _SHORTFALL_SHARE * declared):
        raise _refused(
            "truncated",
            f"The file says it lasts {declared:.1f} s, but only {decoded:.1f} s can be played: "
            "it is cut off or damaged.",
            "Copy it again from its source.",
            declared_seconds=round(declared, 3),
            decoded_seconds=round(decoded, 3),
        )


def _unreadable(wanted: str, ended: Ended) -> DropRefused:
    said = readable(last_line(ended.errors)) or f"exit status {ended.code}"
    if "moov atom not found" in ended.errors:
        sentence = "The file's index (moov) is missing: it is not an MP4 or MOV video, or its end was cut off."
    else:
        sentence = f"The file cannot be read as {wanted}."
    return _refused("unreadable", sentence, "Copy it again from its source, or export it again.", ffmpeg=said[:500])


def _refused(code: str, sentence: str, advice: str, **measured: object) -> DropRefused:
    return DropRefused(Rejection(code, sentence, advice, measured))
