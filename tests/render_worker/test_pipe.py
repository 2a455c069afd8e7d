"""A named pipe with a reader that reads, that never comes, and that dies."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from render_worker.pipe import Writer, make_pipe
from shared.domain.errors import Stopped

LONG = bytes(range(256)) * 4096  # a pipe holds a sixteenth of it


def test_everything_arrives_in_order(tmp_path: Path) -> None:
    """More than a pipe holds, while somebody reads."""
    path = tmp_path / "sound"
    assert make_pipe(path)
    with ThreadPoolExecutor(1) as beside:
        read = beside.submit(path.read_bytes)
        with Writer(path, lambda: False) as writer:
            assert writer.write(LONG) == len(LONG)
            writer.write(b"end")
        assert read.result() == LONG + b"end"


def test_without_a_pipe_it_is_a_plain_file(tmp_path: Path) -> None:
    """Filesystems that know no pipes get the same bytes."""
    path = tmp_path / "sound"
    path.write_bytes(b"something longer that was there")
    with Writer(path, lambda: False) as writer:
        writer.write(b"sound")
    assert path.read_bytes() == b"sound"


def test_a_reader_that_never_comes_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """The one who asks to stop is heard."""
    path = tmp_path / "sound"
    make_pipe(path)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped), Writer(path, stop.is_set):
        pytest.fail("nobody read")


def test_a_reader_that_reads_no_further_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """The pipe is full, and the one who asks to stop is heard."""
    path = tmp_path / "sound"
    make_pipe(path)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with path.open("rb+", buffering=0), pytest.raises(Stopped), Writer(path, stop.is_set) as writer:
        writer.write(LONG)


def test_a_reader_that_is_gone_is_told(tmp_path: Path) -> None:
    """As for every pipe."""
    path = tmp_path / "sound"
    make_pipe(path)
    reader = path.open("rb+", buffering=0)
    with Writer(path, lambda: False) as writer:
        reader.close()
        with pytest.raises(BrokenPipeError):
            writer.write(LONG)


def test_a_name_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """Nothing is replaced."""
    path = tmp_path / "sound"
    path.write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_pipe(path)
