"""``segment.json`` beside a conformed clip: what it was made of, where it may be cut, what its packets are."""

from __future__ import annotations

from pydantic import Field

from shared.records.record import Record
from shared.records.render import Check


class SegmentRecord(Record):
    """One segment of the cache; complete and judged when it is there."""

    key: str = Field(description="Hash of everything that went into it; the name of its folder.")
    source: str = Field(description="The library file it was made of, relative to the root.")
    sha256: str = Field(description="Hash of that file's content.")
    start: int = Field(description="The clip's frame it begins with, at its own frame rate.")
    frames: int
    keyframes: tuple[int, ...] = Field(description="Frames at which it can be entered.")
    anchors: tuple[int, ...] = Field(description="Numbers of frames after which it can be left.")
    delay: int = Field(description="By how many frames decoding runs ahead of display.")
    packets: tuple[tuple[int, str], ...] = Field(description="Bytes and checksum of each packet, in decoding order.")
    extradata: str = Field(description="What ffmpeg says of the codec's parameters; equal in all that are joined.")
    size: int = Field(description="Bytes of the file.")
    film: str = Field("", description="SHA-256 of the file, by which other nodes fetch it.")
    thumbnail: str = Field("", description="Hash of the picture beside it.")
    checks: tuple[Check, ...] = Field(description="What was found when it was decoded and judged.")
    encoder: str
    node: str
    seconds_taken: float = Field(description="Wall-clock time it took to make and judge.")
    made_at: str
