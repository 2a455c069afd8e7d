"""The sound of a plan: its tracks mixed, and the mix encoded, whole or in parts.

With a master voice and music become one programme: the music gives way to the voice by a side chain, the voice is made
up for what the limiter takes from it, and that holds the peaks of both. Without one the tracks keep their levels:
``normalize=0``, since `amix` halves them, and a mono voice keeps its own (the default mono-to-stereo conversion takes
3 dB). Either has exactly the samples of the plan's length: the option ``-t`` rounds.

AAC (ISO/IEC 14496-3) codes frames of 1,024 samples, each overlapping the one before; the encoder's first packet is only
that overlap. Packet `j` of a whole encode thus completes samples ``(j - 1) * 1024`` to ``j * 1024``. A part is encoded
with some packets more on either side, whose packets are then dropped, so that the parts' packets are those of a whole
encode but for the encoder's memory.

What is encoded is decoded again and measured in the same run of ffmpeg, and its packets are listed; so whoever finds
these packets in a film knows how they sound.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from shared.domain.mix import Master
from shared.domain.plan import Profile, RenderPlan, Track
from shared.ffmpeg import file_url
from shared.limiter import limiter
from shared.meter import MOMENTARY

SAMPLE_RATE = 48_000
PACKET_SAMPLES = 1024
BYTES_PER_SAMPLE = 4  # of a mix on the way: two channels of 16 bits
MONO_TO_STEREO = math.sqrt(2)  # makes up for the 3 dB that ffmpeg takes when it spreads one channel over two
_RUN_UP = 4  # packets by which a part's encoder starts early and ends late
_SOUND = {"f": "mp3", "protocol_whitelist": "file", "format_whitelist": "mp3"}
_RAW = {"f": "s16le", "ar": SAMPLE_RATE, "ac": 2}

# The voice that drives the ducking is brought to a level at which it clips, so that the music goes down by about the
# same, however loudly somebody speaks. This far below clipping begins what moves the music; speech comes to this much
# above that.
_KEY_DB, _SPOKEN_DB = 20.0, 18.0
_HEARD_SECONDS = 0.001  # a shorter fade is none


@dataclass(frozen=True)
class Part:
    """Packets `first` up to `end` of a sound."""

    first: int
    end: int

    @property
    def bytes_needed(self) -> int:
        """How much of the mix its encoder reads, from the beginning."""
        return (self.end + _RUN_UP) * PACKET_SAMPLES * BYTES_PER_SAMPLE

    @property
    def start(self) -> float:
        """When it begins, in seconds."""
        return max(0, self.first - 1) * PACKET_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True)
class Encoded:
    """Where an encoded sound goes: its ADTS packets, to a file or a pipe, and the list of them (ffmpeg's framecrc)."""

    sound: Path
    packets: Path


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
    """The tracks together; exactly as long as the plan."""
    sounds = [_track(track, task) for track in plan.tracks]
    mixed = _programme(sounds, plan.master, plan.seconds) if plan.master else _added(sounds)
    samples = samples_of(plan)
    return mixed.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def _track(track: Track, task: Path) -> Any:
    loop = {"stream_loop": -1} if track.loops else {}
    sound = ffmpeg.input(file_url(task / track.source), **loop, **_SOUND)["a:0"].filter("aresample", SAMPLE_RATE)
    gain = track.gain * (MONO_TO_STEREO if track.channels == 1 else 1.0)
    return sound.filter("aformat", channel_layouts="stereo").filter("volume", f"{gain:.6g}")


def _added(sounds: list[Any]) -> Any:
    if len(sounds) == 1:
        return sounds[0]
    return ffmpeg.filter(sounds, "amix", inputs=len(sounds), duration="first", normalize=0)


def _programme(sounds: list[Any], master: Master, seconds: float) -> Any:
    """The voice, and the music that gives way to it; brought to one loudness, with its peaks held."""
    voice, *music = sounds
    if music:
        split = voice.filter_multi_output("asplit", 2)
        voice, key = split.stream(0), split.stream(1)
        under = music[0].filter("volume", f"{master.music_db:g}dB") if master.music_db else music[0]
        music = [_ducked(_faded(under, master, seconds), key, master)]
    voice = voice.filter("volume", f"{master.gain_db:g}dB")
    return _added([voice, *music]).filter("alimiter", **limiter(master.limit_db))


def _faded(music: Any, master: Master, seconds: float) -> Any:
    """Faded in and out, in no more than a quarter of the time each."""
    fade_in, fade_out = (
        min(fade, seconds / 4) for fade in (master.wanted.fade_in_seconds, master.wanted.fade_out_seconds)
    )
    if fade_in > _HEARD_SECONDS:
        music = music.filter("afade", type="in", duration=f"{fade_in:.6f}")
    if fade_out > _HEARD_SECONDS:
        music = music.filter("afade", type="out", start_time=f"{seconds - fade_out:.6f}", duration=f"{fade_out:.6f}")
    return music


def _ducked(music: Any, key: Any, master: Master) -> Any:
    wanted = master.wanted
    loud = key.filter("volume", f"{-_KEY_DB - master.speech_db:g}dB").filter("asoftclip", type="hard")
    return ffmpeg.filter(
        [music, loud],
        "sidechaincompress",
        threshold=f"{10 ** (-_KEY_DB / 20):.6g}",
        ratio=f"{1 / (1 - wanted.duck_db / _SPOKEN_DB):.6g}",
        attack=f"{1000 * wanted.attack_seconds:g}",
        release=f"{1000 * wanted.release_seconds:g}",
    )


def audio_options(profile: Profile) -> dict[str, Any]:
    """The encoder. Its fast search is, by its own manual, the better one from 64 kbit/s on."""
    coder = {"c:a": "aac", "aac_coder": "fast", "b:a": f"{profile.audio_kbps}k"}
    return {**coder, "ar": SAMPLE_RATE, "ac": 2}


def encode_whole(plan: RenderPlan, task: Path, encoded: Encoded) -> list[str]:
    """Mix, encode and measure in one."""
    return _encoded(mix(plan, task), encoded, plan.profile)


def mix_down(plan: RenderPlan, task: Path, target: Path) -> list[str]:
    """Mix only, for parts to be encoded from; in chunks of a second, since each goes through several threads."""
    sound = mix(plan, task).filter("aformat", sample_fmts="s16").filter("asetnsamples", n=SAMPLE_RATE, p=0)
    command: list[str] = ffmpeg.output(sound, file_url(target), **_RAW, **{"c:a": "pcm_s16le"}).compile(
        overwrite_output=True
    )
    return command[1:]


def encode_part(part: Part, mixed: Path, encoded: Encoded, profile: Profile) -> list[str]:
    """Encode some packets of a mix, and measure them."""
    early = min(part.first, _RUN_UP)
    skipped = (part.first - early) * PACKET_SAMPLES
    sound = ffmpeg.input(file_url(mixed), **_RAW, skip_initial_bytes=skipped * BYTES_PER_SAMPLE)
    sound = sound["a:0"].filter("atrim", end_sample=(part.end + _RUN_UP) * PACKET_SAMPLES - skipped)
    return _encoded(sound, encoded, profile, (early, early + part.end - part.first))


def _encoded(stream: Any, encoded: Encoded, profile: Profile, kept: tuple[int, int] | None = None) -> list[str]:
    """Encode into two outputs at once, and decode again; of the packets, keep those from one number up to another."""
    targets = (f"[f=adts]{_in_tee(encoded.sound)}", f"[f=framecrc]{_in_tee(encoded.packets)}")
    options, cut = audio_options(profile), ""
    if kept:
        first, end = kept
        options["bsf:a"] = f"noise=drop=lt(n\\,{first})+gte(n\\,{end})"
        cut = f"atrim=start_sample={first * PACKET_SAMPLES}:end_sample={end * PACKET_SAMPLES},asetpts=PTS-STARTPTS,"
    command: list[str] = ffmpeg.output(stream, "|".join(targets), f="tee", **options).compile(overwrite_output=True)
    heard = ["-dec", "0:0", "-filter_complex", f"[dec:0]{cut}{MOMENTARY}[heard]", "-map", "[heard]", "-f", "null", "-"]
    return [*command[1:], *heard]


def _in_tee(path: Path) -> str:
    """A path as the tee muxer takes it."""
    return re.sub(r"([\\'|])", r"\\\1", file_url(path))


def packet_times(samples: int) -> str:
    """The bitstream filter that gives ADTS packets their times: before zero for the first, and short for the last."""
    last = packets_of(samples) - 1
    rest = samples - (last - 1) * PACKET_SAMPLES
    length = f"if(eq(N\\,{last})\\,{rest}\\,{PACKET_SAMPLES})"
    return f"setts=ts=(N-1)*{PACKET_SAMPLES}/({SAMPLE_RATE}*TB):duration={length}/({SAMPLE_RATE}*TB)"
