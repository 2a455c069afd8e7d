"""The sound's commands, word for word, and its division into parts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from render_worker.commands.sounds import (
    Encoded,
    Part,
    audio_options,
    encode_part,
    encode_whole,
    mix_down,
    packet_times,
    packets_of,
    parts_of,
    samples_of,
)
from shared.domain.mix import Broadcast, Master
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track, exact_rate

TASK = Path("/farm/processing/id")
SCRATCH = TASK / "attempt-1-ab/scratch"
PROFILE = Profile("libx264", quality=21, preset="medium", audio_kbps=192)
PLAN = RenderPlan(
    Canvas(1920, 1080, exact_rate(29.97)),
    PROFILE,
    seconds=12.34,
    frames=370,
    shots=(Shot("video_part1.mp4", 370, 370),),
    layers=(),
    tracks=(Track("voice.mp3", 1.0, channels=1), Track("music.mp3", 0.25, channels=2, loops=True)),
)
CAGE = ("-f", "mp3", "-format_whitelist", "mp3", "-protocol_whitelist", "file")
INPUTS = (*CAGE, "-i", f"file:{TASK}/voice.mp3", *CAGE, "-stream_loop", "-1", "-i", f"file:{TASK}/music.mp3")
MIX = (
    "[0:a:0]aresample=48000[s0];[s0]aformat=channel_layouts=stereo[s1];[s1]volume=1.41421[s2];"
    "[1:a:0]aresample=48000[s3];[s3]aformat=channel_layouts=stereo[s4];[s4]volume=0.25[s5];"
    "[s2][s5]amix=duration=first:inputs=2:normalize=0[s6];"
    "[s6]apad=whole_len=592320[s7];[s7]atrim=end_sample=592320[s8]"
)
AAC = ("-aac_coder", "fast", "-ac", "2", "-ar", "48000", "-b:a", "192k")


ENCODED = Encoded(SCRATCH / "sound.aac", SCRATCH / "sound.packets")
INTO = ("-f", "tee")
TEE = f"[f=adts]file:{SCRATCH}/sound.aac|[f=framecrc]file:{SCRATCH}/sound.packets"
METER = "ebur128=metadata=1:peak=true:framelog=quiet,ametadata=mode=print:file=-:direct=1"


def heard(cut: str = "") -> tuple[str, ...]:
    """What decodes the encoder's packets again, and measures them."""
    measured = ("-filter_complex", f"[dec:0]{cut}{METER}[heard]", "-map", "[heard]", "-f", "null", "-")
    return ("-dec", "0:0", *measured)


def test_a_short_sound_is_mixed_and_encoded_at_once() -> None:
    """Voice and looped music become ADTS of exactly the plan's samples, and a list of its packets; it is heard."""
    assert encode_whole(PLAN, TASK, ENCODED) == [
        *(*INPUTS, "-filter_complex", MIX, "-map", "[s8]", *INTO, *AAC, "-c:a", "aac", TEE, "-y"),
        *heard(),
    ]


def test_a_programme_ducks_its_music_and_holds_its_peaks() -> None:
    """The voice drives a compressor of the music; both get one gain, and a limiter before the length is made exact."""
    wanted = Broadcast(duck_db=9.0, attack_seconds=0.03, release_seconds=0.6)
    master = Master(wanted, gain_db=1.5, limit_db=-2.0, most_gain_db=20.0, speech_db=-34.0)
    graph = encode_whole(replace(PLAN, master=master), TASK, ENCODED)
    assert graph[graph.index("-filter_complex") + 1] == (
        "[0:a:0]aresample=48000[s0];[s0]aformat=channel_layouts=stereo[s1];[s1]volume=1.41421[s2];"
        "[s2]asplit=2[s3][s4];[s3]volume=1.5dB[s5];"
        "[1:a:0]aresample=48000[s6];[s6]aformat=channel_layouts=stereo[s7];[s7]volume=0.25[s8];"
        "[s8]afade=duration=1.000000:type=in[s9];[s9]afade=duration=3.000000:start_time=9.340000:type=out[s10];"
        "[s4]volume=14dB[s11];[s11]asoftclip=type=hard[s12];"
        "[s10][s12]sidechaincompress=attack=30:ratio=2:release=600:threshold=0.1[s13];"
        "[s5][s13]amix=duration=first:inputs=2:normalize=0[s14];"
        "[s14]alimiter=attack=5:latency=1:level=0:limit=-2.000dB:release=50[s15];"
        "[s15]apad=whole_len=592320[s16];[s16]atrim=end_sample=592320[s17]"
    )


