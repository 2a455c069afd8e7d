"""Files from the world: what phones, cameras, editors and attackers made, each examined as the drop it claims to be.

What is expected of a good file is read from the corpus' own MANIFEST.md; what becomes of each broken one is in the
tables below, with the reasons in docs/corpus.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from benchmarks.realmedia import REALMEDIA
from shared.domain.drop import Kind

if TYPE_CHECKING:
    from shared.domain.media import AudioFacts, VideoFacts
    from tests.main_worker.conftest import Desk

REPOSITORY = Path(__file__).resolve().parents[2]
if not REALMEDIA.is_dir():
    pytest.skip("no real media: set REELMILL_REALMEDIA to a folder of them", allow_module_level=True)

BOUNDED = {"ingest": {"check_timeout_seconds": 60, "decode_budget_seconds": 20}}  # 362 s of 4K AV1 do not fit in

# What no clip is made of though it lies among the good ones.
NO_CLIPS = {
    "rails__video_without_video_stream.mp4": "no_picture",
    "media-services-v3-dotnet__surround-audio.mp4": "no_picture",
    "media__long_4k_av1.mp4": "too_costly",
}

# What becomes of each file of broken/; None: it plays well, whatever is odd about it.
BROKEN: dict[str, str | None] = {
    "._amado.mp4": "unreadable",
    "FileFormatConformance__10_fragments.mp4": "unreadable",
    "PHP-FFMpeg__WrongFile.mp4": "unreadable",
    "PayloadsAllTheThings__read_passwd_bypass.mp4": "wrong_content",
    "asarubbo__00293-lame.mp3": "unreadable",
    "asarubbo__00336-bento4.mp4": "unreadable",
    "asarubbo__00351-aacgain.mp3": "unreadable",
    "decord__corrupted.mp4": "damaged",
    "derived-cut-at-60-percent.mp4": "unreadable",
    "derived-html-renamed.mp3": "unreadable",
    "derived-moov-zeroed.mp4": "unreadable",
    "derived-text-renamed.mp4": "unreadable",
    "dom-examples__cheese-on-toast.mp3": "unreadable",
    "exiv2__issue_2340_poc.mp4": "unreadable",
    "exiv2__issue_2376_poc.mp4": "unreadable",
    "fuzzing-corpus__0-timescale.mp4": "unreadable",
    "http-streaming__mp4Muxed.mp4": "unreadable",
    "jcodec__keyed.mp4": "unreadable",
    "media__100kB-garbage-prefix.mp3": "truncated",
    "media__sample_fragmented.mp4": None,
    "media__sample_fragmented_clearkey.mp4": "encrypted",
    "media__sample_malformed_free_box.mp4": "unreadable",
    "media__sample_mdat_too_long.mp4": None,
    "media__sample_vvc.mp4": "wrong_codec",
    "mp4parse-rust__chunk_out_of_range.mp4": "unreadable",
    "mp4parse-rust__invalid_userdata.mp4": "unreadable",
    "mp4parse-rust__sine-3s-xhe-aac-44khz-mono.mp4": "no_picture",
    "mp4parse-rust__video_rotation_90.mp4": "too_short",
    "music-metadata__issue-744.mp4": "unreadable",
    "mutagen__emptyfile.mp3": "empty",
    "mutagen__truncated-64bit.mp4": "unreadable",
    "ntu-sec__ffmpeg_hang_1.mp4": "damaged",
    "ntu-sec__ffmpeg_slow_02.mp4": "damaged",
    "ntu-sec__gpac_hang_h02.mp4": "unreadable",
    "pocs__mp3jpg.mp3": "wrong_content",
    "seeds__28.mp4": "no_picture",
    "taglib__excessive_alloc.mp3": "unreadable",
    "taglib__garbage.mp3": "too_short",
    "taglib__rare_frames.mp3": "truncated",
    "tika__testMP3truncated.mp3": "unreadable",
}

# Whole, but there is nothing to hear in them.
SILENT = {
    "fuzzing-corpus__huge-id3.mp3",
    "moviepy__with-attached-pic.mp3",
    "mutagen__silence-44-s-mpeg25.mp3",
    "non_ascii_filename_äää.mp3",
    "taglib__ape.mp3",
    "tinytag__vbr11stereo.mp3",
    "tinytag__vbr8.mp3",
}

CODECS = {
    "h264": "AVC",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp9": "VP9",
    "mpeg4": "MPEG-4 Visual",
    "mpeg2video": "MPEG Video",
    "mp3": "MPEG Audio",
}


CHROMA = {"420p": "4:2:0", "422p": "4:2:2", "444p": "4:4:4"}


class Row(NamedTuple):
    """One line of the manifest: what ffprobe says of a file."""

    seconds: float
    streams: str

    def picture(self) -> re.Match[str]:
        found = re.search(
            r"V: (?P<codec>\w+)/?(?P<profile>[^;,]*?) (?P<width>\d+)x(?P<height>\d+) (?P<pixels>\w+), "
            r"(?P<rate>[\d.]+) fps(?: \(r (?P<base>[\d.]+)\))?(?:, SAR (?P<aspect>\d+:\d+))?"
            r"(?P<rest>[^;]*)",
            self.streams,
        )
        assert found, self.streams
        return found


def manifest() -> dict[str, Row]:
    rows = {}
    for line in (REALMEDIA / "MANIFEST.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 7 and cells[1].startswith("`") and re.fullmatch(r"[\d.]+", cells[5]):
            rows[cells[1].strip("`")] = Row(float(cells[5]), cells[6])
    return rows


ROWS = manifest()


def files(folder: str, *suffixes: str) -> list[Path]:
    return sorted(path for path in (REALMEDIA / folder).iterdir() if path.suffix.lower() in suffixes)


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=path.name) for path in paths]


VIDEOS = [path for path in files("video", ".mp4", ".mov", ".m4v") if path.name not in NO_CLIPS]


def clip_facts(desk: Desk, path: Path) -> VideoFacts:
    facts = desk.examine(path, Kind.VIDEO, BOUNDED).video
    assert facts is not None
    return facts


@pytest.mark.parametrize("path", named(VIDEOS))
def test_a_real_clip_is_measured_as_it_is_shown(desk: Desk, path: Path) -> None:
    """Turned, anamorphic, interlaced, of varying rate, of ten bits, with covers and with odd names."""
    row, facts = ROWS[path.name], clip_facts(desk, path)
    told = row.picture()
    turned = re.search(r"rot (-?\d+)", told["rest"])
    assert facts.rotation == (-int(turned[1]) % 360 if turned else 0)
    aspect = Fraction(told["aspect"].replace(":", "/")) if told["aspect"] else Fraction(1)
    size = (round(int(told["width"]) * aspect), int(told["height"]))
    shown = size[::-1] if facts.rotation in (90, 270) else size
    assert (facts.width, facts.height) == (int(told["width"]), int(told["height"]))
    assert (facts.display_width, facts.display_height) == pytest.approx(shown, abs=1)
    assert facts.codec == CODECS[told["codec"]]
    assert (
        row.seconds - 0.25 <= facts.seconds <= row.seconds + 0.05
    )  # the manifest's length is that of the longest track
    rates = [float(told["rate"]), float(told["base"] or told["rate"])]  # average, and ffprobe's guess of the nominal
    assert any(facts.frame_rate == pytest.approx(rate, rel=0.01) for rate in rates)
    assert facts.hdr == (found[1] if (found := re.search(r"HDR (PQ|HLG)", told["rest"])) else None)
    assert facts.dolby_vision == ("Dolby Vision" in told["rest"])
    if told["pixels"].startswith("yuvj"):
        assert facts.full_range
    assert (facts.bit_depth or 8) == (10 if "10" in told["pixels"] else 8)
    assert facts.chroma in (None, CHROMA[told["pixels"].removesuffix("10le").removeprefix("yuvj").removeprefix("yuv")])
    assert facts.audio_tracks == len(re.findall(r"(?:^|; )A:", row.streams))
    assert facts.attached_pictures == row.streams.count("cover")


def test_what_is_special_about_a_clip_is_kept(desk: Desk) -> None:
    """A reflection, fields, two films in one file: what the manifest notes in words."""
    folder = REALMEDIA / "video"
    reflected = clip_facts(desk, folder / "media__sample_rotate_and_reflect.mp4")
    assert (reflected.rotation, reflected.mirrored) == (90, True)
    assert clip_facts(desk, folder / "format-corpus__xdcam-hd-1080i60.mov").scan == "top field first"
    assert clip_facts(desk, folder / "libopenshot__test1.mp4").scan == "interlaced"
    two = clip_facts(desk, folder / "media__pixel-motion-photo-2-hevc-tracks.mp4")
    assert (two.video_tracks, two.track, two.data_tracks) == (2, 0, 2)
    wild = clip_facts(desk, folder / "mediabunny__cursed-vfr.mp4")
    assert (wild.variable_frame_rate, wild.min_frame_rate, wild.max_frame_rate) == (True, 0.637, 188.852)


@pytest.mark.parametrize("name", NO_CLIPS)
def test_real_files_without_use_are_refused(desk: Desk, name: str) -> None:
    """Sound alone is no clip, and a megabyte may cost minutes."""
    assert desk.refusal(REALMEDIA / "video" / name, Kind.VIDEO, BOUNDED).code == NO_CLIPS[name]


def check_sound(path: Path, facts: AudioFacts | None) -> None:
    assert facts is not None
    told = re.search(r"A: mp3 (\d+) Hz (\d+) ch", ROWS[path.name].streams)
    assert told
    assert (facts.sample_rate, facts.channels) == (int(told[1]), int(told[2]))
    assert facts.seconds == pytest.approx(ROWS[path.name].seconds, abs=0.15)


@pytest.mark.parametrize("path", named([*files("voice", ".mp3"), *files("audio-odd", ".mp3")]))
def test_a_real_recording_is_accepted_as_a_voice(desk: Desk, path: Path) -> None:
    """Readers, presidents, memos; tags in many scripts, large covers, no header with the length.

    People who read are accepted by a wide margin: at four times the share of speech that is asked for.
    """
    if path.name in SILENT:
        assert desk.refusal(path, Kind.VOICE, BOUNDED).code == "silent"
        return
    share = {"voice": {"min_speech_share": 0.4}} if path.parent.name == "voice" else {}
    facts = desk.examine(path, Kind.VOICE, {**BOUNDED, **share}).audio
    check_sound(path, facts)
    assert facts
    assert facts.speech_seconds is not None


@pytest.mark.parametrize("path", named([*files("music", ".mp3"), *files("audio-odd", ".mp3")]))
def test_real_music_is_accepted(desk: Desk, path: Path) -> None:
    """And brought to the target, as measured in the library's own file; silence is not."""
    if path.name in SILENT:
        assert desk.refusal(path, Kind.MUSIC, BOUNDED).code == "silent"
        return
    examined = desk.examine(path, Kind.MUSIC, BOUNDED)
    facts, loudness = examined.audio, examined.loudness
    assert facts is not None
    assert loudness is not None
    assert loudness.true_peak <= -1.5
    if path.parent.name == "music":
        assert loudness.integrated == pytest.approx(-16.0, abs=0.5)
    assert (facts.sample_rate, facts.channels) == (48000, 2), "they are those of what is filed"
    assert facts.seconds == pytest.approx(ROWS[path.name].seconds, abs=0.15)


