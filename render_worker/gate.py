"""The gate: what stands between a render and `output/`. It trusts no exit status, only the file itself.

What was encoded for this video alone is decoded. What came by stream copy was decoded and judged before: pictures when
their segments were conformed, the sound when it was encoded. Here its packets are compared with those that were judged
then, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from render_worker.commands.encoders import CODECS
from render_worker.commands.luma import film_luma
from render_worker.commands.outputs import codec_of
from render_worker.commands.sounds import PACKET_SAMPLES, SAMPLE_RATE
from render_worker.heard import UNKNOWN, Spoken, check_heard
from render_worker.limits import equal, near
from render_worker.packets import Packet, Stream, parse_packets
from render_worker.tool import Tool
from render_worker.tracks import BT709_LIMITED, FilmTrack, tracks_of
from shared.boxes import UPRIGHT
from shared.domain.errors import ReelmillError
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress
from shared.ffmpeg import file_url, last_line
from shared.files import fsync_path
from shared.meter import MOMENTARY, SILENT, STEREO, Heard, Listening
from shared.records.render import Check

_CAGE = ("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov")
_CHUNK_SAMPLES = 48_000  # of decoded sound in a line of ffmpeg's table: many lines less than it has packets
_TITLES = {**{codec.name: codec.title for codec in CODECS.values()}, "aac": "AAC", "mov_text": "timed text"}
_NO_WORDS = 2  # bytes of a packet of timed text that shows none, but how many they are
_SOUND_TAG = "mp4a"
_PRIMING = Fraction(PACKET_SAMPLES, SAMPLE_RATE)  # seconds in front of the sound, which players leave out
_TOLD_IN = 0.001  # seconds, in which a film tells how long its tracks are


class GateClosed(ReelmillError):
    """A result that must not be published, with every check that was made."""

    def __init__(self, checks: tuple[Check, ...], what: str = "the result") -> None:
        self.checks = checks
        failed = "; ".join(f"{c.name} is {c.measured}, must be {c.limit}" for c in checks if not c.passed)
        super().__init__(f"{what} did not pass the gate: {failed}")


class SoundClosed(GateClosed):
    """A sound that must not be published, whatever the picture is like."""


@dataclass(frozen=True)
class Decoded:
    """What came of decoding one stream; frames are counted for a picture only, a sound is heard."""

    code: int
    complaint: str
    frames: int = 0
    seconds: float = 0.0
    heard: Heard = SILENT


@dataclass(frozen=True)
class Judged:
    """What was judged before it was joined.

    Attributes:
        picture, sound: bytes and checksum of every packet.
        parameters: what ffmpeg says of the picture's codec (``extradata``), which all of it has to be decoded with.
        heard: the sound, as it is heard when these packets are decoded.
    """

    picture: Sequence[tuple[int, str]]
    parameters: str
    sound: Sequence[tuple[int, str]]
    heard: Heard


@dataclass(frozen=True)
class Seen:
    """All that was seen of a finished file.

    Attributes:
        picture, sound: what came of decoding it, or None where it was copied and need not be decoded.
        boxes: the file's boxes from its beginning to its index or its content, whichever comes first.
        tracks: what it says of its tracks.
        luma: how bright its decoded frames are (:mod:`render_worker.commands.luma`), where they were decoded.
    """

    sha256: str
    streams: tuple[Stream, ...]
    boxes: tuple[str, ...]
    sound: Decoded | None = None
    picture: Decoded | None = None
    tracks: tuple[FilmTrack, ...] = ()
    luma: bytes = b""

    def stream(self, codec: str) -> Stream:
        """The first stream of a codec; an empty one if there is none."""
        return next((stream for stream in self.streams if stream.facts.get("codec_id") == codec), Stream())


def look(
    final: Path, tool: Tool, scratch: Path, *, decode: bool, on_progress: Callable[[Progress], None] | None = None
) -> Seen:
    """See what is in a finished file; what ffmpeg complains of is added to the attempt's standard error.

    Meanwhile the file is brought to the disk, which publishing has to wait for.

    Args:
        decode: whether picture and sound are decoded, since they were encoded for this video alone.
        on_progress: told how far the longest of it is.

    Raises:
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    with ThreadPoolExecutor(3) as pool:
        on_disk = pool.submit(fsync_path, final)
        digest = pool.submit(_sha256, final)
        picture = pool.submit(_decode_picture, final, tool, scratch, on_progress) if decode else None
        streams, sound = _read(final, tool, scratch, None if decode else on_progress, decode=decode)
        on_disk.result()
        decoded, luma = picture.result() if picture else (None, b"")
        return Seen(
            sha256=digest.result(),
            streams=streams,
            boxes=boxes_of(final),
            sound=sound,
            picture=decoded,
            tracks=tracks_of(final),
            luma=luma,
        )


