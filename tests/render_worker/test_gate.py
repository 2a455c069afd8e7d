"""The gate lets good results through, and tells what it finds with figures; test_planted_faults.py has the faults."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.commands.direct import direct
from render_worker.gate import Decoded, GateClosed, Judged, Seen, boxes_of, check, look
from render_worker.limits import at_most
from render_worker.packets import Packet, Stream
from render_worker.tool import Tool
from render_worker.tracks import FilmTrack
from shared.domain.errors import Stopped
from shared.domain.loudness import Block
from shared.domain.plan import Canvas, Captions, Profile, RenderPlan, Shot, Track
from shared.meter import Heard

RunFfmpeg = Callable[..., bytes]

PLAN = RenderPlan(
    Canvas(320, 180, Fraction(30)),
    Profile("libx264", quality=21, preset="ultrafast", audio_kbps=192),
    seconds=1.99,
    frames=60,
    shots=(Shot("h264.mp4", 60, 60),),
    layers=(),
    tracks=(Track("voice.mp3", 1.0, channels=1),),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, media: Callable[[str], Path], run_ffmpeg: RunFfmpeg) -> Path:
    """A result with nothing wrong, made as the worker makes it."""
    task = tmp_path_factory.mktemp("good")
    (task / "h264.mp4").symlink_to(media("h264.mp4"))
    (task / "voice.mp3").symlink_to(media("voice.mp3"))
    final = task / "final.mp4"
    run_ffmpeg(*direct(PLAN, task, final, task / "clips.luma"))
    return final


@pytest.fixture
def judge(tool: Tool) -> Callable[[Path], set[str]]:
    """The names of the checks that a file fails."""

    def failed(final: Path) -> set[str]:
        try:
            check(look(final, tool, tool.scratch, decode=True), PLAN)
        except GateClosed as closed:
            return {check.name for check in closed.checks if not check.passed}
        return set()

    return failed


@pytest.fixture
def seen(good: Path, tool: Tool) -> Seen:
    """What is seen of the good result without decoding its picture, as if it were a join."""
    return look(good, tool, tool.scratch, decode=False)


HEARD = Heard(tuple(Block(number / 10, -20.0) for number in range(4, 20)), -3.0)


def judged(seen: Seen) -> Judged:
    """A picture as it stands in the records of its segments, and a sound as it was when it was encoded."""
    picture, sound = ([(p.size, p.checksum) for p in seen.stream(codec).packets] for codec in ("h264", "aac"))
    return Judged(picture, seen.stream("h264").facts["extradata"], sound, HEARD)


def with_packets(seen: Seen, change: Callable[[list[Packet]], list[Packet]]) -> Seen:
    """The same file with other packets in its picture."""
    picture, sound = seen.streams
    return replace(seen, streams=(Stream(picture.facts, change(list(picture.packets))), sound))


def test_a_good_result_passes_every_check(good: Path, tool: Tool) -> None:
    """All checks are told, all are passed, and the gate leaves nothing behind."""
    checks = check(look(good, tool, tool.scratch, decode=True), PLAN)
    assert all(check.passed for check in checks)
    assert {"frames", "packets", "streams", "seconds of sound", "index in front"} <= {check.name for check in checks}
    assert not list(tool.scratch.iterdir())
    assert tool.errors_to
    assert not tool.errors_to.exists()


def test_sound_is_measured_to_the_sample(good: Path, tool: Tool) -> None:
    """What was decoded of it is as long as the plan, and is not taken for a stream of the file."""
    seen = look(good, tool, tool.scratch, decode=True)
    assert seen.sound
    assert seen.sound.seconds == PLAN.seconds
    assert [stream.facts["codec_id"] for stream in seen.streams] == ["h264", "aac"]


def test_a_silent_film_is_seen_as_it_is(good: Path, tool: Tool, tmp_path: Path, run_ffmpeg: RunFfmpeg) -> None:
    """Where there is no sound to decode, the picture is listed all the same."""
    silent = tmp_path / "silent.mp4"
    run_ffmpeg("-i", good, "-c:v", "copy", "-an", silent)
    seen = look(silent, tool, tool.scratch, decode=True)
    assert [stream.facts["codec_id"] for stream in seen.streams] == ["h264"]
    assert len(seen.stream("h264").packets) == PLAN.frames
    assert seen.sound
    assert seen.sound.seconds == 0.0


def test_missing_captions_are_found(seen: Seen) -> None:
    """Neither a missing track nor a caption too few passes."""
    plan = replace(PLAN, captions=Captions("captions.vtt", "eng", 2))
    with pytest.raises(GateClosed) as closed:
        check(seen, plan, judged(seen))
    assert {found.name for found in closed.value.checks if not found.passed} == {
        "streams",
        "captions",
        "languages of the captions",
    }
    words, none = Packet(0, 0, 48_000, 12, "0x1", is_key=True), Packet(48_000, 48_000, 48_000, 2, "0x2", is_key=True)
    texts = Stream({"codec_id": "mov_text", "media_type": "subtitle"}, [words, none])
    tracks = (*seen.tracks, FilmTrack("sbtl", "tx3g", "eng"))
    captioned = replace(seen, streams=(*seen.streams, texts), tracks=tracks)
    with pytest.raises(GateClosed, match="captions is 1, must be 2"):
        check(captioned, plan, judged(seen))
    texts.packets.append(words)
    assert check(captioned, plan, judged(seen))


def test_what_went_wrong_in_making_closes_the_gate(seen: Seen) -> None:
    """However good the file looks; all checks are told together."""
    swift = at_most("bytes written in a second", 2 * 10**12, 1e11)
    with pytest.raises(GateClosed, match="bytes written in a second is 2000000000000, must be at most "):
        check(seen, PLAN, judged(seen), swift)
    assert at_most("x", 1, 1) in check(seen, PLAN, judged(seen), at_most("x", 1, 1))


def test_words_in_the_picture_have_no_track_beside_them(seen: Seen) -> None:
    """They would be shown twice."""
    plan = replace(PLAN, captions=Captions("captions.vtt", "eng", 1, "burned"))
    assert check(seen, plan, judged(seen))
    words = Packet(0, 0, 48_000, 12, "0x1", is_key=True)
    texts = Stream({"codec_id": "mov_text", "media_type": "subtitle"}, [words])
    with pytest.raises(GateClosed, match="streams is"):
        check(replace(seen, streams=(*seen.streams, texts)), plan, judged(seen))


def test_a_good_join_passes_by_its_packets(seen: Seen) -> None:
    """Where packets are those judged before, the picture is not decoded again."""
    checks = check(seen, PLAN, judged(seen))
    assert all(check.passed for check in checks)
    assert "packets that are not those judged before" in {check.name for check in checks}
    assert "frames" not in {check.name for check in checks}


STRANGE: dict[str, tuple[Callable[[list[Packet]], list[Packet]], int, str]] = {
    "one has another content": (
        lambda packets: [*packets[:9], packets[9]._replace(checksum="0x00000000"), *packets[10:]],
        1,
        "packets that are not those judged before",
    ),
    "one has another size": (
        lambda packets: [*packets[:-1], packets[-1]._replace(size=packets[-1].size + 1)],
        1,
        "packets that are not those judged before",
    ),
    "two have changed places": (
        lambda packets: [*packets[:4], packets[5], packets[4], *packets[6:]],
        2,
        "packets that are not those judged before",
    ),
    "the last one is missing": (lambda packets: packets[:-1], 1, "packets"),
    "the first one comes twice": (lambda packets: [packets[0], *packets], 60, "different packet steps"),
    "there are none": (lambda _: [], 60, "first packet is a keyframe"),
    "one is shown late": (
        lambda packets: [*packets[:-1], packets[-1]._replace(pts=packets[-1].pts + 1)],
        0,
        "different packet steps",
    ),
    "they begin within a group of pictures": (
        lambda packets: [packets[0]._replace(is_key=False), *packets[1:]],
        0,
        "first packet is a keyframe",
    ),
}


@pytest.mark.parametrize("fault", STRANGE)
def test_a_planted_fault_of_a_join_is_found(fault: str, seen: Seen) -> None:
    """Packets that are not those judged before are counted, and the check that is there for the fault fails."""
    change, count, name = STRANGE[fault]
    with pytest.raises(GateClosed) as closed:
        check(with_packets(seen, change), PLAN, judged(seen))
    failed = {check.name: check.measured for check in closed.value.checks if not check.passed}
    assert name in failed
    assert failed.get("packets that are not those judged before", 0) == count


def test_a_picture_that_decodes_badly_is_found(seen: Seen) -> None:
    """An exit status or a complaint closes the gate, even with every frame there."""
    for decoded in (Decoded(1, "", 60), Decoded(0, "error while decoding MB", 60), Decoded(0, "", 59)):
        with pytest.raises(GateClosed):
            check(replace(seen, picture=decoded), PLAN)
    assert check(replace(seen, picture=Decoded(0, "", 60)), PLAN)


def test_every_fault_is_told_with_figures(good: Path, tool: Tool) -> None:
    """The error names each failed check with what was measured and what it must be."""
    longer = replace(PLAN, seconds=3.0, frames=90)
    with pytest.raises(GateClosed, match="frames is 60, must be 90") as closed:
        check(look(good, tool, tool.scratch, decode=True), longer)
    assert "seconds of sound is 1.99" in str(closed.value)
    assert len(closed.value.checks) > sum(not check.passed for check in closed.value.checks)


def test_checking_can_be_stopped(good: Path, tool: Tool) -> None:
    """A worker that is asked to stop does not finish decoding first."""
    with pytest.raises(Stopped):
        look(good, replace(tool, stopping=lambda: True), tool.scratch, decode=True)


def test_a_copy_of_a_good_result_is_good(good: Path, tmp_path: Path, judge: Callable[[Path], set[str]]) -> None:
    """The gate judges the content, not the name."""
    shutil.copy(good, tmp_path / "a copy with blanks: 1%.bin")
    assert judge(tmp_path / "a copy with blanks: 1%.bin") == set()


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return (len(content) + 8 if size is None else size).to_bytes(4) + kind + content


@pytest.mark.parametrize(
    ("content", "in_front"),
    [
        (box(b"ftyp", b"isom") + box(b"moov") + box(b"mdat"), True),
        (box(b"ftyp", b"isom") + box(b"mdat") + box(b"moov"), False),
        (box(b"ftyp", b"isom") + box(b"free", b"x" * 100) + box(b"moov") + box(b"mdat"), True),
        (box(b"wide", (24).to_bytes(8) + b"x" * 8, size=1) + box(b"moov"), True),
        (box(b"free", (24).to_bytes(8) + b"x" * 8, size=1) + box(b"mdat"), False),
        (box(b"free", size=0) + box(b"moov"), False),
        (box(b"free", size=7) + box(b"moov"), False),
        (box(b"free", (3).to_bytes(8), size=1) + box(b"moov"), False),
        (box(b"ftyp", b"isom", size=1 << 31), False),
        (box(b"ftyp", b"isom"), False),
        (b"\x00\x00\x00", False),
        (b"", False),
    ],
)
def test_the_index_is_in_front_when_moov_comes_first(tmp_path: Path, content: bytes, in_front: bool) -> None:
    """Boxes are skipped by their sizes, long ones included; sizes that cannot be are no index in front."""
    path = tmp_path / "boxes.mp4"
    path.write_bytes(content)
    assert (boxes_of(path)[-1:] == ("moov",)) is in_front
