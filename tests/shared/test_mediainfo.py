"""MediaInfo reads hostile files in a child, and always comes back with a value."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from shared.child import Limits
from shared.domain.errors import MachineTrouble, Stopped
from shared.ffmpeg import file_url, find_ffmpeg
from shared.mediainfo import Declared, number, read_declared

NOISE = random.Random(1).randbytes(50_000)  # noqa: S311 - noise is all it is
FTYP = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
BOXES = {
    "endless": FTYP + b"\0\0\0\x01moov" + b"\xff" * 8 + NOISE,
    "nested": FTYP + b"".join(max(8, 20_000 - 8 * n).to_bytes(4, "big") + b"moov" for n in range(2_500)),
    "zero": FTYP + b"\0\0\0\0moov" + b"\0" * 5_000,
}


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 64x48 with a tone."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    arguments = [*sources, "-c:v", "libx264", "-c:a", "aac", "-f", "mp4", file_url(path)]
    assert find_ffmpeg("").run(arguments, limits=Limits(), stopping=never)[0].code == 0
    return path


def test_a_clip_declares_its_tracks(clip: Path) -> None:
    """Container, picture and sound, with the figures ingest asks for."""
    declared = read_declared(clip, never)
    assert declared
    assert declared.container == "MPEG-4"
    (video,), (audio,) = declared.video, declared.audio
    assert (number(video, "width"), number(video, "height")) == (64, 48)
    assert (number(video, "frame_rate"), number(video, "duration")) == (25, 1000)
    assert (video["format"], audio["format"]) == ("AVC", "AAC")


@pytest.mark.parametrize(
    "name", [b"caf\xe9.mp4", b"a\nb.mp4", b"libmediainfo.mp4", b"-x.mp4", "龍.mp4".encode(), b"%s?*.mp4", b"http:x.mp4"]
)
def test_a_clip_of_any_name_declares_the_same(clip: Path, tmp_path: Path, name: bytes) -> None:
    """The name of a drop, even one that is not UTF-8, says nothing about what is in it."""
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(clip.read_bytes())
    declared, wanted = read_declared(path, never), read_declared(clip, never)
    assert declared
    assert wanted
    assert (declared.container, len(declared.video), len(declared.audio)) == ("MPEG-4", 1, 1)
    assert declared.video == wanted.video


@pytest.mark.parametrize("content", [b"", b"\0", NOISE, *BOXES.values()], ids=["empty", "byte", "noise", *BOXES])
@pytest.mark.parametrize("suffix", ["mp4", "mp3"])
def test_garbage_is_a_value_without_tracks(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Nothing raises, nothing is made up."""
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    declared = read_declared(path, never)
    assert declared is None or (declared.video, declared.audio) == ((), ())


def test_a_damaged_clip_is_a_value(clip: Path, tmp_path: Path) -> None:
    """Bytes flipped, cut or doubled anywhere only change what it declares."""
    chance, whole = random.Random(2), clip.read_bytes()  # noqa: S311
    path = tmp_path / "x.mp4"
    for _ in range(8):
        broken = bytearray(whole[: chance.randrange(100, len(whole))])
        for _ in range(50):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        path.write_bytes(bytes(broken))
        assert isinstance(read_declared(path, never), Declared | None)


def test_a_file_that_cannot_be_opened_says_nothing_about_its_content(tmp_path: Path) -> None:
    """A vanished mount must never look like a bad clip."""
    for path in (tmp_path / "gone" / "x.mp4", tmp_path):
        with pytest.raises(MachineTrouble, match="cannot read"):
            read_declared(path, never)


def test_reading_can_be_stopped(clip: Path) -> None:
    """A worker that ends does not wait for it."""
    with pytest.raises(Stopped):
        read_declared(clip, lambda: True)


@pytest.mark.parametrize(
    ("value", "figure"), [("12.5", 12.5), (3, 3.0), (None, 7.0), ("", 7.0), ("1 000", 7.0), (["1"], 7.0), (0, 7.0)]
)
def test_a_figure_that_cannot_be_read_takes_the_default(value: object, figure: float) -> None:
    """Absent, empty, zero and foreign ones alike."""
    assert number({"width": value}, "width", 7.0) == figure
    assert number({}, "width", 7.0) == 7.0