def check(
    seen: Seen, plan: RenderPlan, judged: Judged | None = None, *making: Check, voice: Spoken = UNKNOWN
) -> tuple[Check, ...]:
    """Judge a finished file by what was seen of it. Pure.

    Args:
        judged: what was judged before it was joined; None where the file was decoded.
        making: checks of how the file was made, which have to pass as well.
        voice: what is known of it.

    Raises:
        GateClosed: a check failed; SoundClosed where only what is heard is wrong.
    """
    picture, sound = seen.stream(codec_of(plan.profile).name), seen.stream("aac")
    heard: list[Check] = []
    checks = [
        *_structure(seen, picture, plan),
        *_tags_checked(seen.tracks, plan),
        *_packets_checked(picture, plan),
        *_parity_checked(seen, picture, plan),
        *making,
    ]
    if judged is not None:
        checks += [
            equal("packets that are not those judged before", _strange(picture.packets, judged.picture), 0),
            equal("codec parameters", picture.facts.get("extradata", ""), judged.parameters),
            equal("packets of sound that are not those heard before", _strange(sound.packets, judged.sound), 0),
            *_sound_times_checked(sound, plan),
        ]
        heard += check_heard(judged.heard, plan, voice)
    if seen.sound:
        checks += _sound_checked(seen.sound, plan)
        heard += check_heard(seen.sound.heard, plan, voice)
    if seen.picture:
        checks += [
            equal("exit status of decoding the picture", seen.picture.code, 0),
            equal("complaints of the picture's decoder", seen.picture.complaint, ""),
            equal("frames", seen.picture.frames, plan.frames),
        ]
    if not all(found.passed for found in checks):
        raise GateClosed((*checks, *heard))
    if not all(found.passed for found in heard):
        raise SoundClosed((*checks, *heard))
    return (*checks, *heard)


def hear(heard: Heard, plan: RenderPlan, voice: Spoken) -> None:
    """Judge a sound alone, before pictures are encoded for it in vain.

    Raises:
        SoundClosed: a check failed.
    """
    checks = check_heard(heard, plan, voice)
    if not all(found.passed for found in checks):
        raise SoundClosed(tuple(checks), "the sound")


def _strange(found: Sequence[Packet], wanted: Sequence[tuple[int, str]]) -> int:
    """How many packets are others, or missing, or too many."""
    pairs = zip(found, wanted, strict=False)
    others = sum((packet.size, packet.checksum) != expected for packet, expected in pairs)
    return others + abs(len(found) - len(wanted))


def _structure(seen: Seen, picture: Stream, plan: RenderPlan) -> list[Check]:
    canvas = plan.canvas
    codecs = [stream.facts.get("codec_id", "") for stream in seen.streams]
    texts = plan.text_track
    wanted = [codec_of(plan.profile).title, "AAC", *(["timed text"] if texts else [])]
    shown = sum(packet.size > _NO_WORDS for packet in seen.stream("mov_text").packets)
    step = picture.steps[0] * picture.tick if picture.steps else 0
    return [
        equal("container", seen.boxes[:1], ("ftyp",)),
        equal("index in front", seen.boxes[-1:], ("moov",)),
        equal("streams", [_TITLES.get(codec, codec) for codec in codecs], wanted),
        *([equal("captions", shown, texts.cues)] if texts else []),
        equal("size", picture.facts.get("dimensions"), f"{canvas.width}x{canvas.height}"),
        equal("pixels", picture.facts.get("sar"), "1/1"),
        equal("frame rate", str(1 / step) if step else str(canvas.rate), str(canvas.rate)),
    ]


def _tags_checked(tracks: Sequence[FilmTrack], plan: RenderPlan) -> list[Check]:
    """What players go by: which decoders, which colours, upright, played at once, which language."""
    pictures = [track for track in tracks if track.kind == "vide"]
    words = [track.language for track in tracks if track.codec == "tx3g"]
    played = [codec_of(plan.profile).tag, _SOUND_TAG]
    return [
        equal("codec tags", [track.codec for track in tracks if track.codec != "tx3g"], played),
        equal("tracks played at once", [track.codec for track in tracks if track.is_enabled][:2], played),
        equal("colours", [track.colours for track in pictures], [BT709_LIMITED]),
        equal("held", [track.matrix for track in pictures], [UPRIGHT]),
        equal("languages of the captions", words, [plan.text_track.language] if plan.text_track else []),
    ]


def _parity_checked(seen: Seen, picture: Stream, plan: RenderPlan) -> list[Check]:
    """Whether picture and sound begin and end together, as the packets have it and as the file tells players."""
    first = min((packet.pts for packet in picture.packets), default=0) * picture.tick
    sound = seen.stream("aac")
    heard = sound.packets[0].pts * sound.tick if sound.packets else Fraction(0)
    told = [next((track for track in seen.tracks if track.kind == kind), FilmTrack()) for kind in ("vide", "soun")]
    frame, longer = float(1 / plan.canvas.rate), round(told[0].seconds - told[1].seconds, 6)
    return [
        near("second in which the picture begins", float(first), 0, _TOLD_IN),
        near("second in which the sound begins", float(heard + _PRIMING), 0, _TOLD_IN),
        near("seconds of picture told", told[0].seconds, float(plan.frames * frame), _TOLD_IN),
        near("seconds of sound told", told[1].seconds, plan.seconds, _TOLD_IN),
        near("seconds told by which the picture is longer", longer, frame / 2, frame / 2 + 2 * _TOLD_IN),
        equal("seconds told before the first frame and sound", [track.late_seconds for track in told], [0.0, 0.0]),
    ]


