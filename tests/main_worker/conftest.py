"""Small real media, project roots and real main worker processes for the tests of the main worker."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from console.init import lay_out
from main_worker.arrival.ready import Ready, identity_of
from main_worker.checks.cage import Cage
from main_worker.checks.examination import Examined, Examiner
from main_worker.shelves.library import Library
from shared.config import Config
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused, Rejection
from shared.domain.layout import Layout, sidecar_of
from shared.domain.media import AudioFacts, PictureFacts, VideoFacts
from shared.ffmpeg import Ffmpeg, find_ffmpeg
from shared.log import open_log
from shared.records.main import MainRecord
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.records.record import RecordError, utc_now
from shared.records.sidecar import Origin, Sidecar
from shared.records.story import StorySettings
from shared.settings import Log

DEADLINE = 60.0
"""Seconds a test waits for something that is bound to happen; never a figure that is measured."""

Changes = dict[str, dict[str, Any]]


class Media:
    """Media files, each made by ffmpeg when it is first asked for."""

    def __init__(self, folder: Path, ffmpeg: Ffmpeg) -> None:
        self._folder = folder
        self.ffmpeg = ffmpeg

    def made(self, name: str, *arguments: str | Path) -> Path:
        """The output of one run of ffmpeg, which gets `arguments` and a path of this name."""
        run = hashlib.sha256("\0".join(map(str, arguments)).encode()).hexdigest()[:8]
        path = self._folder / run / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            fresh = path.with_name(f"making-{name}")
            subprocess.run([self.ffmpeg.path, "-v", "error", "-y", *arguments, fresh], check=True, timeout=DEADLINE)
            fresh.rename(path)
        return path

    def clip(self, name: str = "clip.mp4", *output: str, source: str = "", seconds: float = 1) -> Path:
        """A small moving picture without sound; `output` are options of the encoder and muxer."""
        picture = source or f"testsrc2=size=64x48:rate=10:duration={seconds}"
        x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
        return self.made(name, "-f", "lavfi", "-i", picture, *x264, *output)

    def frame(self, name: str = "frame.mp4", size: str = "96x64", seconds: float = 2) -> Path:
        """A decorative frame: red on its left, and a green to be taken out."""
        green = f"color=0x00d800:size={size}:rate=10:duration={seconds}"
        return self.clip(name, source=f"{green},drawbox=w=iw/4:h=ih:color=red:t=fill")

    def slow_clip(self, seconds: int = 400) -> Path:
        """A good clip of large pictures, thirty a second, which takes long to decode and no time to make."""
        second = self.clip("large-second.mp4", "-g", "30", source="testsrc=size=1920x1080:rate=30:duration=1")
        return self.made(f"slow{seconds}.mp4", "-stream_loop", f"{seconds - 1}", "-i", second, "-c", "copy")

    def sound(self, name: str = "voice.mp3", *output: str, source: str = "", seconds: float = 2) -> Path:
        """An MP3 file, of four syllables a second where no other source is named."""
        return self.made(name, "-f", "lavfi", "-i", source or self.syllables(seconds), "-c:a", "libmp3lame", *output)

    @staticmethod
    def syllables(seconds: float, *, sample_rate: int = 44_100) -> str:
        """A source for ffmpeg whose level rises and falls as that of speech: harmonics, opened four times a second."""
        voice = "+".join(f"sin({2 * number}*PI*150*t)" for number in (1, 3, 6))
        return f"aevalsrc='0.2*({voice})*pow(0.52-0.48*cos(8*PI*t),2)':s={sample_rate}:d={seconds}"

    def variant(self, path: Path, number: int) -> Path:
        """The same picture or sound in a file of other content."""
        other = path.with_stem(f"{path.stem}-{number}")
        content = path.read_bytes()
        if path.suffix == ".mp3":
            content = b"ID3\x04\0\0" + bytes((0, 0, number >> 7, number & 127)) + bytes(number) + content
        else:
            content += struct.pack(">I4sQ", 16, b"free", number)
        other.write_bytes(content)
        return other

    def text(self, name: str, content: str) -> Path:
        """A text file, whatever its name says."""
        path = self._folder / name
        path.write_text(content, "utf-8")
        return path

    def half(self, path: Path, share: float = 0.5) -> Path:
        """A file of which only the beginning was copied."""
        content = path.read_bytes()
        cut = path.with_name(f"half-{path.name}")
        cut.write_bytes(content[: int(len(content) * share)])
        return cut


class Desk:
    """Examines files as the main worker does, in this process."""

    def __init__(self, staging: Path, ffmpeg: Ffmpeg) -> None:
        self.staging = staging
        self.ffmpeg = ffmpeg

    def cage(self, changes: Changes | None = None, stopping: Callable[[], bool] = lambda: False) -> Cage:
        return Cage(Config.model_validate(changes or {}), self.ffmpeg, stopping)

    def ready(self, path: Path, kind: Kind) -> tuple[Ready, Drop]:
        """A file, wherever it lies, as a complete drop of a kind."""
        relative = PurePosixPath(kind.value, "nature", path.name)
        story = "tale" if kind in (Kind.VOICE, Kind.TEXT, Kind.LINK) else None
        drop = Drop(kind, relative, "nature", story, "name", ("nature",))
        return Ready(path, relative, drop, identity_of(path.lstat()), "the test said so"), drop

    def examine(self, path: Path, kind: Kind, changes: Changes | None = None) -> Examined:
        return Examiner(self.cage(changes), self.staging).examine(*self.ready(path, kind), lambda _: None)

    def refusal(self, path: Path, kind: Kind, changes: Changes | None = None) -> Rejection:
        """Why an examination refuses a file; it fails the test where it does not."""
        with pytest.raises(DropRefused) as refused:
            self.examine(path, kind, changes)
        rejection = refused.value.rejection
        assert rejection.sentence.endswith((".", ")."))
        assert rejection.advice.endswith(".")
        return rejection


class Stock:
    """A library that is stocked by hand: files without content, with real records beside them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def put(self, path: Path, kind: Kind, category: str, **values: Any) -> Path:
        """A library file; each has a content of its own."""
        self._count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        sha256 = hashlib.sha256(b"%d" % self._count).hexdigest()
        origin = Origin(
            path=f"raw/{path.name}", sha256=sha256, size=1, device=1, inode=self._count, mtime_ns=1, evidence="by hand"
        )
        common: dict[str, Any] = {"scanned_at": utc_now(), "sha256": sha256, "size": 1, "origin": origin}
        Sidecar(**{"kind": kind, "category": category, **common, **values}).write(sidecar_of(path))
        return path

    def clip(self, category: str, name: str, seconds: float = 1.0) -> Path:
        facts = VideoFacts(64, 48, 64, 48, 0, 1.0, 10.0, seconds, int(10 * seconds), "AVC")
        path = self.layout.clip(Kind.VIDEO, category, (64, 48), seconds, name)
        return self.put(path, Kind.VIDEO, category, video=facts)

    def frame(self, category: str, name: str, key: str | None = "#00d800") -> Path:
        facts = VideoFacts(64, 48, 64, 48, 0, 1.0, 10.0, 2.0, 20, "AVC", key=key)
        path = self.layout.clip(Kind.FRAME, category, (64, 48), 2.0, name)
        return self.put(path, Kind.FRAME, category, video=facts)

    def music(self, category: str, name: str) -> Path:
        path = self.layout.music(category, 5.0, name)
        return self.put(path, Kind.MUSIC, category, audio=AudioFacts(5.0, 2, 44100, "MPEG Audio", 0.0))

    def voice(self, category: str, story: str, chapter: str, seconds: float = 2.5, **values: Any) -> Path:
        audio = AudioFacts(seconds, 1, 44100, "MPEG Audio", 0.0)
        path = self.layout.voice(category, story, chapter)
        known = {"story": story, "chapter": chapter, "titles": (category, story), "audio": audio}
        return self.put(path, Kind.VOICE, category, **known, **values)

    def settings(self, category: str, story: str, stem: str, scanned_at: str, **settings: Any) -> Path:
        path = self.layout.settings(category, story, stem)
        values = {"story": story, "scanned_at": scanned_at, "settings": StorySettings(**settings)}
        return self.put(path, Kind.SETTINGS, category, **values)

    def text(self, category: str, story: str, name: str, scanned_at: str, **values: Any) -> Path:
        """The text of the voice of chapter `name` without what follows the first dot or dash."""
        path = self.layout.text(category, story, name)
        known = {"story": story, "chapter": re.split("[.-]", name)[0], "scanned_at": scanned_at}
        return self.put(path, Kind.TEXT, category, **known, **values)

    def card(self, category: str, story: str, name: str, scanned_at: str, seconds: float | None = None) -> Path:
        """A card of a story, `title…` or `end…`: a picture, or a film of so many seconds."""
        facts = VideoFacts(64, 48, 64, 48, 0, 1.0, 10.0, seconds, int(10 * seconds), "AVC") if seconds else None
        picture = None if seconds else PictureFacts(64, 48, "PNG")
        known = {"story": story, "chapter": re.split("[.-]", name)[0], "scanned_at": scanned_at}
        path = self.layout.card(category, story, name)
        return self.put(path, Kind.CARD, category, video=facts, picture=picture, **known)

    def library(self, **options: Any) -> Library:
        """The library as a main worker finds it at its start."""
        library = Library(self.layout, open_log("main_worker", Log()))
        library.load(**options)
        return library


