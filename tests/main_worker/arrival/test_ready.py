"""A drop that was complete a moment ago: is it still what it was?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from main_worker.arrival.ready import DropChanged, Ready
from shared.domain.drop import Kind
from tests.main_worker.conftest import Desk


@pytest.fixture
def drop(desk: Desk, tmp_path: Path) -> Ready:
    path = tmp_path / "a.txt"
    path.write_bytes(b"http://example.org/")
    return desk.ready(path, Kind.LINK)[0]


def test_an_unchanged_drop_is_opened(drop: Ready) -> None:
    """The bytes are the drop's own."""
    drop.check_unchanged()
    with drop.open() as stream:
        assert stream.read() == b"http://example.org/"


def test_a_symlink_put_in_its_place_is_not_followed(drop: Ready, tmp_path: Path) -> None:
    """Whoever may drop files must not be able to have others read."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"http://example.org/")
    drop.path.unlink()
    drop.path.symlink_to(secret)
    with pytest.raises(DropChanged):
        drop.open()


def test_a_pipe_put_in_its_place_does_not_block(drop: Ready) -> None:
    """Opening a FIFO for reading would wait for a writer for ever."""
    drop.path.unlink()
    os.mkfifo(drop.path)
    with pytest.raises(DropChanged):
        drop.open()


def test_a_drop_that_grew_has_changed(drop: Ready) -> None:
    """One byte more is another drop."""
    with drop.path.open("ab") as stream:
        stream.write(b"x")
    for look in (drop.check_unchanged, drop.open):
        with pytest.raises(DropChanged, match=r"a\.txt changed"):
            look()


def test_a_drop_that_is_gone_has_changed(drop: Ready) -> None:
    """It was taken out of raw/ again; that is nobody's fault."""
    drop.path.unlink()
    for look in (drop.check_unchanged, drop.open):
        with pytest.raises(DropChanged, match="was taken out"):
            look()
