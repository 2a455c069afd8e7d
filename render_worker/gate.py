"""The gate: what stands between a render and `output/`. It trusts no exit status, only the file itself.

What was encoded for this video alone is decoded. Pictures that came by stream copy were decoded and judged when their
segments were conformed; here their packets are compared with those that were judged then, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from render_worker.packets import Stream, parse_packets
from render_worker.tool import Tool
from shared.domain.errors import ReelmillError
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress
from shared.ffmpeg import file_url, last_line
from shared.records.render import Check

_CAGE = ("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov")
_CODECS = {"h264": "AVC", "aac": "AAC"}


class GateClosed(ReelmillError):
    """A result that must not be published, with every check that was made."""

    def __init__(self, checks: tuple[Check, ...], what: str = "the result") -> None:
        self.checks = checks
        failed = "; ".join(f"{c.name} is {c.measured}, must be {c.limit}" for c in checks if not c.passed)
        super().__init__(f"{what} did not pass the gate: {failed}")


@dataclass(frozen=True)
class Decoded:
    """What came of decoding one stream."""

    code: int
    frames: int
    seconds: float
    complaint: str


@dataclass(frozen=True)
class Seen:
    """All that was seen of a finished file.

    Attributes:
        picture: what came of decoding the picture, or None where it was copied and need not be decoded.
        boxes: the file's boxes from its beginning to its index or its content, whichever comes first.
    """

    sha256: str
    streams: tuple[Stream, ...]
    boxes: tuple[str, ...]
    sound: Decoded
    picture: Decoded | None

    def stream(self, codec: str) -> Stream:
        """The first stream of a codec; an empty one if there is none."""
        return next((stream for stream in self.streams if stream.facts.get("codec_id") == codec), Stream())


def look(
    final: Path,
    tool: Tool,
    scratch: Path,
    *,
    decode_picture: bool,
    on_progress: Callable[[Progress], None] | None = None,
) -> Seen:
    """See what is in a finished file; what ffmpeg complains of is added to the attempt's standard error.

    Args:
        on_progress: told how far the longest of it is.

    Raises:
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    with ThreadPoolExecutor(4) as pool:
        digest = pool.submit(_sha256, final)
        listed = pool.submit(_packets, final, tool, scratch)
        sound = pool.submit(_decode, final, tool, ["-map", "0:a:0"], None if decode_picture else on_progress)
        frames = ["-map", "0:v:0", "-fps_mode", "passthrough"]
        picture = pool.submit(_decode, final, tool, frames, on_progress) if decode_picture else None
        return Seen(
            sha256=digest.result(),
            streams=listed.result(),
            boxes=boxes_of(final),
            sound=sound.result(),
            picture=picture.result() if picture else None,
        )


def check(seen: Seen, plan: RenderPlan, copied: Sequence[tuple[int, str]] | None = None) -> tuple[Check, ...]:
    """Judge a finished file by what was seen of it. Pure.

    Args:
        copied: bytes and checksum of every packet of the picture, as they were judged before they were joined.

    Raises:
        GateClosed: a check failed.
    """
    picture = seen.stream("h264")
    checks = [*_structure(seen, picture, plan), *_packets_checked(picture, plan), *_sound_checked(seen.sound, plan)]
    if copied is not None:
        found = [(packet.size, packet.checksum) for packet in picture.packets]
        strange = sum(one != other for one, other in zip(found, copied, strict=False)) + abs(len(found) - len(copied))
        checks.append(equal("packets that are not those judged before", strange, 0))
    if seen.picture:
        checks += [
            equal("exit status of decoding the picture", seen.picture.code, 0),
            equal("complaints of the picture's decoder", seen.picture.complaint, ""),
            equal("frames", seen.picture.frames, plan.frames),
        ]
    if not all(found.passed for found in checks):
        raise GateClosed(tuple(checks))
    return tuple(checks)


def _structure(seen: Seen, picture: Stream, plan: RenderPlan) -> list[Check]:
    canvas = plan.canvas
    codecs = [stream.facts.get("codec_id", "") for stream in seen.streams]
    step = picture.steps[0] * picture.tick if picture.steps else 0
    return [
        equal("container", seen.boxes[:1], ("ftyp",)),
        equal("index in front", seen.boxes[-1:], ("moov",)),
        equal("streams", [_CODECS.get(codec, codec) for codec in codecs], ["AVC", "AAC"]),
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


def _packets(final: Path, tool: Tool, scratch: Path) -> tuple[Stream, ...]:
    table = scratch / "packets.txt"
    table.touch()  # ffmpeg makes none of a file it cannot open
    arguments = [*_CAGE, "-i", file_url(final), "-map", "0", "-c", "copy", "-f", "framecrc", "-y", file_url(table)]
    tool.watch(arguments)
    streams = parse_packets(table.read_text("utf-8"))
    table.unlink()
    return tuple(streams)


def _decode(final: Path, tool: Tool, what: Sequence[str], on_progress: Callable[[Progress], None] | None) -> Decoded:
    ended, progress = tool.watch([*_CAGE, "-i", file_url(final), *what, "-f", "null", "-"], on_progress)
    return Decoded(ended.code, progress.frame, progress.seconds, last_line(ended.errors))


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


def equal(name: str, measured: object, expected: object) -> Check:
    return Check(name=name, passed=measured == expected, measured=measured, limit=expected)


def near(name: str, measured: float, wanted: float, tolerance: float) -> Check:
    passed = abs(measured - wanted) <= tolerance + 1e-6
    return Check(name=name, passed=passed, measured=measured, limit=f"{wanted:g} ± {tolerance:.4g}")
