"""Segments and one continuous sound joined by stream copy.

What measurements taught (docs/segments.md): each part is left *in decoding time*, half a frame before the first packet
that does not belong to it; the list says how long each part is, since files round to milliseconds; these lengths are
rounded to microseconds so that their sum is never off by more than half of one; and `auto_convert` is off, so that
packets arrive as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg

from render_worker.commands.captions import captions
from render_worker.commands.outputs import arguments, container
from render_worker.commands.sounds import PACKET_SAMPLES, SAMPLE_RATE, packet_times, samples_of
from shared.domain.plan import RenderPlan
from shared.ffmpeg import file_url

# Opening a part, ffmpeg decodes its first picture to learn how its pixels are laid out. No copy needs to know,
# and it takes time at each part. It says that it may not, once a part, and goes on.
_NOT_DECODED = "option codec_whitelist none"
NOT_DECODED_SAID = "not on whitelist 'none'"
_INDEX_BYTES_PER_FRAME = 24  # sizes, times and places of its packet in the index
_INDEX_BYTES_PER_PACKET = 16  # the same of the sound's
_INDEX_BYTES_PER_CUE = 100  # the same of the cue, and of the gap behind it
_INDEX_BYTES = 65_536  # the rest of the index


@dataclass(frozen=True)
class Part:
    """Frames `start` to `start + frames` of a file, all of them where `whole`.

    `delay` is by how many frames decoding runs ahead of display in that file.
    """

    name: str
    start: int
    frames: int
    delay: int
    whole: bool


def part_list(parts: Sequence[Part], rate: Fraction) -> str:
    """The ffconcat list of a video's parts."""
    lines, frames, told = ["ffconcat version 1.0"], 0, 0
    for part in parts:
        lines += [f"file {part.name}", _NOT_DECODED]
        if part.start:
            lines.append(f"inpoint {_seconds(part.start / rate)}")
        if not part.whole:
            lines.append(f"outpoint {_seconds((part.start + part.frames - part.delay - Fraction(1, 2)) / rate)}")
        frames += part.frames
        microseconds = round(frames / rate * 1_000_000)
        lines.append(f"duration {_seconds(Fraction(microseconds - told, 1_000_000))}")
        told = microseconds
    return "\n".join(lines) + "\n"


def join(plan: RenderPlan, parts: Path, sound: Path, task: Path, target: Path) -> list[str]:
    """Copy the parts listed in an ffconcat file, and the packets of an ADTS file, into one film; add its captions."""
    picture = ffmpeg.input(file_url(parts), f="concat", safe=0, auto_convert=0, protocol_whitelist="file")["v:0"]
    packets = ffmpeg.input(file_url(sound), f="aac", protocol_whitelist="file")["a:0"]
    options = {"c": "copy", "bsf:a": packet_times(samples_of(plan)), "moov_size": index_bytes(plan)}
    texts, text_options = captions(plan, task)
    return arguments([picture, packets, *texts], target, {**options, **text_options, **container(plan.canvas)})


def index_bytes(plan: RenderPlan) -> int:
    """Room kept in front of the packets for the index, so that the file need not be written twice."""
    packets = round(plan.seconds * SAMPLE_RATE / PACKET_SAMPLES)
    texts = plan.captions.cues * _INDEX_BYTES_PER_CUE if plan.captions else 0
    return _INDEX_BYTES + plan.frames * _INDEX_BYTES_PER_FRAME + packets * _INDEX_BYTES_PER_PACKET + texts


def _seconds(value: Fraction) -> str:
    return f"{float(value):.6f}"
