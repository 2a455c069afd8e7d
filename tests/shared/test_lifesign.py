"""The lock file shows life while its holder lives, and the kernel tells when it died."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.lifesign import LifeSign, boot_id, died_here, hold, is_free, read_sign
from shared.records.lock import LockRecord

HOLDER = """
import sys, time
from pathlib import Path
from shared.lifesign import LifeSign
sign = LifeSign.create(Path(sys.argv[1]), "node-a", "ab12")
print("held", flush=True)
while True:
    time.sleep(0.05)
    sign.beat()
"""


def record_in(path: Path) -> LockRecord:
    return LockRecord.from_bytes(path.read_bytes(), str(path))


def test_a_lock_names_its_holder(tmp_path: Path) -> None:
    """Node, token and boot are what an observer and a person need."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    record = record_in(path)
    assert (record.node, record.token, record.boot, record.counter) == ("node-a", "ab12", boot_id(), 1)
    sign.release()


def test_a_lock_is_made_exclusively(tmp_path: Path) -> None:
    """Who comes second is refused and changes nothing, whether the first is alive or not."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        LifeSign.create(path, "node-b", "cd34")
    assert path.read_bytes() == before
    sign.release()
    path.write_bytes(b"")
    with pytest.raises(FileExistsError):
        LifeSign.create(path, "node-b", "cd34")


def test_a_beat_raises_the_counter_in_place(tmp_path: Path) -> None:
    """The file stays the same file of the same size, so no reader sees a shorter one."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    before = path.stat()
    for counter in range(2, 13):
        sign.beat()
        assert record_in(path).counter == counter
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    sign.release()


def test_a_release_removes_the_file_and_a_second_does_nothing(tmp_path: Path) -> None:
    """Nothing is left of an attempt that ended."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    sign.release()
    assert not path.exists()
    path.write_bytes(b"another's")
    sign.release()
    assert path.read_bytes() == b"another's"


def test_a_release_removes_only_its_own_file(tmp_path: Path) -> None:
    """A holder that lost its lock leaves its successor's alone."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    path.unlink()
    successor = LifeSign.create(path, "node-b", "cd34")
    sign.release()
    assert record_in(path).node == "node-b"
    successor.release()


def test_a_beat_tells_a_holder_that_its_lock_is_gone(tmp_path: Path) -> None:
    """It must stop at once; the successor's file is not written to."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        sign.beat()
    successor = LifeSign.create(path, "node-b", "cd34")
    with pytest.raises(FileNotFoundError):
        sign.beat()
    assert record_in(path) == record_in(path).changed(node="node-b", counter=1)
    sign.release()
    successor.release()


def test_a_beat_after_the_release_writes_into_no_other_file(tmp_path: Path) -> None:
    """The number of the closed handle may be a video's by then."""
    sign = LifeSign.create(tmp_path / "a.lock", "node-a", "ab12")
    sign.release()
    with (tmp_path / "video").open("w+b") as video:
        with pytest.raises(OSError, match="released"):
            sign.beat()
        assert video.read() == b""


def test_a_holder_that_abandons_its_lock_is_known_to_be_gone(tmp_path: Path) -> None:
    """Recovery on this host need not wait for the lease."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    sign.abandon()
    assert died_here(path, read_sign(path))
    sign.abandon()
    sign.release()
    assert path.exists()


def test_a_lock_can_be_held_once_and_again_after_its_holder_let_go(tmp_path: Path) -> None:
    """One worker per name; whoever merely looks does not keep it from its holder."""
    path = tmp_path / "node.lock"
    with path.open("w+b") as first, path.open("r+b") as second:
        assert hold(first.fileno())
        assert not is_free(path)
        assert not hold(second.fileno())
        first.close()
        assert is_free(path)
        assert hold(second.fileno())


def test_a_living_holder_on_this_host_is_known_to_live(tmp_path: Path) -> None:
    """Even the same process asks the kernel and gets the right answer."""
    path = tmp_path / "a.lock"
    sign = LifeSign.create(path, "node-a", "ab12")
    assert not is_free(path)
    assert not died_here(path, read_sign(path))
    sign.release()


def test_a_holder_is_known_dead_only_once_it_was_killed(
    tmp_path: Path,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
    eventually: Callable[..., None],
) -> None:
    """The kernel of this host tells at once, without any lease."""
    path = tmp_path / "a.lock"
    holder = start_python(HOLDER, path)
    said(holder)
    first = record_in(path).counter
    eventually(lambda: record_in(path).counter > first + 2)
    assert not died_here(path, read_sign(path))
    holder.kill()
    holder.wait()
    assert died_here(path, read_sign(path))


def test_another_boot_or_another_mount_says_nothing_about_death(tmp_path: Path) -> None:
    """Only the kernel that holds the lock knows; elsewhere the lease must judge."""
    path = tmp_path / "a.lock"
    here = LockRecord(node="n", token="t", boot=boot_id(), pid=1, device=tmp_path.stat().st_dev)
    for record, dead in [
        (here, True),
        (here.changed(boot="another"), False),
        (here.changed(device=here.device and here.device + 1), False),
        (here.changed(device=None), False),
    ]:
        path.write_bytes(record.to_bytes())
        assert died_here(path, read_sign(path)) is dead


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"node": "n"}'])
def test_a_torn_or_foreign_lock_says_nothing_about_death(tmp_path: Path, content: bytes) -> None:
    """It is left to the lease."""
    path = tmp_path / "a.lock"
    path.write_bytes(content)
    assert not died_here(path, content)


def test_a_missing_lock_reads_as_none(tmp_path: Path) -> None:
    """Missing is a sighting; any other failure is no information."""
    assert read_sign(tmp_path / "gone.lock") is None
    assert not died_here(tmp_path / "gone.lock", None)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        read_sign(tmp_path / "file" / "a.lock")
