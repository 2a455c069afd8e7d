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
from pathlib import Path

from render_worker.checks import equal, near
from render_worker.commands.sounds import PACKET_SAMPLES, SAMPLE_RATE
from render_worker.heard import SILENT, Heard, Listening, check_heard
from render_worker.packets import Packet, Stream, parse_packets
from render_worker.tool import Tool
from shared.domain.errors import ReelmillError
from shared.domain.pauses import Pause
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress
from shared.ffmpeg import file_url, last_line
from shared.files import fsync_path
from shared.meter import MOMENTARY, STEREO
from shared.records.render import Check

_CAGE = ("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov")
_CHUNK_SAMPLES = 48_000  # of decoded sound in a line of ffmpeg's table: many lines less than it has packets
_CODECS = {"h264": "AVC", "aac": "AAC", "mov_text": "timed text"}
_NO_WORDS = 2  # bytes of a packet of timed text that shows none, but how many they are


class GateClosed(ReelmillError):
    """A result that must not be published, with every check that was made."""

    def __init__(self, checks: tuple[Check, ...], what: str = "the result") -> None:
        self.checks = checks
        failed = "; ".join(f"{c.name} is {c.measured}, must be {c.limit}" for c in checks if not c.passed)
        super().__init__(f"{what} did not pass the gate: {failed}")


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
        heard: the sound, as it is heard when these packets are decoded.
    """

    picture: Sequence[tuple[int, str]]
    sound: Sequence[tuple[int, str]]
    heard: Heard


@dataclass(frozen=True)
class Seen:
    """All that was seen of a finished file.

    Attributes:
        picture, sound: what came of decoding it, or None where it was copied and need not be decoded.
        boxes: the file's boxes from its beginning to its index or its content, whichever comes first.
    """

    sha256: str
    streams: tuple[Stream, ...]
    boxes: tuple[str, ...]
    sound: Decoded | None = None
    picture: Decoded | None = None

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
        picture = pool.submit(_decode_picture, final, tool, on_progress) if decode else None
        streams, sound = _read(final, tool, scratch, None if decode else on_progress, decode=decode)
        on_disk.result()
        return Seen(
            sha256=digest.result(),
            streams=streams,
            boxes=boxes_of(final),
            sound=sound,
            picture=picture.result() if picture else None,
        )


def check(
    seen: Seen, plan: RenderPlan, judged: Judged | None = None, pauses: Sequence[Pause] | None = None
) -> tuple[Check, ...]:
    """Judge a finished file by what was seen of it. Pure.

    Args:
        judged: what was judged before it was joined; None where the file was decoded.
        pauses: of the voice; None where they are not known.

    Raises:
        GateClosed: a check failed.
    """
    picture, sound = seen.stream("h264"), seen.stream("aac")
    checks = [*_structure(seen, picture, plan), *_packets_checked(picture, plan)]
    if judged is not None:
        checks += [
            equal("packets that are not those judged before", _strange(picture.packets, judged.picture), 0),
            equal("packets of sound that are not those heard before", _strange(sound.packets, judged.sound), 0),
            *_sound_times_checked(sound, plan),
            *check_heard(judged.heard, plan, pauses),
        ]
    if seen.sound:
        checks += [*_sound_checked(seen.sound, plan), *check_heard(seen.sound.heard, plan, pauses)]
    if seen.picture:
        checks += [
            equal("exit status of decoding the picture", seen.picture.code, 0),
            equal("complaints of the picture's decoder", seen.picture.complaint, ""),
            equal("frames", seen.picture.frames, plan.frames),
        ]
    if not all(found.passed for found in checks):
        raise GateClosed(tuple(checks))
    return tuple(checks)


def _strange(found: Sequence[Packet], wanted: Sequence[tuple[int, str]]) -> int:
    """How many packets are others, or missing, or too many."""
    pairs = zip(found, wanted, strict=False)
    others = sum((packet.size, packet.checksum) != expected for packet, expected in pairs)
    return others + abs(len(found) - len(wanted))


def _structure(seen: Seen, picture: Stream, plan: RenderPlan) -> list[Check]:
    canvas = plan.canvas
    codecs = [stream.facts.get("codec_id", "") for stream in seen.streams]
    texts = plan.text_track
    wanted = ["AVC", "AAC", "timed text"] if texts else ["AVC", "AAC"]
    shown = sum(packet.size > _NO_WORDS for packet in seen.stream("mov_text").packets)
    step = picture.steps[0] * picture.tick if picture.steps else 0
    return [
        equal("container", seen.boxes[:1], ("ftyp",)),
        equal("index in front", seen.boxes[-1:], ("moov",)),
        equal("streams", [_CODECS.get(codec, codec) for codec in codecs], wanted),
        *([equal("captions", shown, texts.cues)] if texts else []),
        equal("size", picture.facts.get("dimensions"), f"{canvas.width}x{canvas.height}"),
        equal("pixels", picture.facts.get("sar"), "1/1"),
        equal("frame rate", str(1 / step) if step else str(canvas.rate), str(canvas.rate)),
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


def _decode_picture(final: Path, tool: Tool, on_progress: Callable[[Progress], None] | None) -> Decoded:
    what = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-"]
    ended, progress = tool.watch([*_CAGE, "-i", file_url(final), *what], on_progress)
    return Decoded(ended.code, last_line(ended.errors), frames=progress.frame)


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
