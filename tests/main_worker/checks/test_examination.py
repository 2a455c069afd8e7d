"""An examination opens the drop and nothing else, ends in time, and leaves no process and no file behind."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from main_worker.checks.cage import Cage
from main_worker.checks.examination import Content, Examiner, content_of
from shared.config import Config
from shared.domain.drop import Kind
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped
from shared.ffmpeg import Ffmpeg

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media

DEADLINE = 60.0


def processes_on(path: Path) -> list[str]:
    """The command lines of all living processes that name a file."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("needs /proc")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(path) in command:
            found.append(command.decode(errors="replace"))
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_an_empty_file_is_refused_as_any_kind(desk: Desk, media: Media, kind: Kind) -> None:
    """No tool is bothered with it."""
    rejection = desk.refusal(media.text("empty", ""), kind)
    assert (rejection.code, rejection.sentence) == ("empty", "The file is empty (0 bytes).")


def test_a_file_larger_than_allowed_is_refused_unread(desk: Desk, tmp_path: Path) -> None:
    """A terabyte (here: of holes) is not even hashed."""
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)
    rejection = desk.refusal(huge, Kind.VIDEO)
    assert (rejection.code, rejection.measured) == ("too_large", {"bytes": 1 << 40})
    assert "ingest.max_file_bytes" in rejection.sentence


def test_a_link_file_of_a_megabyte_is_refused_unread(desk: Desk, media: Media) -> None:
    """Whatever it is, it is no list of addresses."""
    assert desk.refusal(media.text("book.txt", "x" * 1_000_001), Kind.LINK).code == "bad_link_file"


def test_the_content_is_known_before_any_costly_work(desk: Desk, media: Media) -> None:
    """A duplicate is refused without being decoded."""
    path = media.text("not-even-a-video.mp4", "text")
    told: list[Content] = []

    def known(content: Content) -> None:
        told.append(content)
        raise DropRefused(Rejection("duplicate", "It is known.", "Delete it."))

    with pytest.raises(DropRefused, match="duplicate"):
        Examiner(desk.cage(), desk.staging).examine(*desk.ready(path, Kind.VIDEO), known)
    assert told == [Content(hashlib.sha256(b"text").hexdigest(), 4)]


def test_content_is_hash_and_size(tmp_path: Path) -> None:
    """Of the bytes, not of the name."""
    path = tmp_path / "some"
    path.write_bytes(b"abc")
    assert content_of(path) == Content("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3)


@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "a:b.mp4",
        "concat:x|y.mp4",
        "%03d.mp4",
        "http:__x.mp4",
        "awesome'movie.mp4",
        'double".mp4',
        "new\nline.mp4",
        "back\\slash.mp4",
        "日本語 ü.mp4",
        "[v]*?.mp4",
        "x" * 251 + ".mp4",
    ],
)
def test_no_name_is_taken_for_anything_but_a_name(desk: Desk, media: Media, tmp_path: Path, name: str) -> None:
    """Options, protocols, patterns and quotes are letters like any other."""
    path = tmp_path / name
    path.hardlink_to(media.clip())
    video = desk.examine(path, Kind.VIDEO).video
    assert video is not None
    assert video.frames == 10


def test_a_name_that_is_not_utf8_is_no_reason_to_refuse(desk: Desk, media: Media, tmp_path: Path) -> None:
    """Old shares hold names in other encodings."""
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    try:
        path.hardlink_to(media.clip())
    except OSError:
        pytest.skip("this filesystem refuses such names")
    assert desk.examine(path, Kind.VIDEO).video


def test_a_clip_that_takes_too_long_is_refused_and_its_decoder_killed(desk: Desk, media: Media) -> None:
    """A small file can cost hours; the reason says which limit it met."""
    slow = media.slow_clip()
    rejection = desk.refusal(slow, Kind.VIDEO, {"ingest": {"check_timeout_seconds": 1, "check_timeout_ratio": 0}})
    assert rejection.code == "too_slow"
    assert "longer than 1 s" in rejection.sentence
    assert "ingest.check_timeout_seconds" in rejection.advice
    assert processes_on(slow) == []


