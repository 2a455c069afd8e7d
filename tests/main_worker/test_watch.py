"""File events of a real folder, and what is done where none arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_worker.watch import Hurry, Mode
from shared.config import Log
from shared.log import Logger, open_log

PATIENCE = 30.0


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Logger:
    """The log, opened where `capsys` sees it."""
    return open_log("main_worker", Log())


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def hurry(changed: threading.Event) -> Iterator[Hurry]:
    made = Hurry(changed)
    yield made
    made.stop()


@pytest.mark.parametrize("mode", ["auto", "events"])
def test_a_drop_sets_the_event(hurry: Hurry, changed: threading.Event, tmp_path: Path, log: Logger, mode: Mode) -> None:
    """A file that appears below the watched folder is noticed at once."""
    folder = tmp_path / "video/nature"
    folder.mkdir(parents=True)
    assert hurry.start(tmp_path, mode, log)
    assert [path.name for path in tmp_path.iterdir()] == ["video"], "the probe is gone"
    (folder / "a.mp4").write_bytes(b"x")
    assert changed.wait(PATIENCE)


def test_with_poll_nothing_is_watched(
    hurry: Hurry, changed: threading.Event, tmp_path: Path, log: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says that the rescan has to do."""
    assert not hurry.start(tmp_path, "poll", log)
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert not changed.is_set()
    assert "event=watch_poll" in capsys.readouterr().err


def test_where_no_event_arrives_the_probe_says_so(hurry: Hurry, tmp_path: Path) -> None:
    """An observer that watches nothing is what a network mount looks like."""
    assert not hurry.event_arrives(tmp_path, seconds=0.2)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_watched_is_told_and_is_no_error(
    hurry: Hurry, tmp_path: Path, log: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rescan alone has to do, and the log says so."""
    assert not hurry.start(tmp_path / "gone", "auto", log)
    assert "the rescan finds every drop" in capsys.readouterr().err
