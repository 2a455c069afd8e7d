"""Moving a drop out of raw/, on one filesystem and across two."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from main_worker.arrival.ready import DropChanged, Ready
from main_worker.shelves.carrying import bring, bring_made, carry, deliver
from shared.domain.drop import Kind
from shared.domain.errors import MachineTrouble, Stopped
from shared.files import is_private
from tests.main_worker.conftest import Desk

CONTENT = b"some bytes of a clip" * 1000
SHM = Path("/dev/shm")


@pytest.fixture
def drop(desk: Desk, tmp_path: Path) -> Ready:
    path = tmp_path / "a.mp4"
    path.write_bytes(CONTENT)
    return desk.ready(path, Kind.VIDEO)[0]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem than the drop."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second filesystem: /dev/shm is none here")
    folder = Path(tempfile.mkdtemp(dir=SHM))
    yield folder
    shutil.rmtree(folder)


def test_a_drop_moves_by_rename(drop: Ready, tmp_path: Path) -> None:
    """On one filesystem it stays the same file."""
    carry(drop, tmp_path / "b.mp4")
    assert not drop.path.exists()
    assert drop.is_same((tmp_path / "b.mp4").stat())


def test_a_drop_moves_across_filesystems_as_a_checked_copy(drop: Ready, far: Path) -> None:
    """The copy is whole, nothing else is left on either side."""
    copy = bring(drop, far, far, "", hashlib.sha256(CONTENT).hexdigest())
    assert copy is not None
    assert drop.path.exists(), "until the copy has its name, the drop is the drop"
    carry(drop, far / "b.mp4", copy)
    assert (far / "b.mp4").read_bytes() == CONTENT
    assert [path.name for path in far.iterdir()] == ["b.mp4"]
    assert [path for path in drop.path.parent.iterdir() if path.is_file()] == []


def test_a_copy_of_other_bytes_than_were_examined_is_thrown_away(drop: Ready, far: Path) -> None:
    """Its writer went on: the drop stays, whole, and the target is free."""
    with pytest.raises(DropChanged):
        bring(drop, far, far, "", hashlib.sha256(b"what was examined").hexdigest())
    assert drop.path.read_bytes() == CONTENT
    assert list(far.iterdir()) == []


def test_where_one_rename_will_do_nothing_is_copied(drop: Ready, tmp_path: Path) -> None:
    """The usual case costs nothing."""
    assert bring(drop, tmp_path, tmp_path, "") is None


@pytest.mark.parametrize("staging", ["beside the drop", "on the shelf's filesystem"])
def test_what_is_left_to_do_is_a_rename_wherever_staging_is(
    drop: Ready, tmp_path: Path, far: Path, staging: str
) -> None:
    """All that takes long is over when the copy is there; until then it has a name that everybody leaves alone."""
    aside = tmp_path if staging == "beside the drop" else far / "staging"
    aside.mkdir(exist_ok=True)
    shelf = far / "shelf"
    shelf.mkdir()
    copy = bring(drop, aside, shelf, "")
    assert copy is not None
    assert copy.parent == aside if staging != "beside the drop" else is_private(copy)
    inode = copy.stat().st_ino
    carry(drop, shelf / "b.mp4", copy)
    assert (shelf / "b.mp4").stat().st_ino == inode
    assert (shelf / "b.mp4").read_bytes() == CONTENT
    assert [path.name for path in shelf.iterdir()] == ["b.mp4"]
    assert not drop.path.exists()


def test_a_drop_that_shares_its_filesystem_with_the_shelf_only_is_not_copied(drop: Ready, far: Path) -> None:
    """Where staging is does not matter then."""
    assert bring(drop, far, drop.path.parent, "") is None


def test_what_was_made_in_staging_is_brought_to_the_shelf(tmp_path: Path, far: Path) -> None:
    """Music as well is one rename away from its name, and is nowhere twice."""
    made = tmp_path / "made.mp3"
    made.write_bytes(CONTENT)
    assert bring_made(made, tmp_path, lambda: False) == made
    near = bring_made(made, far, lambda: False)
    assert is_private(near)
    assert not made.exists()
    inode = near.stat().st_ino
    deliver(near, far / "b.mp3")
    assert (far / "b.mp3").stat().st_ino == inode
    assert (far / "b.mp3").read_bytes() == CONTENT


def test_a_drop_that_is_too_large_for_the_shelf_is_its_own_trouble_only(drop: Ready, tmp_path: Path, far: Path) -> None:
    """Nothing is copied in vain, and smaller ones are not kept waiting."""
    large = replace(drop, identity=replace(drop.identity, size=1 << 60))
    with pytest.raises(MachineTrouble, match="are free for a copy in") as trouble:
        bring(large, tmp_path, far, "")
    assert not trouble.value.everywhere
    assert list(far.iterdir()) == []


def test_nothing_that_was_made_is_left_when_the_worker_ends(tmp_path: Path, far: Path) -> None:
    """It is made again from the drop, which is still there."""
    made = tmp_path / "made.mp3"
    made.write_bytes(CONTENT)
    with pytest.raises(Stopped):
        bring_made(made, far, lambda: True)
    assert list(far.iterdir()) == []
    assert not made.exists()


def test_a_copy_under_way_ends_when_the_worker_does(drop: Ready, far: Path) -> None:
    """Nothing half copied is left."""
    with pytest.raises(Stopped):
        bring(drop, far, far, "", stopping=lambda: True)
    assert list(far.iterdir()) == []


def test_two_mounts_of_one_filesystem_are_copied_between(drop: Ready, far: Path) -> None:
    """Where only the refusal of the rename tells them apart, the drop arrives all the same."""
    carry(drop, far / "b.mp4")
    assert (far / "b.mp4").read_bytes() == CONTENT
    assert not drop.path.exists()
    assert [path.name for path in far.iterdir()] == ["b.mp4"]


@pytest.mark.parametrize("near", [True, False])
def test_a_drop_that_has_changed_stays(drop: Ready, far: Path, tmp_path: Path, near: bool) -> None:
    """Nothing is moved that was not looked at, also when it changes after it was copied."""
    copy = None if near else bring(drop, far, far, "")
    drop.path.write_bytes(b"new content")
    target = (tmp_path if near else far) / "b.mp4"
    with pytest.raises(DropChanged):
        carry(drop, target, copy)
    assert drop.path.read_bytes() == b"new content"
    assert not target.exists()


@pytest.mark.parametrize("near", [True, False])
def test_an_existing_file_is_never_replaced(drop: Ready, far: Path, tmp_path: Path, near: bool) -> None:
    """A name that is taken is an error, and both files are as they were."""
    target = (tmp_path if near else far) / "b.mp4"
    target.write_bytes(b"was here first")
    with pytest.raises(FileExistsError):
        carry(drop, target)
    assert target.read_bytes() == b"was here first"
    assert drop.path.read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")
@pytest.mark.parametrize("with_copy", [False, True])
def test_a_drop_that_somebody_has_opened_since_goes_back(desk: Desk, tmp_path: Path, with_copy: bool) -> None:
    """What is written later would go into the library's file, or, across two filesystems, nowhere."""
    source, target = tmp_path / "raw.mp4", tmp_path / "filed.mp4"
    source.write_bytes(b"first half")
    ready, _ = desk.ready(source, Kind.VIDEO)
    copy = None
    if with_copy:
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(b"first half")
    with source.open("ab") as writer:
        with pytest.raises(DropChanged):
            carry(ready, target, copy)
        writer.write(b", second half")
    assert source.read_bytes() == b"first half, second half"
    assert not target.exists()
