"""Packets as ffmpeg lists them: parsed whole, with nothing made up."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from render_worker.packets import Packet, Stream, parse_packets, same_content

TABLE = """#format: frame checksums
#version: 2
#hash: CRC32
#extradata 0,       42, 0x1234abcd
#software: Lavf62.3.100
#tb 0: 1/30000
#media_type 0: video
#codec_id 0: h264
#dimensions 0: 128x72
#sar 0: 1/1
#tb 1: 1/48000
#media_type 1: audio
#codec_id 1: aac
#sample_rate 1: 48000
0,      -2000,          0,     1000,      900, 0xaaaaaaaa
1,      -1024,      -1024,     1024,       23, 0x11111111, F=0x5, S=1,       10, 0x02020202
0,      -1000,       3000,     1000,       90, 0xbbbbbbbb, F=0x0
0,          0,       1000,     1000,       40, 0xcccccccc, F=0x4, S=1,        8, 0x01010101
0,       1000,       2000,     1000,       41, 0xdddddddd, F=0x0
1,          0,          0,     1024,       99, 0x22222222
"""


def test_a_table_becomes_its_streams() -> None:
    """Facts and packets, each with the stream they belong to; comments without a stream are left aside."""
    picture, sound = parse_packets(TABLE)
    assert picture.facts["codec_id"] == "h264"
    assert picture.facts["dimensions"] == "128x72"
    assert (picture.tick, sound.tick) == (Fraction(1, 30_000), Fraction(1, 48_000))
    assert picture.packets[0] == Packet(dts=-2000, pts=0, duration=1000, size=900, checksum="0xaaaaaaaa", is_key=True)
    assert [packet.is_key for packet in picture.packets] == [True, False, False, False]
    assert [packet.pts for packet in sound.packets] == [-1024, 0]


def test_a_stream_knows_its_steps_its_length_and_its_order() -> None:
    """Presentation times count, not the order of the file."""
    picture, _ = parse_packets(TABLE)
    assert picture.steps == [1000]
    assert picture.seconds == 0.1
    assert picture.order() == [0, 3, 1, 2]


def test_a_stream_without_packets_is_nothing_to_stumble_over() -> None:
    """An empty file, and one that only has a header, have no packets, no steps and no length."""
    assert parse_packets("") == []
    (empty,) = parse_packets("#tb 0: 1/30000\n")
    assert (empty.packets, empty.steps, empty.seconds, empty.order()) == ([], [], 0.0, [])
    assert Stream().tick == 0


def test_a_line_that_is_cut_off_is_no_packet() -> None:
    """A table whose writer was killed ends anywhere."""
    (stream,) = parse_packets("0, 0, 0, 1000, 9, 0xa\n0, 1000, 10")
    assert len(stream.packets) == 1


packets = st.builds(
    Packet,
    dts=st.integers(-(2**40), 2**40),
    pts=st.integers(-(2**40), 2**40),
    duration=st.integers(0, 2**31),
    size=st.integers(0, 2**31),
    checksum=st.integers(0, 2**32 - 1).map("0x{:08x}".format),
    is_key=st.booleans(),
)


@given(st.lists(st.lists(packets, min_size=1, max_size=20), max_size=3))
def test_what_is_written_is_read(streams: list[list[Packet]]) -> None:
    """Every packet of every stream comes back, in its order."""
    lines = [
        f"{number}, {packet.dts:10d}, {packet.pts:10d}, {packet.duration:8d}, {packet.size:8d}, {packet.checksum}"
        + ("" if packet.is_key else ", F=0x0")
        for number, stream in enumerate(streams)
        for packet in stream
    ]
    assert [stream.packets for stream in parse_packets("\n".join(lines))] == streams


@given(st.lists(packets, max_size=10))
def test_content_is_sizes_and_checksums(found: list[Packet]) -> None:
    """Times do not matter, order and number do."""
    wanted = [(packet.size, packet.checksum) for packet in found]
    assert same_content(found, wanted)
    assert not same_content(found, [*wanted, (1, "0x00000000")])
    if found:
        assert not same_content(found[:-1], wanted)
        assert not same_content(found, [(found[0].size + 1, found[0].checksum), *wanted[1:]])
