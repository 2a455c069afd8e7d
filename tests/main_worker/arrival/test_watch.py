"""File events of a real folder: that they hurry, what they tell of single files, and what is done where none arrive."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from main_worker.arrival.settling import Clue
from main_worker.arrival.watch import Events, Mode, mounts_in
from shared.log import Logger, open_log
from shared.settings import Log

PATIENCE = 30.0

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only inotify tells closed from changed")


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Logger:
    """The log, opened where `capsys` sees it."""
    return open_log("main_worker", Log())


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def events(changed: threading.Event) -> Iterator[Events]:
    made = Events(changed.set)
    yield made
    made.stop()


@pytest.fixture
def told(events: Events) -> Callable[[Path, Clue | None], None]:
    """Waits until a file's clue is the one expected; all that comes before it counts, as it does for the intake."""

    def wait(path: Path, clue: Clue | None) -> None:
        known: dict[str, Clue] = {}
        deadline = time.monotonic() + PATIENCE
        while known.get(str(path)) is not clue:
            assert time.monotonic() < deadline, known
            known |= events.take_clues()
            time.sleep(0.01)

    return wait


@pytest.mark.parametrize("mode", ["auto", "events"])
def test_a_drop_calls(events: Events, changed: threading.Event, tmp_path: Path, log: Logger, mode: Mode) -> None:
    """A file that appears below the watched folder is noticed at once."""
    folder = tmp_path / "video/nature"
    folder.mkdir(parents=True)
    assert events.start(tmp_path, mode, log)
    assert [path.name for path in tmp_path.iterdir()] == ["video"], "the probe is gone"
    (folder / "a.mp4").write_bytes(b"x")
    assert changed.wait(PATIENCE)


def test_with_poll_nothing_is_watched(
    events: Events, changed: threading.Event, tmp_path: Path, log: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says that the rescan has to do."""
    assert not events.start(tmp_path, "poll", log)
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert not changed.is_set()
    assert "event=watch_poll" in capsys.readouterr().err


def test_where_no_event_arrives_the_probe_says_so(events: Events, tmp_path: Path) -> None:
    """An observer that watches nothing is what a network mount looks like."""
    assert not events.event_arrives(tmp_path, seconds=0.2)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_watched_is_told_and_is_no_error(
    events: Events, tmp_path: Path, log: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rescan alone has to do, and the log says so."""
    assert not events.start(tmp_path / "gone", "auto", log)
    assert "the rescan finds every drop" in capsys.readouterr().err


@only_linux
def test_a_file_that_is_written_and_closed_is_told_as_closed(
    events: Events, tmp_path: Path, log: Logger, told: Callable[[Path, Clue | None], None]
) -> None:
    """That is what a plain copy does."""
    events.start(tmp_path, "events", log)
    (tmp_path / "a.mp4").write_bytes(b"x")
    told(tmp_path / "a.mp4", Clue.CLOSED)


@only_linux
@pytest.mark.parametrize("outside", [True, False])
def test_a_file_that_is_renamed_into_place_is_told_as_renamed(
    events: Events,
    tmp_path: Path,
    log: Logger,
    told: Callable[[Path, Clue | None], None],
    tmp_path_factory: pytest.TempPathFactory,
    outside: bool,
) -> None:
    """From beside it, under a hidden name, and from anywhere else on the filesystem."""
    source = (tmp_path_factory.mktemp("outside") if outside else tmp_path) / ".a.mp4.tmp"
    source.write_bytes(b"x")
    events.start(tmp_path, "events", log)
    source.rename(tmp_path / "a.mp4")
    told(tmp_path / "a.mp4", Clue.RENAMED)


@only_linux
def test_a_renamed_folder_says_nothing_of_the_files_in_it(
    events: Events, changed: threading.Event, tmp_path: Path, log: Logger
) -> None:
    """One of them may still be written."""
    (tmp_path / "coming").mkdir()
    (tmp_path / "coming/a.mp4").write_bytes(b"x")
    events.start(tmp_path, "events", log)
    (tmp_path / "coming").rename(tmp_path / "nature")
    assert changed.wait(PATIENCE)
    (tmp_path / "last.mp4").write_bytes(b"x")
    clues: dict[str, Clue] = {}
    deadline = time.monotonic() + PATIENCE
    while str(tmp_path / "last.mp4") not in clues:  # events arrive in order, so those of the folder are here as well
        assert time.monotonic() < deadline
        clues |= events.take_clues()
        time.sleep(0.01)
    assert str(tmp_path / "nature/a.mp4") not in clues


def test_a_plain_folder_is_one_mount(tmp_path: Path) -> None:
    """Only folders on another filesystem than their parent are told apart."""
    (tmp_path / "video/nature").mkdir(parents=True)
    assert mounts_in(tmp_path) == (tmp_path,)
    shutil.rmtree(tmp_path / "video")
    assert mounts_in(tmp_path) == (tmp_path,)