def test_a_long_sound_is_mixed_first() -> None:
    """The same mix, as plain samples, a second at a time."""
    chunks = f"{MIX};[s8]aformat=sample_fmts=s16[s9];[s9]asetnsamples=n=48000:p=0[s10]"
    assert mix_down(PLAN, TASK, SCRATCH / "mixed.s16") == [
        *(*INPUTS, "-filter_complex", chunks, "-map", "[s10]", "-f", "s16le", "-ac", "2", "-ar", "48000"),
        *("-c:a", "pcm_s16le", f"file:{SCRATCH}/mixed.s16", "-y"),
    ]


def test_a_voice_alone_is_not_mixed() -> None:
    """One track has no amix."""
    alone = replace(PLAN, tracks=PLAN.tracks[:1])
    assert "amix" not in " ".join(encode_whole(alone, TASK, ENCODED))


def test_a_part_is_encoded_with_packets_around_it() -> None:
    """The encoder starts four packets early and ends four late; those are dropped, and not heard."""
    assert encode_part(Part(100, 200), SCRATCH / "mixed.s16", ENCODED, PROFILE) == [
        *("-f", "s16le", "-ac", "2", "-ar", "48000", "-skip_initial_bytes", str(96 * 1024 * 4)),
        *("-i", f"file:{SCRATCH}/mixed.s16", "-filter_complex", f"[0:a:0]atrim=end_sample={108 * 1024}[s0]"),
        *("-map", "[s0]", *INTO, *AAC, "-bsf:a", "noise=drop=lt(n\\,4)+gte(n\\,104)", "-c:a", "aac", TEE, "-y"),
        *heard(f"atrim=start_sample={4 * 1024}:end_sample={104 * 1024},asetpts=PTS-STARTPTS,"),
    ]


def test_the_first_part_begins_with_the_sound() -> None:
    """There is nothing before it that could be dropped."""
    words = " ".join(encode_part(Part(0, 100), SCRATCH / "mixed.s16", ENCODED, PROFILE))
    assert "-skip_initial_bytes 0 " in words
    assert "noise=drop=lt(n\\,0)+gte(n\\,100)" in words


def test_names_of_folders_mean_nothing_to_the_tee_muxer() -> None:
    """Bars, quotes and backslashes are part of the name."""
    odd = Path("/a|b'c\\d [x]")
    words = encode_whole(PLAN, TASK, Encoded(odd / "s", odd / "p"))
    assert "[f=adts]file:/a\\|b\\'c\\\\d [x]/s|[f=framecrc]file:/a\\|b\\'c\\\\d [x]/p" in words


def test_the_sound_is_stereo_at_one_rate() -> None:
    """AAC at the profile's bit rate."""
    options = audio_options(replace(PROFILE, audio_kbps=128))
    assert options == {"c:a": "aac", "aac_coder": "fast", "b:a": "128k", "ar": 48_000, "ac": 2}


def test_packets_are_told_their_times() -> None:
    """The encoder's first packet lies before zero, and the last one is as long as the sound has samples left."""
    assert packet_times(48_000) == ("setts=ts=(N-1)*1024/(48000*TB):duration=if(eq(N\\,47)\\,896\\,1024)/(48000*TB)")


@given(st.integers(1, 48_000 * 36_000), st.integers(50, 1_000), st.integers(1, 64))
def test_parts_are_the_whole_sound(samples: int, shortest: int, times: int) -> None:
    """Every packet is in exactly one part; no part is empty, and none is shorter than the one before but the last."""
    longest = shortest * times
    parts = parts_of(samples, shortest, longest)
    assert parts[0].first == 0
    assert parts[-1].end == packets_of(samples)
    assert all(earlier.end == later.first for earlier, later in pairwise(parts))
    lengths = [part.end - part.first for part in parts]
    assert lengths[:-1] == [min(shortest * 2**number, longest) for number in range(len(parts) - 1)]
    assert 1 <= lengths[-1] <= longest


@given(st.floats(0.01, 36_000))
def test_the_sound_is_as_long_as_the_voice(seconds: float) -> None:
    """To the sample; and its packets hold all samples and the encoder's first one besides."""
    samples = samples_of(replace(PLAN, seconds=seconds))
    assert abs(samples - seconds * 48_000) <= 0.5
    assert (packets_of(samples) - 2) * 1024 < samples <= (packets_of(samples) - 1) * 1024
