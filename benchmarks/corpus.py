"""Examines a folder of real media, each file as the drop it claims to be, and prints what became of it.

The folder (REELMILL_REALMEDIA, else ../shared/realmedia beside the repository) has video/, voice/, music/, audio-odd/
and broken/. It is only read. ``make corpus`` writes docs/corpus.md with it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from benchmarks.realmedia import REALMEDIA
from main_worker.arrival.ready import Ready, identity_of
from main_worker.checks.cage import Cage
from main_worker.checks.examination import Examined, Examiner
from shared.config import Config
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused
from shared.domain.media import AudioFacts, VideoFacts
from shared.ffmpeg import find_ffmpeg

FOLDERS = {
    "video": (Kind.VIDEO,),
    "voice": (Kind.VOICE,),
    "music": (Kind.MUSIC,),
    "audio-odd": (Kind.VOICE, Kind.MUSIC),
    "broken": (Kind.VIDEO, Kind.VOICE, Kind.MUSIC),
}
SUFFIXES = {Kind.VIDEO: (".mp4", ".mov", ".m4v"), Kind.VOICE: (".mp3",), Kind.MUSIC: (".mp3",)}

BEGINNING = """# What becomes of real files

Made by `make corpus` with {version}. Each file was examined as the drop it claims to be, with the
configuration's defaults. The files themselves are test inputs of many projects and are not part of Reelmill.

## Why some verdicts are what they are

- **Damaged or merely odd?** ffmpeg ends well on files that are visibly spoilt, and complains about good ones. Lines of
  complaint are no measure: `mediabunny__cursed-vfr.mp4` earns 29 of them (time stamps too fine for the null muxer) and
  `fuzzing-corpus__xtrem-sport.mp4` has 28 pictures that the decoder calls corrupt and that look perfect. What is never
  harmless is a picture that the decoder *refuses*: every following one is built on it, up to the next whole picture.
  So a clip is refused as `damaged` where more than 1 % of its pictures are refused (`-max_error_rate`), and as
  `truncated` where more than 2 % (and half a second) of its declared length does not play.
- `decord__corrupted.mp4` loses one picture of 50, and a band of rubbish then stays until the end, for two of its five
  seconds: `damaged`.
- `media__sample_fragmented.mp4` and `media__sample_mdat_too_long.mp4` have odd boxes around whole pictures: every
  declared picture plays, so they are accepted.
- `media__sample_vvc.mp4` plays with a new ffmpeg and not with 5.1. A clip must render on every node, so a codec that
  only some builds know is refused by name.
- `mp4parse-rust__video_rotation_90.mp4` is one picture of 0.04 s. As a background it would flash by: `too_short`. As a
  decoration under `frame/` a single picture is accepted.
- `media__long_4k_av1.mp4` is 362 s of black 4K in 1 MB. With a current decoder it costs about a minute of processor
  time and fits into `ingest.decode_budget_seconds`; with a smaller budget it is refused after a tenth of that.
"""


def main() -> None:
    if not REALMEDIA.is_dir():
        sys.exit("no real media: set REELMILL_REALMEDIA to a folder of them")
    ffmpeg = find_ffmpeg("")
    print(BEGINNING.format(version=ffmpeg.version))
    with tempfile.TemporaryDirectory() as staging:
        examiner = Examiner(Cage(Config(), ffmpeg, lambda: False), Path(staging))
        for folder, kinds in FOLDERS.items():
            print(f"## {folder}/\n\n| file | as | outcome | facts, or the reason |\n|---|---|---|---|")
            for path, kind in drops(REALMEDIA / folder, kinds):
                print(f"| `{path.name}` | {kind.value} | {' | '.join(outcome(examiner, path, kind))} |", flush=True)
            print()


def drops(folder: Path, kinds: tuple[Kind, ...]) -> Iterator[tuple[Path, Kind]]:
    for path in sorted(folder.iterdir()):
        yield from ((path, kind) for kind in kinds if path.suffix.lower() in SUFFIXES[kind])


def outcome(examiner: Examiner, path: Path, kind: Kind) -> tuple[str, str]:
    relative = PurePosixPath(kind.value, "corpus", path.name)
    drop = Drop(kind, relative, "corpus", "corpus" if kind is Kind.VOICE else None, "corpus", ("corpus",))
    ready = Ready(path, relative, drop, identity_of(path.lstat()), "it is part of the corpus")
    try:
        examined = examiner.examine(ready, drop, lambda _: None)
    except DropRefused as error:
        return f"`{error.rejection.code}`", error.rejection.sentence.replace("|", "\\|")
    if examined.made:
        examined.made[0].unlink()
    return "accepted", described(examined)


def described(examined: Examined) -> str:
    words = picture(examined.video) if examined.video else sound(examined.audio) if examined.audio else []
    if examined.loudness:
        words.append(f"made {examined.loudness.integrated:.1f} LUFS")
    return ", ".join(words)


def picture(facts: VideoFacts) -> list[str]:
    rate = f"{facts.frame_rate:g} fps"
    if facts.variable_frame_rate:
        rate += f" varying ({facts.min_frame_rate or 0:g} to {facts.max_frame_rate or 0:g})"
    words = [
        f"{facts.display_width}x{facts.display_height}",
        f"{facts.seconds:.2f} s",
        facts.codec,
        rate,
        f"turned {facts.rotation}°" if facts.rotation else "",
        "mirrored" if facts.mirrored else "",
        f"SAR {facts.pixel_aspect:g}" if facts.pixel_aspect != 1 else "",
        facts.scan if facts.scan not in (None, "progressive") else "",
        f"{facts.bit_depth} bit" if facts.bit_depth not in (None, 8) else "",
        facts.chroma if facts.chroma not in (None, "4:2:0") else "",
        f"HDR {facts.hdr}" if facts.hdr else "",
        "Dolby Vision" if facts.dolby_vision else "",
        "full range" if facts.full_range else "",
        f"{facts.video_tracks} films" if facts.video_tracks != 1 else "",
        f"{facts.audio_tracks} sound tracks" if (facts.audio_tracks or 0) > 1 else "",
        "" if facts.has_sound else "no sound",
        f"{facts.data_tracks} data tracks" if facts.data_tracks else "",
        "a cover" if facts.attached_pictures else "",
    ]
    return [word for word in words if word]


def sound(facts: AudioFacts) -> list[str]:
    channels = {1: "mono", 2: "stereo"}.get(facts.channels, f"{facts.channels} channels")
    return [f"{facts.seconds:.2f} s", f"{facts.sample_rate} Hz", channels, f"{facts.silent_seconds:.1f} s silent"]


if __name__ == "__main__":
    main()