class Main:
    """A real main worker process."""

    def __init__(self, layout: Layout, log: Path, command: list[str]) -> None:
        self._layout = layout
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def record(self) -> MainRecord | None:
        """What this very process last said about itself."""
        with suppress(OSError, RecordError):
            record = MainRecord.read(self._layout.main_record)
            return record if record.pid == self.process.pid else None
        return None

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something this worker is bound to do."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def until_idle(self) -> None:
        """Wait until all that lay in raw/ when the worker started is in its place."""
        self.until(lambda: (record := self.record()) and record.state == "idle")

    def until_logged(self, words: str) -> None:
        """Wait for some words in the log."""
        self.until(lambda: words in self.log)

    def until_doing(self, doing: str) -> None:
        """Wait until some drop is being, say, checked."""
        self.until(lambda: (record := self.record()) and any(doing in drop.doing for drop in record.pending))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


class Farm:
    """One project root, and the main workers that are started on it.

    Attributes:
        prefix: a program that becomes the worker, after it has changed who or where it is.
        root: where the root is for the worker, if not where it is for the test.
    """

    def __init__(self, layout: Layout, *, prefix: tuple[str, ...] = (), root: Path | None = None) -> None:
        self.layout = layout
        self.prefix = prefix
        self.root = root
        self._mains: list[Main] = []

    def drop(self, source: Path, where: str) -> Path:
        """Copy a file into raw/ under a hidden name and rename it, as good copying programs do."""
        target = self.layout.raw / where
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.parent / ".incoming"
        shutil.copyfile(source, hidden)
        return hidden.rename(target)

    def start(self, *options: str) -> Main:
        """A main worker on this root."""
        log = self.layout.root.with_name(f"{self.layout.root.name}-main-{len(self._mains)}.log")
        command = [sys.executable, "-m", "main_worker", "--root", str(self.root or self.layout.root), *options]
        main = Main(self.layout, log, [*self.prefix, *command])
        self._mains.append(main)
        return main

    def work(self) -> str:
        """Let a main worker take in everything that is in raw/ and stop it; returns its log."""
        main = self.start()
        main.until_idle()
        assert main.stop() == 0, main.log
        return main.log

    def close(self) -> None:
        for main in self._mains:
            if main.process.poll() is None:
                main.stop(signal.SIGKILL)

    # -- what is there -------------------------------------------------------------------------

    def library(self) -> dict[str, Sidecar]:
        """The sidecars of all library files, by the file's path below scanned/."""
        records = [path for path in self.layout.scanned.rglob("*.json") if path.is_file()]
        return {
            str(path.relative_to(self.layout.scanned)).removesuffix(".json"): Sidecar.read(path) for path in records
        }

    def files(self, folder: Path) -> list[str]:
        """Everything below a folder that is not a folder, except the notes of `reelmill init`."""
        found = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
        return sorted(str(path.relative_to(folder)) for path in found if path.name != "README.md")

    def rejected(self) -> dict[str, tuple[str, Reason]]:
        """Name in the trash and reason of every rejected drop, by where it had been dropped."""
        found = {}
        for path in self.layout.invalid.glob("*.reason.json"):
            reason = Reason.read(path)
            name = path.name.removesuffix(".reason.json")
            assert os.path.lexists(path.with_name(name)), f"{name} is not beside its reason"
            assert reason.original_path is not None
            assert reason.original_path not in found, f"{reason.original_path} was rejected twice"
            found[reason.original_path] = (name, reason)
        return found

    def tasks(self) -> dict[str, Metadata]:
        """The waiting tasks."""
        folders = [path for path in (self.layout.root / "tasks").iterdir() if path.is_dir()]
        return {path.name: Metadata.read(path / "metadata.json") for path in folders}

    def leftovers(self) -> list[str]:
        """Private names that no worker is using any more, while none is at work."""
        found = [path for path in self.layout.root.rglob("*.tmp") if self.layout.raw not in path.parents]
        return sorted(map(str, [*found, *self.layout.staging.iterdir(), *self.layout.removed.iterdir()]))


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder in which this process, root or not, has no more rights than anybody."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def png(*colour: int) -> bytes:
    """A PNG picture of 8 by 8 pixels of a colour (RGB)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress((b"\0" + bytes(colour) * 8) * 8)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


QUICK: Changes = {"ingest": {"quiet_seconds": 0.1, "rescan_seconds": 0.2, "unfinished_seconds": 0}}


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Media files that are made once a session."""
    return Media(tmp_path_factory.mktemp("media"), find_ffmpeg(""))


@pytest.fixture
def desk(tmp_path: Path, media: Media) -> Desk:
    """Examines files without a worker."""
    staging = tmp_path / "staging"
    staging.mkdir()
    return Desk(staging, media.ffmpeg)


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """An empty library, to be stocked by hand."""
    return Stock(Layout(tmp_path / "root"))


@pytest.fixture(scope="module")
def make_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Farm]]:
    """Makes project roots whose drops settle quickly; takes changes of the configuration."""
    farms: list[Farm] = []

    def make(changes: Changes | None = None) -> Farm:
        tables = {**QUICK, **(changes or {})}
        tables["ingest"] = {**QUICK["ingest"], **tables["ingest"]}
        farms.append(Farm(lay_out(tmp_path_factory.mktemp("farm") / "root", tables)))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


@pytest.fixture
def farm(make_farm: Callable[..., Farm]) -> Farm:
    """A fresh root with the configuration's defaults, but for the quiet period."""
    return make_farm()