def _packets_checked(picture: Stream, plan: RenderPlan) -> list[Check]:
    seconds = float(plan.frames / plan.canvas.rate)
    last = float(1 / plan.canvas.rate)
    return [
        equal("packets", len(picture.packets), plan.frames),
        equal("different packet steps", len(picture.steps), min(1, plan.frames - 1)),
        near("seconds of picture", picture.seconds + last, seconds, last / 2),
        equal("first packet is a keyframe", [packet.is_key for packet in picture.packets[:1]], [True]),
    ]


def _sound_checked(sound: Decoded, plan: RenderPlan) -> list[Check]:
    return [
        equal("exit status of decoding the sound", sound.code, 0),
        equal("complaints of the sound's decoder", sound.complaint, ""),
        near("seconds of sound", sound.seconds, plan.seconds, float(1 / plan.canvas.rate)),
    ]


def _sound_times_checked(sound: Stream, plan: RenderPlan) -> list[Check]:
    """The first packet is the encoder's own and lies before zero; the last one is as short as what is left."""
    begin = float(sound.packets[0].pts * sound.tick) if sound.packets else 0.0
    lasts = float(sum(packet.duration for packet in sound.packets) * sound.tick)
    steps = [float(step * sound.tick) for step in sound.steps]
    wanted = [PACKET_SAMPLES / SAMPLE_RATE] if len(sound.packets) > 1 else []
    return [
        equal("steps of sound, s", steps, wanted),
        near("seconds of sound", begin + lasts, plan.seconds, 1 / SAMPLE_RATE),
    ]


def _read(
    final: Path, tool: Tool, scratch: Path, on_progress: Callable[[Progress], None] | None, *, decode: bool
) -> tuple[tuple[Stream, ...], Decoded | None]:
    """The streams of a file, and what came of decoding its sound, in one reading of it.

    The table that ffmpeg writes has the decoded sound, if there is any, before the streams of the file.
    """
    table = scratch / "packets.txt"
    table.touch()  # ffmpeg makes none of a file it cannot open
    codecs = ["-map", "0", "-c", "copy"]
    listening = Listening()
    if decode:
        heard = f"{STEREO},{MOMENTARY},asetnsamples=n={_CHUNK_SAMPLES}:p=0"
        codecs = ["-map", "0:a:0?", "-filter:a:0", heard, *codecs, "-c:a:0", "pcm_s16le"]
    source = [*_CAGE, "-i", file_url(final)]
    ended, _ = tool.watch([*source, *codecs, "-f", "framecrc", "-y", file_url(table)], on_progress, listening.read)
    streams = parse_packets(table.read_text("utf-8"))
    table.unlink()
    if not decode:
        return tuple(streams), None
    has_sound = any(stream.facts.get("media_type") == "audio" for stream in streams[1:])
    sound = streams.pop(0) if has_sound else Stream()
    seconds = float(sum(packet.duration for packet in sound.packets) * sound.tick)
    decoded = Decoded(ended.code, last_line(ended.errors), seconds=seconds, heard=listening.heard())
    return tuple(streams), decoded


def _decode_picture(
    final: Path, tool: Tool, scratch: Path, on_progress: Callable[[Progress], None] | None
) -> tuple[Decoded, bytes]:
    """What came of decoding the picture, and how bright its frames are."""
    luma = scratch / "film.luma"
    luma.touch()  # ffmpeg makes none of a file it cannot open
    ended, progress = tool.watch([*_CAGE, "-i", file_url(final), *film_luma(luma)], on_progress)
    bright = luma.read_bytes()
    luma.unlink()
    return Decoded(ended.code, last_line(ended.errors), frames=progress.frame), bright


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def boxes_of(path: Path) -> tuple[str, ...]:
    """The kinds of a file's boxes (ISO/IEC 14496-12), up to its index (``moov``) or its content (``mdat``)."""
    kinds: list[str] = []
    with path.open("rb") as stream:
        while len(header := stream.read(8)) == 8:  # noqa: PLR2004 - size and kind
            size, kind = int.from_bytes(header[:4]), header[4:].decode("latin-1")
            kinds.append(kind)
            skip = int.from_bytes(stream.read(8)) - 16 if size == 1 else size - 8
            if kind in ("moov", "mdat") or skip < 0:
                break
            stream.seek(skip, 1)
    return tuple(kinds)
