"""Who has a file open for writing, asked of a real kernel about real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_worker.arrival.writers import has_writer, ignore_lease_signals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")

OPEN = "import sys, time; stream = open(sys.argv[1], sys.argv[2]); print('open', flush=True); time.sleep(600)"


@pytest.fixture(autouse=True)
def no_lease_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    if has_writer(path) is None:
        pytest.skip("the filesystem of the temporary folder grants no leases")
    return path


def opened(path: Path, mode: str) -> subprocess.Popen[bytes]:
    """A process that has the file open."""
    process = subprocess.Popen([sys.executable, "-c", OPEN, str(path), mode], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_closed_file_has_no_writer(file: Path) -> None:
    """Asked twice, it is the same, and others may write at once: the lease is given back."""
    assert has_writer(file) is False
    assert has_writer(file) is False
    handle = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    os.close(handle)


@pytest.mark.parametrize(("mode", "expected"), [("ab", True), ("r+b", True), ("rb", False)])
def test_another_process_counts_only_if_it_may_write(file: Path, mode: str, expected: bool) -> None:
    """A player that reads a drop must not keep it waiting."""
    process = opened(file, mode)
    try:
        assert has_writer(file) is expected
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert has_writer(file) is False


def test_what_is_gone_or_is_no_file_is_not_known(tmp_path: Path, file: Path) -> None:
    """And nothing is followed, and nothing blocks."""
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    assert has_writer(tmp_path / "gone") is None
    assert has_writer(tmp_path / "link") is None
    assert has_writer(tmp_path / "pipe") is None
