"""The gate finds every fault that was planted in a good result, and lets the good one through."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker import command
from render_worker.encoders import LIBX264
from render_worker.gate import GateClosed, inspect, is_fast_start, packet_times
from shared.domain.errors import Stopped
from shared.domain.plan import Canvas, RenderPlan, Shot, Track
from shared.ffmpeg import Ffmpeg

RunFfmpeg = Callable[..., bytes]

PLAN = RenderPlan(
    Canvas(320, 180, Fraction(30)),
    seconds=1.99,
    frames=60,
    shots=(Shot("h264.mp4", 60),),
    tracks=(Track("voice.mp3", 1.0, channels=1),),
    logo=None,
)

PICTURE = ("-c:v", "libx264", "-preset", "ultrafast", "-video_track_timescale", "30000")
FRONT = ("-movflags", "+faststart")
NO_FRAME_30 = ("-vf", r"select=not(eq(n\,30))", "-fps_mode", "passthrough", *PICTURE, "-c:a", "copy", *FRONT)

# What is done to a good file, and the check that must find it.
FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "a frame is missing": (NO_FRAME_30, "frames"),
    "there is a hole between two packets": (NO_FRAME_30, "different packet steps"),
    "the end is missing": (("-c", "copy", "-t", "1.5", *FRONT), "packets"),
    "the picture lasts twice as long": (
        (*("-vf", "setpts=2*PTS", "-r", "30"), *PICTURE, "-c:a", "copy", *FRONT),
        "seconds of picture",
    ),
    "the same frames are shown at half the rate": (
        ("-vf", "setpts=2*PTS", "-r", "15", *PICTURE, "-c:a", "copy", *FRONT),
        "frame rate",
    ),
    "the rate is nearly right": (("-vf", "setpts=PTS*1.001", "-r", "30000/1001", *PICTURE, *FRONT), "frame rate"),
    "the picture has another size": (("-vf", "scale=320:178", *PICTURE, "-c:a", "copy", *FRONT), "size"),
    "the picture has another codec": (("-c:v", "mpeg4", "-c:a", "copy", *FRONT), "streams"),
    "the sound has another codec": (("-c:v", "copy", "-c:a", "libmp3lame", *FRONT), "streams"),
    "there is no sound": (("-c:v", "copy", "-an", *FRONT), "streams"),
    "there is no picture": (("-c:a", "copy", "-vn", *FRONT), "streams"),
    "there are two sounds": (("-map", "0:v", "-map", "0:a", "-map", "0:a", "-c", "copy", *FRONT), "streams"),
    "the sound ends before the voice does": (
        ("-c:v", "copy", "-af", "atrim=end=1.8", "-c:a", "aac", *FRONT),
        "seconds of sound",
    ),
    "the sound goes on behind the voice": (
        ("-c:v", "copy", "-af", "apad=pad_dur=0.3", "-c:a", "aac", *FRONT),
        "seconds of sound",
    ),
    "the index is at the end": (("-c", "copy"), "index in front"),
    "it is another container": (("-c", "copy", "-f", "matroska"), "container"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, media: Callable[[str], Path], run_ffmpeg: RunFfmpeg) -> Path:
    """A result with nothing wrong, made as the worker makes it."""
    task = tmp_path_factory.mktemp("good")
    (task / "h264.mp4").symlink_to(media("h264.mp4"))
    (task / "voice.mp3").symlink_to(media("voice.mp3"))
    final = task / "final.mp4"
    run_ffmpeg(*command.direct(PLAN, task, final, command.Encoding(LIBX264, 21, "ultrafast", 192)))
    return final


@pytest.fixture
def judge(tmp_path: Path, ffmpeg: Ffmpeg) -> Callable[[Path], set[str]]:
    """The names of the checks that a file fails."""

    def failed(final: Path) -> set[str]:
        try:
            inspect(final, PLAN, ffmpeg, tmp_path, tmp_path / "stderr.log", lambda: False)
        except GateClosed as closed:
            return {check.name for check in closed.checks if not check.passed}
        return set()

    return failed


def test_a_good_result_passes_every_check(good: Path, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """All checks are told, all are passed, and the gate leaves nothing behind."""
    checks = inspect(good, PLAN, ffmpeg, tmp_path, tmp_path / "stderr.log", lambda: False)
    assert all(check.passed for check in checks)
    assert {"frames", "packets", "streams", "seconds of sound", "index in front"} <= {check.name for check in checks}
    assert [path.name for path in tmp_path.iterdir()] == ["stderr.log"]
    assert (tmp_path / "stderr.log").read_bytes() == b""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(
    fault: str, good: Path, tmp_path: Path, run_ffmpeg: RunFfmpeg, judge: Callable[[Path], set[str]]
) -> None:
    """Each fault fails at least the check that is there for it."""
    arguments, check = FAULTS[fault]
    bad = tmp_path / "bad.mp4"
    run_ffmpeg("-i", good, *(arguments if "-f" in arguments else (*arguments, "-f", "mp4")), bad)
    assert check in judge(bad)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_a_cut_file_is_found(share: float, good: Path, tmp_path: Path, judge: Callable[[Path], set[str]]) -> None:
    """A file that ends early does not pass, although its index in front still declares the whole length."""
    cut = tmp_path / "cut.mp4"
    content = good.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    assert judge(cut)


def test_damage_in_the_middle_is_found(good: Path, tmp_path: Path, judge: Callable[[Path], set[str]]) -> None:
    """Bytes of the picture that were overwritten are noticed by the decoder's complaints."""
    hurt = tmp_path / "hurt.mp4"
    content = bytearray(good.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\xff" * 2000
    hurt.write_bytes(content)
    assert "complaints of the decoder" in judge(hurt)


def test_every_fault_is_told_with_figures(good: Path, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """The error names each failed check with what was measured and what it must be."""
    longer = RenderPlan(PLAN.canvas, 3.0, 90, PLAN.shots, PLAN.tracks, None)
    with pytest.raises(GateClosed, match="frames is 60, must be 90") as closed:
        inspect(good, longer, ffmpeg, tmp_path, tmp_path / "stderr.log", lambda: False)
    assert "seconds of sound is 1.99" in str(closed.value)
    assert len(closed.value.checks) > sum(not check.passed for check in closed.value.checks)


def test_checking_can_be_stopped(good: Path, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """A worker that is asked to stop does not finish decoding first."""
    with pytest.raises(Stopped):
        inspect(good, PLAN, ffmpeg, tmp_path, tmp_path / "stderr.log", lambda: True)


def test_a_copy_of_a_good_result_is_good(good: Path, tmp_path: Path, judge: Callable[[Path], set[str]]) -> None:
    """The gate judges the content, not the name."""
    shutil.copy(good, tmp_path / "a copy with blanks: 1%.bin")
    assert judge(tmp_path / "a copy with blanks: 1%.bin") == set()


def test_packet_times_are_sorted_presentation_times() -> None:
    """Packets come in decoding order with comments between them; the third column counts."""
    rows = ["0, -2000, 0, 1000, 9, 0xa", "0, -1000, 3000, 1000, 9, 0xb, F=0x0", "0, 0, 1000, 1000, 9, 0xc"]
    table = "\n".join(["#software: x", "#tb 0: 1/30000", *rows, ""])
    assert packet_times(table) == [0, 1000, 3000]
    assert packet_times("") == []
    assert packet_times("#tb 0: 1/30000\n") == []


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
    assert is_fast_start(path) is in_front
