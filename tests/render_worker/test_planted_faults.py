"""The gate proves itself: each fault is planted in a real file, and the check that is there for it closes the gate.

| fault | how it is planted |
|---|---|
| missing, doubled frame; hole between frames; other rates, lengths, sizes, codecs, streams | FAULTS |
| missing caption track, wrong language | FAULTS |
| wrong colours, wrong codec tag, a picture that is turned, sound that begins late | FAULTS |
| wrong extradata | FAULTS (joined: not that of the segments), test_extradata_that_no_decoder_can_use_is_found |
| wrong time scale | test_parts_of_two_clocks_are_found |
| drift over many joins | test_drift_over_hundreds_of_joins_is_found |
| black video | test_a_black_video_is_found, test_a_black_end_is_found |
| truncated file | test_a_truncated_file_is_found, test_a_truncated_join_is_found |
| damaged content | test_damage_is_found, test_damage_in_a_join_is_found |
| packets out of order, exchanged, doubled | test_gate.py |
| silent, clipped sound; another one; voice and music exchanged | test_planted_sounds.py |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from render_worker.commands.direct import direct
from render_worker.commands.join import Part, join, part_list
from render_worker.gate import GateClosed, Judged, Seen, check, look
from render_worker.job import Job
from render_worker.packets import Stream, parse_packets
from render_worker.soundtrack import make_sound
from render_worker.tool import Tool
from shared.domain.layout import SEGMENT
from shared.domain.loudness import Block
from shared.domain.plan import Canvas, Captions, Profile, RenderPlan, Shot, Track, exact_rate
from shared.ffmpeg import Ffmpeg
from shared.meter import Heard
from shared.records.render import RenderRecord

RunFfmpeg = Callable[..., bytes]
Judge = Callable[[Path], set[str]]
Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Script = Callable[[str], Ffmpeg]

PLAN = RenderPlan(
    Canvas(320, 180, Fraction(30)),
    Profile("libx264", quality=21, preset="veryfast", audio_kbps=192),
    seconds=1.99,
    frames=60,
    shots=(Shot("h264.mp4", 60, 60),),
    layers=(),
    tracks=(Track("voice.mp3", 1.0, channels=1),),
    captions=Captions("captions.vtt", "deu", 2),
)
WORDS = "WEBVTT\n\n00:00.250 --> 00:01.000\nEin Drache\n\n00:01.200 --> 00:01.900\nund ein Schloss\n"

GOOD = "the good file"
FRONT = ("-movflags", "+faststart")
COPY = ("-i", GOOD, "-map", "0", "-c", "copy", *FRONT)
ALL = ("-i", GOOD, "-map", "0", "-c", "copy", "-c:v", "libx264", "-preset", "veryfast", *FRONT)
ENCODE = (*ALL, "-video_track_timescale", "30000", "-colorspace", "bt709", "-color_primaries", "bt709")
UNTOLD = "setparams=color_primaries=unknown:color_trc=unknown:colorspace=unknown"
NO_FRAME_30 = (*ENCODE, "-vf", r"select=not(eq(n\,30))", "-fps_mode", "passthrough")


@dataclass(frozen=True)
class Fault:
    """How it is planted in a good file, and the check that must find it, in a direct result and in a joined one."""

    arguments: tuple[str, ...]
    check: str
    joined: str = ""


FAULTS: dict[str, Fault] = {
    "a frame is missing": Fault(NO_FRAME_30, "frames", "packets"),
    "there is a hole between two frames": Fault(NO_FRAME_30, "different packet steps"),
    "a frame comes twice": Fault((*ENCODE, "-vf", "loop=1:1:30,setpts=N/30/TB"), "frames", "packets"),
    "the end is missing": Fault((*COPY, "-t", "1.5"), "packets"),
    "the picture lasts twice as long": Fault((*ENCODE, "-vf", "setpts=2*PTS", "-r", "30"), "seconds of picture"),
    "the same frames are shown at half the rate": Fault((*ENCODE, "-vf", "setpts=2*PTS", "-r", "15"), "frame rate"),
    "the rate is nearly right": Fault((*ENCODE, "-vf", "setpts=PTS*1.001", "-r", "30000/1001"), "frame rate"),
    "the picture has another size": Fault((*ENCODE, "-vf", "scale=320:178"), "size"),
    "the picture has another codec": Fault((*COPY, "-c:v", "mpeg4"), "streams"),
    "the sound has another codec": Fault((*COPY, "-c:a", "libmp3lame"), "streams"),
    "there is no sound": Fault((*COPY, "-map", "-0:a"), "streams"),
    "there is no picture": Fault((*COPY, "-map", "-0:v"), "streams"),
    "there are two sounds": Fault((*COPY, "-map", "0:a"), "streams"),
    "the caption track is missing": Fault((*COPY, "-map", "-0:s"), "captions"),
    "a caption is missing": Fault((*COPY, "-bsf:s", r"noise=drop=gte(n\,3)"), "captions"),
    "the captions are in another language": Fault(
        (*COPY, "-metadata:s:s", "language=fra"), "languages of the captions"
    ),
    "the sound ends before the voice does": Fault((*COPY, "-c:a", "aac", "-af", "atrim=end=1.8"), "seconds of sound"),
    "the sound goes on behind the voice": Fault((*COPY, "-c:a", "aac", "-af", "apad=pad_dur=0.3"), "seconds of sound"),
    "the sound begins late": Fault(
        (
            "-i",
            GOOD,
            "-itsoffset",
            "0.1",
            "-i",
            GOOD,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-map",
            "0:s",
            "-c",
            "copy",
            *FRONT,
        ),
        "second in which the sound begins",
    ),
    "the picture begins late": Fault(
        (
            "-itsoffset",
            "0.1",
            "-i",
            GOOD,
            "-i",
            GOOD,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-map",
            "1:s",
            "-c",
            "copy",
            *FRONT,
        ),
        "second in which the picture begins",
    ),
    "the colours are told wrongly": Fault(
        (*ENCODE, "-vf", "setparams=color_primaries=bt470bg:color_trc=smpte170m:colorspace=bt470bg"), "colours"
    ),
    "the range is told wrongly": Fault((*ENCODE, "-vf", "setparams=range=pc"), "colours"),
    "no colours are told": Fault((*ENCODE, "-vf", UNTOLD, "-x264-params", "colormatrix=undef"), "colours"),
    "the picture is turned": Fault(("-display_rotation", "90", *COPY), "held"),
    "players do not know the codec's tag": Fault((*COPY, "-tag:v", "avc3"), "codec tags"),
    "the extradata is another": Fault((*COPY, "-bsf:v", "h264_metadata=level=5.1"), "", "codec parameters"),
    "the index is at the end": Fault((*COPY, "-movflags", "-faststart"), "index in front"),
    "it is another container": Fault((*COPY, "-c:s", "srt", "-f", "matroska"), "container"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, media: Callable[[str], Path], run_ffmpeg: RunFfmpeg) -> Path:
    """A result with nothing wrong, made as the worker makes it."""
    task = tmp_path_factory.mktemp("good")
    for name in ("h264.mp4", "voice.mp3"):
        (task / name).symlink_to(media(name))
    (task / "captions.vtt").write_text(WORDS, "utf-8")
    run_ffmpeg(*direct(PLAN, task, task / "final.mp4", task / "clips.luma"))
    return task / "final.mp4"


@pytest.fixture
def failed(tool: Tool) -> Judge:
    """The checks that a file fails whose picture is decoded."""
    return lambda film: names(lambda: check(look(film, tool, tool.scratch, decode=True), PLAN))


@pytest.fixture
def failed_join(good: Path, tool: Tool) -> Judge:
    """The checks that a file fails whose picture should have been copied from the good one."""
    wanted = judged(look(good, tool, tool.scratch, decode=False))
    return lambda film: names(lambda: check(look(film, tool, tool.scratch, decode=False), PLAN, wanted))


HEARD = Heard(tuple(Block(number / 10, -20.0) for number in range(4, 20)), -3.0)


def judged(seen: Seen) -> Judged:
    """A file as it was judged before it was joined."""
    picture, sound = ([(one.size, one.checksum) for one in seen.stream(codec).packets] for codec in ("h264", "aac"))
    return Judged(picture, seen.stream("h264").facts["extradata"], sound, HEARD)


def names(checking: Callable[[], object]) -> set[str]:
    try:
        checking()
    except GateClosed as closed:
        return {check.name for check in closed.checks if not check.passed}
    return set()


@pytest.fixture
def plant(good: Path, tmp_path: Path, run_ffmpeg: RunFfmpeg) -> Callable[[Fault], Path]:
    """A file with a fault."""

    def make(fault: Fault) -> Path:
        arguments = [str(good) if word == GOOD else word for word in fault.arguments]
        run_ffmpeg(*arguments, *(() if "-f" in arguments else ("-f", "mp4")), tmp_path / "bad.mp4")
        return tmp_path / "bad.mp4"

    return make


def test_a_good_file_has_none(failed: Judge, failed_join: Judge, good: Path) -> None:
    """Neither way; else the faults would prove nothing."""
    assert failed(good) == failed_join(good) == set()


@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name].check])
def test_a_planted_fault_is_found(fault: str, plant: Callable[[Fault], Path], failed: Judge) -> None:
    """Each fault fails at least the check that is there for it."""
    assert FAULTS[fault].check in failed(plant(FAULTS[fault]))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_planted_in_a_join_is_found(fault: str, plant: Callable[[Fault], Path], failed_join: Judge) -> None:
    """What closes the gate for a decoded picture closes it for one that is judged by its packets."""
    assert (FAULTS[fault].joined or FAULTS[fault].check) in failed_join(plant(FAULTS[fault]))


# -- files that were cut or damaged ------------------------------------------------------------------

SHARES = pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])


def truncated(good: Path, share: float, target: Path) -> Path:
    target.write_bytes(good.read_bytes()[: int(good.stat().st_size * share)])
    return target


@SHARES
def test_a_truncated_file_is_found(share: float, good: Path, tmp_path: Path, failed: Judge) -> None:
    """A file that ends early does not pass, although its index in front still declares the whole length."""
    assert failed(truncated(good, share, tmp_path / "cut.mp4"))


@SHARES
def test_a_truncated_join_is_found(share: float, good: Path, tmp_path: Path, failed_join: Judge) -> None:
    """Nor does a join."""
    assert failed_join(truncated(good, share, tmp_path / "cut.mp4"))


def damaged(good: Path, target: Path, at: int, content: bytes) -> Path:
    whole = bytearray(good.read_bytes())
    whole[at : at + len(content)] = content
    target.write_bytes(whole)
    return target


def test_damage_is_found(good: Path, tmp_path: Path, failed: Judge) -> None:
    """Bytes of the picture that were overwritten are noticed by the decoder's complaints."""
    hurt = damaged(good, tmp_path / "hurt.mp4", good.stat().st_size // 2, b"\xff" * 2000)
    assert "complaints of the picture's decoder" in failed(hurt)


def test_damage_in_a_join_is_found(good: Path, tmp_path: Path, failed_join: Judge) -> None:
    """A single changed byte of a packet is found without decoding it."""
    at = good.read_bytes().index(b"mdat") + 3000
    hurt = damaged(good, tmp_path / "hurt.mp4", at, bytes([good.read_bytes()[at] ^ 1]))
    assert failed_join(hurt) - {"complaints of the sound's decoder"} == {"packets that are not those judged before"}


def test_extradata_that_no_decoder_can_use_is_found(
    good: Path, tmp_path: Path, failed: Judge, failed_join: Judge
) -> None:
    """What a decoder needs to know is spoilt: the packets are still those that were judged."""
    content = good.read_bytes()
    parameters = content.index(
        b"\x68", content.index(b"avcC") + 20
    )  # the picture parameter set (ISO 14496-10, 7.3.2.2)
    spoilt = damaged(good, tmp_path / "spoilt.mp4", parameters + 1, b"\x00\x00")
    assert failed(spoilt)
    assert "codec parameters" in failed_join(spoilt)


# -- many joins --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joiner:
    """Joins one short segment over and over, as the worker does; `spoil` is done to the list."""

    folder: Path
    tool: Tool
    run_ffmpeg: RunFfmpeg
    rate: Fraction

    def segment(self, name: str, clock: int, frames: int) -> Path:
        """Moving pictures with B-frames."""
        source = f"testsrc2=size=128x72:rate={self.rate},trim=end_frame={frames}"
        paint = "format=yuv420p,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
        options = ["-c:v", "libx264", "-preset", "veryfast", "-video_track_timescale", str(clock)]
        self.run_ffmpeg("-f", "lavfi", "-i", f"{source},{paint}", *options, self.folder / name)
        return self.folder / name

    def failed(self, parts: list[tuple[str, int]], spoil: Callable[[str], str] = lambda listing: listing) -> set[str]:
        """The checks that a join of parts fails, each a file's name and its frames."""
        listed = {name: self._listed(name) for name in {name for name, _ in parts}}
        frames, voice = sum(count for _, count in parts), Track("voice.mp3", 1.0, channels=1, loops=True)
        profile = Profile("libx264", quality=23, preset="veryfast", audio_kbps=64)
        plan = RenderPlan(Canvas(128, 72, self.rate), profile, float(frames / self.rate), frames, (), (), (voice,))
        listing, sound, film = self.folder / "parts.ffconcat", self.folder / "sound.aac", self.folder / "film.mp4"
        text = part_list([Part(name, 0, count, 2, whole=True) for name, count in parts], self.rate)
        listing.write_text(spoil(text), "ascii")
        made = make_sound(plan, self.folder, sound, self.tool)
        self.tool.run("joining", join(plan, listing, sound, self.folder, film))
        packets = [(one.size, one.checksum) for name, _ in parts for one in listed[name].packets]
        parameters = listed[parts[0][0]].facts["extradata"]
        seen = look(film, self.tool, self.folder, decode=False)
        return names(lambda: check(seen, plan, Judged(packets, parameters, made.packets, made.heard)))

    def _listed(self, name: str) -> Stream:
        table = self.run_ffmpeg("-i", self.folder / name, "-c", "copy", "-f", "framecrc", "-").decode()
        (stream,) = parse_packets(table)
        return stream


@pytest.fixture
def joiner(tmp_path: Path, tool: Tool, run_ffmpeg: RunFfmpeg, media: Callable[[str], Path]) -> Joiner:
    """At the rate whose frames last no whole number of milliseconds."""
    (tmp_path / "voice.mp3").symlink_to(media("voice.mp3"))
    return Joiner(tmp_path, tool, run_ffmpeg, exact_rate(23.976))


def test_drift_over_hundreds_of_joins_is_found(joiner: Joiner) -> None:
    """Where the list does not say how long a part is, steps differ by a tick; where it rounds, the picture drifts."""
    joiner.segment("part.mp4", 24_000, 13)
    parts = [("part.mp4", 13)] * 200
    assert joiner.failed(parts) == set()
    unsaid = joiner.failed(parts, lambda listing: re.sub(r"^duration.*\n", "", listing, flags=re.MULTILINE))
    assert "different packet steps" in unsaid
    rounded = joiner.failed(
        parts, lambda listing: re.sub(r"^duration.*", "duration 0.542", listing, flags=re.MULTILINE)
    )
    assert {
        "different packet steps",
        "seconds of picture",
        "seconds of picture told",
        "seconds told by which the picture is longer",
    } <= rounded


def test_parts_of_two_clocks_are_found(joiner: Joiner) -> None:
    """Each decodes bit for bit as before, and ffmpeg says nothing; the film lasts seven times as long, or a seventh."""
    for name, clock in (("one.mp4", 12_800), ("other.mp4", 90_000)):
        joiner.segment(name, clock, 24)
    for parts in ([("one.mp4", 24), ("other.mp4", 24)] * 3, [("other.mp4", 24), ("one.mp4", 24)] * 3):
        assert "different packet steps" in joiner.failed(parts)


# -- black pictures ----------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])
BLACKENED = "s!setparams=!drawbox=color=black:t=fill{},setparams=!g"
PAINTED = 'exec "$FFMPEG" $(echo "$@" | sed "{}")'


@BOTH
@pytest.mark.parametrize(
    ("when", "told"),
    [("", r"\['0-(59|75)'\]"), (r":enable=between(n\\\\,7\\\\,9)", r"\['7-9'(, '67-69')?\]")],
    ids=["all", "some"],
)
def test_a_black_video_is_found(
    prepare: Prepare, render: Render, script: Script, mode: str, when: str, told: str
) -> None:
    """An ffmpeg that writes black pictures, all or a few, says that all went well; a bright logo lies over them."""
    program = script(PAINTED.format(BLACKENED.format(when)))
    with pytest.raises(GateClosed, match=f"black where the clips are not is {told}, must be "):
        render(prepare(logo="logo.png"), program=program, mode=mode)


def test_a_black_end_is_found(prepare: Prepare, render: Render, script: Script) -> None:
    """What is encoded for a video alone is compared with the segment it is made of."""
    graph = r"s!split=2\[s2\]!split=2[x]!; s!\[s3\];!&[x]drawbox=color=black:t=fill[s2];!"
    program = script(f'case "$*" in *.wanted.luma*) {PAINTED.format(graph)};; esac; exec "$FFMPEG" "$@"')
    job = prepare(clips=("h264.mp4",), voice="voice_short.mp3", music=None)
    metadata = job.metadata.changed(voice_duration=11 / 30)
    with pytest.raises(GateClosed, match="the last frames did not pass the gate: black where"):
        render(replace(job, metadata=metadata), program=program, preset="veryfast")


@BOTH
def test_black_clips_may_be_black(
    prepare: Prepare, render: Render, run_ffmpeg: RunFfmpeg, tmp_path: Path, mode: str
) -> None:
    """A clip that is black, one that comes out of black and goes back, and a small bright one between bars."""
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    sources = {
        "black.mp4": "color=black:size=320x180:rate=30:duration=1",
        "fading.mp4": "testsrc2=size=320x180:rate=30:duration=1,fade=in:0:12,fade=out:18:12",
        "tall.mp4": "testsrc2=size=90x320:rate=30:duration=1",
    }
    for name, source in sources.items():
        run_ffmpeg("-f", "lavfi", "-i", source, *x264, tmp_path / name)
    job = prepare(clips=tuple(tmp_path / name for name in sources), seconds_each=1.0, logo="logo.png")
    record = render(job, mode=mode)
    assert (record.mode, record.fallback) == (mode, None)


def test_a_cache_keeps_no_black_segment(prepare: Prepare, render: Render, script: Script, tmp_path: Path) -> None:
    """It is never put in its place."""
    with pytest.raises(GateClosed, match=r"the segment of scanned/.* did not pass the gate: black"):
        render(prepare(), program=script(PAINTED.format(BLACKENED.format(""))))
    assert not list((tmp_path / "cached").rglob(SEGMENT))