def test_stopping_ends_an_examination_and_its_decoder(desk: Desk, media: Media) -> None:
    """A worker that is asked to end does not wait for a long clip."""
    slow = media.slow_clip()
    stop = threading.Event()
    seen: list[bool] = []

    def stop_when_decoding() -> None:
        deadline = time.monotonic() + DEADLINE
        while not (found := any("-f\0null" in command for command in processes_on(slow))):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        seen.append(found)
        stop.set()

    watcher = threading.Thread(target=stop_when_decoding)
    watcher.start()
    with pytest.raises(Stopped):
        Examiner(desk.cage(stopping=stop.is_set), desk.staging).examine(*desk.ready(slow, Kind.VIDEO), lambda _: None)
    watcher.join()
    assert seen == [True]
    assert processes_on(slow) == []


# -- playlists: what they name must not be opened -----------------------------------------------

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
PLAYLISTS = {"hls.mp4": HLS, "dash.mp4": DASH, "concat.mp4": "ffconcat version 1.0\nfile '{}'\n", "hls.mp3": HLS}


class Opened(FileSystemEventHandler):
    """Notes the names of the files in a folder that anybody opens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._changed = threading.Condition()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type == "opened" and not event.is_directory:
            with self._changed:
                self._names.append(Path(os.fsdecode(event.src_path)).name)
                self._changed.notify_all()

    def names(self) -> set[str]:
        """All names noted so far: events come in order, so one of our own marks the end."""
        (self._folder / "mark").write_bytes(b"")
        with self._changed:
            assert self._changed.wait_for(lambda: "mark" in self._names, DEADLINE)
            return set(self._names) - {"mark"}


@pytest.fixture
def secret(tmp_path: Path, media: Media) -> Path:
    """A good clip in a folder that no drop may lead to."""
    path = tmp_path / "private" / "secret.ts"
    path.parent.mkdir()
    path.write_bytes(media.clip("secret.ts", "-f", "mpegts").read_bytes())
    return path


@pytest.mark.parametrize("name", list(PLAYLISTS))
def test_a_playlist_under_a_media_name_is_refused(desk: Desk, media: Media, secret: Path, name: str) -> None:
    """Left to itself, ffmpeg plays what the list names."""
    kind = Kind.VOICE if name.endswith("mp3") else Kind.VIDEO
    rejection = desk.refusal(media.text(name, PLAYLISTS[name].format(secret)), kind)
    assert rejection.code in ("unreadable", "wrong_content", "no_picture")
    assert "secret" not in f"{rejection}"


@pytest.mark.skipif(sys.platform != "linux", reason="only inotify tells who opens a file")
@pytest.mark.parametrize("name", list(PLAYLISTS))
def test_a_playlist_never_leads_to_another_file(desk: Desk, media: Media, secret: Path, name: str) -> None:
    """Neither tool opens what the list names, so that no drop can read a file of this machine."""
    playlist = media.text(name, PLAYLISTS[name].format(secret))
    opened, observer = Opened(secret.parent), Observer()
    observer.schedule(opened, str(secret.parent))
    observer.start()
    try:
        desk.refusal(playlist, Kind.VOICE if name.endswith("mp3") else Kind.VIDEO)
        assert opened.names() == set()
    finally:
        observer.stop()
        observer.join()


@pytest.mark.parametrize("kind", [Kind.VIDEO, Kind.VOICE, Kind.MUSIC])
def test_a_missing_ffmpeg_blames_no_drop(desk: Desk, media: Media, tmp_path: Path, kind: Kind) -> None:
    """An upgrade that takes ffmpeg away under a running worker must not empty raw/ into the trash."""
    path = media.clip() if kind is Kind.VIDEO else media.sound()
    ready, drop = desk.ready(path, kind)
    cage = Cage(Config(), Ffmpeg(str(tmp_path / "gone"), "gone"), lambda: False)
    with pytest.raises(MachineTrouble, match="does not start"):
        Examiner(cage, tmp_path).examine(ready, drop, lambda _: None)
