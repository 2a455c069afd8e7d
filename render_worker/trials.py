"""Which video encoders work on this machine: each is tried, and what it made is decoded and looked at.

Listed is not working: a build of ffmpeg lists the encoders of every maker, drivers load without a card, and an encoder
may end well and have written black pictures. So each has to conform a short clip as it would for a video, and pass what
every segment has to pass. What came of it is remembered for this boot and this ffmpeg.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from render_worker.commands.conform import Look, Recipe
from render_worker.commands.encoders import HARDWARE, SOFTWARE, Encoder, Way, encoders_of, software_of
from render_worker.commands.outputs import device, video_options
from render_worker.gate import GateClosed
from render_worker.segments.conforming import Wanted, conform
from render_worker.tool import RenderFailed, Tool
from shared.child import ChildTimeout
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.domain.plan import Canvas, Profile, Treatment
from shared.ffmpeg import Ffmpeg, file_url
from shared.files import write_hint
from shared.lifesign import boot_id
from shared.records.encoders import EncodersRecord, Trial
from shared.records.record import RecordError, utc_now

_PATIENCE_SECONDS = 20.0  # without progress; a card that sleeps takes some seconds to wake, a driver may hang for ever
_CANVAS = Canvas(1920, 1080, Fraction(30))
_FRAMES = 90  # of the clip: more than one group of pictures
_QUALITY, _PRESET = 21, "medium"
_FASTER = 1.25  # a gain below may be chance, and is not worth another thing that may fail
# Some NVIDIA cards refuse pictures that are less wide than some 260 pixels.
_OPENED = "testsrc2=size=640x360:rate=30:duration=0.2"

_SYSTEMS = {"videotoolbox": ("darwin",), "vaapi": ("linux",), "amf": ("linux", "win32")}
"""Families that other systems have not."""
_DECODERS = {
    "nvenc": ("cuda",),
    "qsv": ("vaapi",),
    "vaapi": ("vaapi",),
    "videotoolbox": ("videotoolbox",),
    "amf": (),
    SOFTWARE: ("cuda", "vaapi", "videotoolbox"),
}
_IN_ITS_MEMORY = {"videotoolbox": "videotoolbox_vld"}  # what frames that a decoder has are called, if not by its name

# Each with a command, or a key of config.toml.
ADVICE = (
    (
        r"libcuda|nvcuda",
        "Install NVIDIA's driver, of Debian non-free (sudo apt-get install nvidia-driver); or docker run --gpus all.",
    ),
    (
        r"required nvenc API version",
        "Install a newer driver, of Debian non-free (sudo apt-get install nvidia-driver); the line names the least.",
    ),
    (
        r"OpenEncodeSessionEx failed: out of memory",
        "Its sessions are used up: run fewer workers on this card (reelmill drain NODE).",
    ),
    (
        r"No capable devices found|OpenEncodeSessionEx failed: unsupported",
        'This card has no encoder for it; leave it to others: render.encoder = "auto".',
    ),
    (
        r"MFX|mfx",
        "Install Intel's runtime (sudo apt-get install libmfx-gen1.2), and join its group (sudo adduser $USER render).",
    ),
    (
        r"No VA display|VA display|vaInitialize",
        "Hand in /dev/dri (docker run --device /dev/dri), and let this user in (sudo usermod -aG render,video $USER).",
    ),
    (r"amfrt64", "Install the AMF runtime from AMD's package source (sudo apt-get install amf-amdgpu-pro)."),
    (r"Unknown encoder|Encoder not found", 'This ffmpeg was built without it; our own may have it: ffmpeg.path = "".'),
    (r"-1290\d", "It is busy or was refused to this user; try again when nobody is encoding (reelmill doctor)."),
    (r"made no progress", "Its driver hangs; update the driver, or start the machine again (sudo systemctl reboot)."),
    (
        r"did not pass the gate",
        'What it writes is wrong; update its driver (sudo apt-get upgrade), or leave it: render.encoder = "software".',
    ),
)
# What ffmpeg adds to the words of a driver.
_OF_FFMPEG = (
    "Error while opening encoder|Error sending frames|Task finished|Terminating thread|Could not open encoder|"
    "Nothing was written|Device creation failed|Failed to set value|Error parsing global options|Error while filtering|"
    "Conversion failed|Error opening output|Error splitting the argument list"
)


def ways(record: EncodersRecord, configured: str, table: str = "render") -> tuple[Way, ...]:
    """What to encode with, and what to do instead when that fails: full hardware, decoding by software, software.

    Args:
        configured: a family of encoders, or ``auto`` for the best that works.
        table: where in the configuration that stands.

    Raises:
        MachineTrouble: the configured ones do not work here.
    """
    best = record.best(None if configured == "auto" else configured)
    if best is None and configured not in ("auto", SOFTWARE):
        said = [f"{one.words.rstrip('.')}. {one.advice}".strip() for one in record.trials if one.family == configured]
        why = " ".join(dict.fromkeys(said)) or f"There is none for {record.codec}."
        raise MachineTrouble(f'{table}.encoder = "{configured}" does not work here. {why} Or set it to "auto".')
    software = Way(software_of(record.codec).name)
    first = Way(best.encoder, best.decoder) if best else software
    return tuple(dict.fromkeys((first, Way(first.encoder), software)))


class Trials:
    """The encoders of this machine and this user, as they were last tried."""

    def __init__(
        self, layout: Layout, ffmpeg: Ffmpeg, stopping: Callable[[], bool] = lambda: False, *, remembers: bool = True
    ) -> None:
        self._layout = layout
        self._ffmpeg = ffmpeg
        self._stopping = stopping
        self._remembers = remembers

    def remembered(self, codec: str, families: Sequence[str] = (*HARDWARE, SOFTWARE)) -> EncodersRecord:
        """What works, as remembered since this machine was started; what did not work is tried again.

        Raises:
            Stopped: this was asked to stop.
        """
        found = {one.family: one for one in self._known(codec) if one.works and one.family in families}
        record = self.tried(codec, [family for family in families if family not in found], thoroughly=False)
        trials = [*found.values(), *record.trials]
        return record.changed(trials=tuple(sorted(trials, key=lambda one: families.index(one.family))))

    def tried(
        self, codec: str, families: Sequence[str] = (*HARDWARE, SOFTWARE), *, thoroughly: bool = True
    ) -> EncodersRecord:
        """Try the encoders of some families, and remember what came of it.

        Args:
            thoroughly: whether software, which works, is tried as well where no hardware could decode for it.

        Raises:
            Stopped: this was asked to stop.
        """
        found: list[list[Trial]] = []
        if families:
            with tempfile.TemporaryDirectory(prefix="reelmill-trial-", ignore_cleanup_errors=True) as name:
                trying = _Trying(Path(name), self._ffmpeg, self._stopping, thoroughly=thoroughly)
                with ThreadPoolExecutor(len(families), thread_name_prefix="trial") as pool:
                    found = list(pool.map(lambda family: trying.of_family(family, codec), families))
        trials = [one for several in found for one in several]
        record = EncodersRecord(
            host=platform.node(),
            boot=boot_id(),
            user=os.getuid(),
            ffmpeg=self._build,
            codec=codec,
            trials=tuple(trials),
            tried_at=utc_now(),
        )
        others = [one for one in self._known(codec) if one.family not in families]
        self._remember(record.changed(trials=(*trials, *others)))
        return record

    def forget(self, codec: str) -> None:
        """Have all tried again at the next start: something that worked does not any more."""
        with suppress(OSError):
            self._path(codec).unlink(missing_ok=True)

    def _known(self, codec: str) -> tuple[Trial, ...]:
        with suppress(OSError, RecordError):
            found = EncodersRecord.read(self._path(codec))
            if (found.boot, found.user, found.ffmpeg) == (boot_id(), os.getuid(), self._build):
                return found.trials
        return ()

    def _remember(self, record: EncodersRecord) -> None:
        path = self._path(record.codec)
        if self._remembers:
            with suppress(OSError):  # it saves time, no more
                path.parent.mkdir(parents=True, exist_ok=True)
                write_hint(path, record.to_bytes())

    def _path(self, codec: str) -> Path:
        return self._layout.encoders(f"{platform.node()}-{os.getuid()}", codec)

    @property
    def _build(self) -> str:
        return f"{self._ffmpeg.path}: {self._ffmpeg.version}"


@dataclass(frozen=True)
class _Trying:
    """Trying encoders in a folder. All are opened at the same time, and conform one after the other."""

    folder: Path
    ffmpeg: Ffmpeg
    stopping: Callable[[], bool]
    thoroughly: bool
    alone: threading.Lock = field(default_factory=threading.Lock)

    def of_family(self, family: str, codec: str) -> list[Trial]:
        """Try encoders until one works."""
        trials: list[Trial] = []
        for encoder in encoders_of(family, codec):
            if sys.platform not in _SYSTEMS.get(family, (sys.platform,)):
                words = f"There is no {family} on this system."
                trials.append(Trial(encoder=encoder.name, family=family, works=False, words=words))
                continue
            trials.append(self._of(encoder))
            if trials[-1].works:
                break
        return trials

    def _of(self, encoder: Encoder) -> Trial:
        folder = self.folder / encoder.name
        log = folder / "stderr.log"
        tool = Tool(self.ffmpeg, "", folder, _PATIENCE_SECONDS, self.stopping, errors_to=log)
        told: dict[str, Any] = {"encoder": encoder.name, "family": encoder.family}
        try:
            folder.mkdir()
            self._open(encoder, tool)  # most end here, in no time
            decoders = [one for one in _DECODERS[encoder.family] if self._has_decoder(one, tool)]
            if encoder.family == SOFTWARE and not decoders and not self.thoroughly:
                return Trial(**told, works=True)
            with self.alone:
                clip = _clip(tool)
                fps = _conformed(encoder, clip, tool)
                decoder, faster = _best_decoder(encoder, clip, tool, fps, decoders)
        except (RenderFailed, GateClosed, ChildTimeout, MachineTrouble, OSError) as error:
            said = log.read_text("utf-8", "replace") if log.exists() else ""
            words = complaint(said) or str(error)
            return Trial(**told, works=False, words=words, advice=advice(f"{words} {error}"))
        return Trial(**told, works=True, fps=fps, decoder=decoder, decoder_fps=faster)

    @staticmethod
    def _open(encoder: Encoder, tool: Tool) -> None:
        profile = Profile(encoder.name, _QUALITY, _PRESET, 0)
        upload = ["-vf", ",".join("=".join(words) for words in encoder.upload)] if encoder.upload else []
        options = [str(word) for key, value in video_options(_CANVAS, profile).items() for word in (f"-{key}", value)]
        source = [*device(profile), "-f", "lavfi", "-i", _OPENED]
        tool.run("opening the encoder", [*source, *upload, *options, "-f", "null", "-"])

    @staticmethod
    def _has_decoder(decoder: str, tool: Tool) -> bool:
        """Whether there is such a device at all."""
        picture = ["-f", "lavfi", "-i", "nullsrc=size=64x64", "-frames:v", "1", "-f", "null", "-"]
        return replace(tool, errors_to=None).watch(["-init_hw_device", decoder, *picture])[0].code == 0


def _clip(tool: Tool) -> Path:
    """Moving pictures to be conformed."""
    clip = tool.scratch / "clip.mp4"
    seconds = float(_FRAMES / _CANVAS.rate)
    source = f"testsrc2=size={_CANVAS.width}x{_CANVAS.height}:rate={_CANVAS.rate}:duration={seconds}"
    quick = ["-c:v", software_of("h264").name, "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    tool.run("making a clip", ["-f", "lavfi", "-i", source, *quick, "-f", "mp4", "-y", file_url(clip)])
    return clip


def _best_decoder(
    encoder: Encoder, clip: Path, tool: Tool, fps: float, decoders: Sequence[str]
) -> tuple[str | None, float | None]:
    """The hardware that makes conforming faster by decoding, if any does."""
    tool = replace(tool, errors_to=None)
    for decoder in decoders:
        kept = ["-hwaccel", decoder, "-hwaccel_output_format", _IN_ITS_MEMORY.get(decoder, decoder)]
        fetched = ["-vf", "hwdownload,format=nv12"]  # refuses frames that software has decoded, unasked
        try:
            source = [*kept, "-i", file_url(clip), *fetched]
            tool.run("opening the decoder", [*source, "-frames:v", "5", "-f", "null", "-"])
            found = _conformed(encoder, clip, replace(tool, decoder=decoder))
        except (RenderFailed, GateClosed, ChildTimeout, MachineTrouble):
            continue
        if found > _FASTER * fps:
            return decoder, found
    return None, None


def _conformed(encoder: Encoder, clip: Path, tool: Tool) -> float:
    """Conform a clip as for a video; returns frames encoded in a second."""
    bench = tool.scratch / f"bench-{tool.decoder}"
    bench.mkdir()
    look = Look(_CANVAS, Profile(encoder.name, _QUALITY, _PRESET, 0))
    wanted = Wanted(Recipe("", 0, _FRAMES, Treatment(), look), "", clip, "the trial's clip", bench, effort=1.0)
    started = ended = time.monotonic()

    def on_frame(_: int) -> None:
        nonlocal ended
        ended = time.monotonic()

    conform(wanted, bench, replace(tool, scratch=bench), threads=os.cpu_count() or 1, on_frame=on_frame)
    return round(_FRAMES / max(ended - started, 1e-3), 1)


def complaint(said: str) -> str:
    """What a driver said, of all that ffmpeg wrote."""
    lines = [re.sub(r"^(\[[^]]*\] )+", "", line).strip() for line in said.splitlines()]
    return next((line for line in lines if line and not re.match(_OF_FFMPEG, line)), "")


def advice(words: str) -> str:
    """What to do about it, where that is known."""
    return next((what for pattern, what in ADVICE if re.search(pattern, words)), "")