@pytest.mark.parametrize("path", named(files("broken", ".mp4", ".mp3")))
def test_each_broken_file_has_its_verdict(desk: Desk, path: Path) -> None:
    """Fuzzed, hostile, mislabelled and cut: none crashes or hangs, and each reason is the right one."""
    kind = Kind.VOICE if path.suffix == ".mp3" else Kind.VIDEO
    code = BROKEN[path.name]
    if code is None:
        facts = clip_facts(desk, path)
        assert (facts.frames, facts.seconds) == (30, 1.001)
    else:
        assert desk.refusal(path, kind, BOUNDED).code == code


ATTACKS = ["PayloadsAllTheThings__read_passwd_bypass.mp4", "ntu-sec__ffmpeg_hang_1.mp4", "derived-text-renamed.mp4"]
EXAMINE = """
import sys
from pathlib import Path
from main_worker.checks.cage import Cage
from shared.config import Config
from shared.domain.errors import DropRefused
from shared.ffmpeg import find_ffmpeg
cage, path = Cage(Config(), find_ffmpeg(""), lambda: False), Path(sys.argv[1])
try:
    cage.declared(path)
except DropRefused:
    pass
cage.run("mov", path, ["-map", "0:V:0", "-f", "null", "-"])
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_file_leads_to_no_other(name: str, tmp_path: Path) -> None:
    """No system call of either tool opens a file of this machine for it, or an address."""
    calls = tmp_path / "calls"
    trace = ["strace", "-f", "-qq", "-e", "trace=open,openat,connect", "-o", str(calls)]
    done = subprocess.run(
        [*trace, sys.executable, "-c", EXAMINE, str(REALMEDIA / "broken" / name)],
        cwd=REPOSITORY,
        check=False,
        timeout=120,
        capture_output=True,
    )
    if b"PTRACE_TRACEME" in done.stderr or b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    lines = calls.read_text("utf-8", "replace").splitlines()
    assert any(name in line for line in lines)
    assert not [line for line in lines if "connect(" in line]
    assert not [line for line in lines if re.search(r'"/etc/(passwd|shadow|hosts|resolv)', line)]
    opened = {found[1] for line in lines if (found := re.search(r'"(.*?)".* = \d+$', line))}
    assert not [path for path in opened if str(REALMEDIA) in path and name not in path]
