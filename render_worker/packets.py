"""The packets of a file as ffmpeg's demuxer sees them: what a join is judged by, since nothing in it is decoded.

Source of the format: ffmpeg's framecrc muxer (``stream, dts, pts, duration, size, checksum[, F=flags …]``); a packet
without flags is a keyframe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple


class Packet(NamedTuple):
    """One packet: its times and how long it lasts, in ticks of its stream's clock, bytes, checksum of its content."""

    dts: int
    pts: int
    duration: int
    size: int
    checksum: str
    is_key: bool


@dataclass
class Stream:
    """One stream; `facts` are ffmpeg's own words: ``codec_id``, ``dimensions``, ``tb``, ``extradata`` …"""

    facts: dict[str, str] = field(default_factory=dict)
    packets: list[Packet] = field(default_factory=list)

    @property
    def tick(self) -> Fraction:
        """Seconds of one tick."""
        return Fraction(self.facts.get("tb", "0"))

    @property
    def steps(self) -> list[int]:
        """Every different distance between frames that follow each other on the screen, in ticks."""
        times = sorted(packet.pts for packet in self.packets)
        return sorted({later - earlier for earlier, later in pairwise(times)})

    @property
    def seconds(self) -> float:
        """From the first frame's beginning to the last one's, in seconds."""
        times = [packet.pts for packet in self.packets]
        return float((max(times) - min(times)) * self.tick) if times else 0.0

    def order(self) -> list[int]:
        """The place of each packet's frame in display order."""
        places = {pts: place for place, pts in enumerate(sorted(packet.pts for packet in self.packets))}
        return [places[packet.pts] for packet in self.packets]


def parse_packets(table: str) -> list[Stream]:
    """The streams of a framecrc table, in the order of the file."""
    streams: dict[int, Stream] = {}
    for line in table.splitlines():
        if line.startswith("#"):
            name, _, value = line[1:].partition(":")
            name, _, number = name.partition(" ")
            if number.isdigit():
                streams.setdefault(int(number), Stream()).facts[name] = value.strip()
            continue
        try:
            number, dts, pts, duration, size, checksum, *more = line.split(",")
        except ValueError:  # the table ends within a line: its writer did
            continue
        is_key = not any("F=" in word for word in more)
        packet = Packet(int(dts), int(pts), int(duration), int(size), checksum.strip(), is_key)
        streams.setdefault(int(number), Stream()).packets.append(packet)
    return [streams[number] for number in sorted(streams)]


def same_content(found: Sequence[Packet], wanted: Sequence[tuple[int, str]]) -> bool:
    """Whether packets are byte for byte those of which sizes and checksums are known."""
    return [(packet.size, packet.checksum) for packet in found] == list(wanted)
