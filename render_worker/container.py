"""A film that has passed the gate, in another container: copied packet by packet, and compared with what was judged.

Films are made and judged as MP4. QuickTime keeps the same clocks; Matroska counts in milliseconds, and carries the
words of captions as SubRip.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from render_worker.gate import GateClosed
from render_worker.limits import at_most, equal
from render_worker.packets import Packet, Stream, parse_packets
from render_worker.tool import Tool
from shared.domain.errors import MachineTrouble
from shared.domain.plan import Format
from shared.ffmpeg import file_url
from shared.files import fsync_path
from shared.records.render import Check

_NO_WORDS = 2  # bytes of a packet of timed text that shows none
_PICTURE, _WORDS, _TIMED_TEXT = "video", "subtitle", "mov_text"


@dataclass(frozen=True)
class Container:
    """A container other than MP4.

    Attributes:
        muxer, demuxer: ffmpeg's names.
        tick: seconds to which it may round times.
        words: the codec of captions in it.
    """

    muxer: str
    demuxer: str
    tick: Fraction
    words: str
    options: tuple[str, ...]


CONTAINERS: Mapping[Format, Container] = {
    "mov": Container("mov", "mov", Fraction(0), "copy", ("-movflags", "+faststart")),
    # Players of Matroska show a default track of captions unasked.
    "mkv": Container(
        *("matroska", "matroska", Fraction(1, 1000), "subrip"), ("-disposition:s", "0", "-default_mode", "passthrough")
    ),
}


# QuickTime knows languages by numbers of its own, which ffmpeg finds by the older of two codes (ISO 639-2/B).
_OLDER_CODES = {
    "sqi": "alb",
    "hye": "arm",
    "eus": "baq",
    "mya": "bur",
    "zho": "chi",
    "nld": "dut",
    "kat": "geo",
    "deu": "ger",
    "ell": "gre",
    "isl": "ice",
    "mkd": "mac",
    "msa": "may",
    "fas": "per",
    "bod": "tib",
    "cym": "wel",
    "swe": "sve",
}


def rewrap(
    film: Path, target: Path, container: Container, ticks: int, language: str, tool: Tool
) -> tuple[str, tuple[Check, ...]]:
    """Bring a judged film into another container, in place of the old file; returns its SHA-256 and what was compared.

    Args:
        ticks: in a second of the picture's clock.
        language: of its captions (ISO 639-2); QuickTime has no word for some, and players then call them unknown.

    Raises:
        GateClosed: what came of it is not the film that was judged.
        RenderFailed, ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    _check_room(film)
    codecs = ["-map", "0", "-c:v", "copy", "-c:a", "copy", "-c:s", container.words]
    clock = ["-video_track_timescale", str(ticks)] if container.muxer == "mov" else []
    if container.muxer == "mov":
        codecs += ["-metadata:s:s", f"language={_OLDER_CODES.get(language, language)}"]
    source = [*_opened("mov"), "-i", file_url(film)]
    command = [*source, *codecs, *clock, *container.options, "-f", container.muxer, "-y", file_url(target)]
    tool.run(f"wrapping the video as {target.suffix.removeprefix('.')}", command)
    judged, found = _streams(film, "mov", tool), _streams(target, container.demuxer, tool)
    checks = compared(judged, found, container.tick)
    if not all(check.passed for check in checks):
        raise GateClosed(checks, f"the video as {target.suffix.removeprefix('.')}")
    fsync_path(target)
    film.unlink()
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), checks


def compared(judged: Sequence[Stream], found: Sequence[Stream], tick: Fraction) -> tuple[Check, ...]:
    """Whether two files hold the same film, stream by stream: kinds, packets, and when each is shown. Pure."""
    checks = [equal("kinds of streams in its container", [_kind(one) for one in found], [_kind(one) for one in judged])]
    for before, after in zip(judged, found, strict=False):
        kind = _kind(before)
        wanted, there = _shown(before), _shown(after)
        checks.append(equal(f"packets of {kind} in its container", len(there), len(wanted)))
        if kind != _WORDS:
            is_same = list(map(_content, there)) == list(map(_content, wanted))
            checks.append(equal(f"{kind} is byte for byte the same in its container", is_same, True))
        if kind == _PICTURE:
            keys = [[packet.is_key for packet in one] for one in (there, wanted)]
            checks.append(equal("its keyframes are the same in its container", keys[0] == keys[1], True))
        late = _latest(wanted, before.tick, there, after.tick)
        checks.append(at_most(f"seconds by which {kind} is shifted in its container", late, float(tick / 2)))
    return tuple(checks)


def _kind(stream: Stream) -> str:
    return stream.facts.get("media_type", "")


def _shown(stream: Stream) -> list[Packet]:
    """The packets that show something: timed text fills its gaps with others."""
    is_filled = stream.facts.get("codec_id") == _TIMED_TEXT
    return [packet for packet in stream.packets if not is_filled or packet.size > _NO_WORDS]


def _content(packet: Packet) -> tuple[int, str]:
    return packet.size, packet.checksum


def _latest(wanted: Sequence[Packet], tick: Fraction, found: Sequence[Packet], found_tick: Fraction) -> float:
    shifts = (abs(one.pts * tick - other.pts * found_tick) for one, other in zip(wanted, found, strict=False))
    return float(max(shifts, default=Fraction(0)))


def _streams(film: Path, demuxer: str, tool: Tool) -> list[Stream]:
    table = tool.scratch / "container.txt"
    copied = ["-map", "0", "-c", "copy", "-f", "framecrc", "-y", file_url(table)]
    tool.run("comparing the containers", [*_opened(demuxer), "-i", file_url(film), *copied])
    found = parse_packets(table.read_text("utf-8"))
    table.unlink()
    return found


def _opened(demuxer: str) -> tuple[str, ...]:
    return ("-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer)


def _check_room(film: Path) -> None:
    """Raise MachineTrouble where there is no room for a second copy of a film."""
    free, size = shutil.disk_usage(film.parent).free, film.stat().st_size
    if free < size:
        raise MachineTrouble(
            f"Low disk space: {free / 1e9:.1f}GB remaining, and another container needs {size / 1e9:.1f}GB on its way",
            everywhere=True,
        )
