"""What a box needs whatever root it works on: ffmpeg with all its parts, MediaInfo, room, a clock that is set."""

from __future__ import annotations

import shutil
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from console.finding import Finding, Remedy, fine, wrong
from shared.build import missing_parts
from shared.child import ChildTimeout, Limits, run_child
from shared.config import Config
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.ffmpeg import find_ffmpeg
from shared.mediainfo import read_declared

_ASKING_SECONDS = 5.0  # timedatectl answers at once, or asks a system that does not


def tools(config: Config) -> Iterator[Finding]:
    """The programs that Reelmill runs."""
    yield from _ffmpeg(config)
    yield _mediainfo()


def _ffmpeg(config: Config) -> Iterator[Finding]:
    configured = config.ffmpeg.path
    remedy = Remedy.FFMPEG.filled() if configured else Remedy.OWN_FFMPEG.filled(python=sys.executable)
    try:
        found = find_ffmpeg(configured)
        missing = missing_parts(found)
    except ReelmillError as error:
        yield wrong("ffmpeg", str(error), remedy)
        return
    yield fine("ffmpeg", f"{found.version}, {found.path}")
    if missing:
        yield wrong("parts of ffmpeg", f"it was built without {', '.join(missing)}", remedy)
    else:
        yield fine("parts of ffmpeg", "the filters, encoders and formats that videos are made with")


def _mediainfo() -> Finding:
    """Have it read a sound, as it reads every drop: in a child, with the library it finds there."""
    remedy = Remedy.MEDIAINFO.filled(python=sys.executable)
    try:
        with TemporaryDirectory(prefix="reelmill-doctor-") as folder:
            sound = Path(folder, "sound.wav")
            with wave.open(str(sound), "wb") as writing:
                writing.setparams((1, 2, 8000, 0, "NONE", ""))
                writing.writeframes(bytes(8000))
            declared = read_declared(sound, lambda: False)
    except ReelmillError as error:
        return wrong("MediaInfo", str(error), remedy)
    if declared is None or not declared.audio:
        return wrong("MediaInfo", "it does not find the sound in a file that has one", remedy)
    return fine("MediaInfo", "it reads what files declare")


def room(layout: Layout, config: Config) -> Finding:
    """Whether there is enough of it for a task to start."""
    free, least = shutil.disk_usage(layout.root).free, config.worker.min_free_bytes
    words = f"{free / 1e9:.1f} GB free, and {least / 1e9:.1f} GB are the least"
    return fine("room", words) if free >= least else wrong("room", words, Remedy.ROOM.filled(segments=layout.segments))


def set_by_ntp() -> Iterator[Finding]:
    """Whether something sets the clock; nothing is said where systemd is not there to tell."""
    asking = ["timedatectl", "show", "-p", "NTPSynchronized", "--value"]
    try:
        ended = run_child(asking, limits=Limits(total_seconds=_ASKING_SECONDS), stopping=lambda: False)
    except ChildTimeout:
        return
    said = ended.output.decode("ascii", "replace").strip()
    if ended.code == 0 and said == "yes":
        yield fine("time by NTP", "this machine's clock is set")
    elif ended.code == 0 and said == "no":
        yield wrong("time by NTP", "nothing sets this machine's clock", Remedy.NTP.filled(), matters=False)
