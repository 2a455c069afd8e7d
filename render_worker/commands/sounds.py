"""The sound of a plan: its tracks mixed, and the mix encoded, whole or in parts.

The mix keeps levels: ``normalize=0``, since `amix` halves them, and a mono voice keeps its own (the default
mono-to-stereo conversion takes 3 dB). It has exactly the samples of the plan's length: the option ``-t`` rounds.

AAC (ISO/IEC 14496-3) codes frames of 1,024 samples, each overlapping the one before; the encoder's first packet is only
that overlap. Packet `j` of a whole encode thus completes samples ``(j - 1) * 1024`` to ``j * 1024``. A part is encoded
with some packets more on either side, whose packets are then dropped, so that the parts' packets are those of a whole
encode but for the encoder's memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.plan import Profile, RenderPlan, Track
from shared.ffmpeg import file_url

SAMPLE_RATE = 48_000
PACKET_SAMPLES = 1024
BYTES_PER_SAMPLE = 4  # of a mix on the way: two channels of 16 bits
MONO_TO_STEREO = math.sqrt(2)  # makes up for the 3 dB that ffmpeg takes when it spreads one channel over two
_RUN_UP = 4  # packets by which a part's encoder starts early and ends late
_SOUND = {"f": "mp3", "protocol_whitelist": "file", "format_whitelist": "mp3"}
_RAW = {"f": "s16le", "ar": SAMPLE_RATE, "ac": 2}


@dataclass(frozen=True)
class Part:
    """Packets `first` up to `end` of a sound."""

    first: int
    end: int

    @property
    def bytes_needed(self) -> int:
        """How much of the mix its encoder reads, from the beginning."""
        return (self.end + _RUN_UP) * PACKET_SAMPLES * BYTES_PER_SAMPLE


def samples_of(plan: RenderPlan) -> int:
    """Exact length of the sound."""
    return round(plan.seconds * SAMPLE_RATE)


def packets_of(samples: int) -> int:
    """How many packets a sound becomes, the encoder's first one included."""
    return -(-samples // PACKET_SAMPLES) + 1


def parts_of(samples: int, shortest: int, longest: int) -> list[Part]:
    """A sound in parts: `shortest` packets, then each twice as many as the one before, up to `longest`."""
    packets, size, parts = packets_of(samples), shortest, list[Part]()
    while not parts or parts[-1].end < packets:
        first = parts[-1].end if parts else 0
        parts.append(Part(first, min(packets, first + size)))
        size = min(2 * size, longest)
    return parts


def mix(plan: RenderPlan, task: Path) -> Any:
    """The tracks at their gains, together; exactly as long as the plan."""
    sounds = [_track(track, task) for track in plan.tracks]
    if len(sounds) > 1:
        mixed = ffmpeg.filter(sounds, "amix", inputs=len(sounds), duration="first", normalize=0)
    else:
        mixed = sounds[0]
    samples = samples_of(plan)
    return mixed.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def _track(track: Track, task: Path) -> Any:
    loop = {"stream_loop": -1} if track.loops else {}
    sound = ffmpeg.input(file_url(task / track.source), **loop, **_SOUND)["a:0"].filter("aresample", SAMPLE_RATE)
    gain = track.gain * (MONO_TO_STEREO if track.channels == 1 else 1.0)
    return sound.filter("aformat", channel_layouts="stereo").filter("volume", f"{gain:.6g}")


def audio_options(profile: Profile) -> dict[str, Any]:
    """The encoder. Its fast search is, by its own manual, the better one from 64 kbit/s on."""
    coder = {"c:a": "aac", "aac_coder": "fast", "b:a": f"{profile.audio_kbps}k"}
    return {**coder, "ar": SAMPLE_RATE, "ac": 2}


def encode_whole(plan: RenderPlan, task: Path, target: Path) -> list[str]:
    """Mix and encode in one."""
    return _spelled(mix(plan, task), target, {**audio_options(plan.profile), "f": "adts"})


def mix_down(plan: RenderPlan, task: Path, target: Path) -> list[str]:
    """Mix only, for parts to be encoded from; in chunks of a second, since each goes through several threads."""
    sound = mix(plan, task).filter("aformat", sample_fmts="s16").filter("asetnsamples", n=SAMPLE_RATE, p=0)
    return _spelled(sound, target, {**_RAW, "c:a": "pcm_s16le"})


def encode_part(part: Part, mixed: Path, target: Path, profile: Profile) -> list[str]:
    """Encode some packets of a mix."""
    early = min(part.first, _RUN_UP)
    skipped = (part.first - early) * PACKET_SAMPLES
    sound = ffmpeg.input(file_url(mixed), **_RAW, skip_initial_bytes=skipped * BYTES_PER_SAMPLE)
    sound = sound["a:0"].filter("atrim", end_sample=(part.end + _RUN_UP) * PACKET_SAMPLES - skipped)
    kept = f"noise=drop=lt(n\\,{early})+gte(n\\,{early + part.end - part.first})"
    return _spelled(sound, target, {**audio_options(profile), "bsf:a": kept, "f": "adts"})


def packet_times(samples: int) -> str:
    """The bitstream filter that gives ADTS packets their times: before zero for the first, and short for the last."""
    last = packets_of(samples) - 1
    rest = samples - (last - 1) * PACKET_SAMPLES
    length = f"if(eq(N\\,{last})\\,{rest}\\,{PACKET_SAMPLES})"
    return f"setts=ts=(N-1)*{PACKET_SAMPLES}/({SAMPLE_RATE}*TB):duration={length}/({SAMPLE_RATE}*TB)"


def _spelled(stream: Any, target: Path, options: dict[str, Any]) -> list[str]:
    command: list[str] = ffmpeg.output(stream, file_url(target), **options).compile(overwrite_output=True)
    return command[1:]
