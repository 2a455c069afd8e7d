"""Durable steps on a real filesystem: nothing is replaced, nothing is lost, nothing is seen half."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.files import (
    as_machine_trouble,
    create_exclusive,
    is_machine_trouble,
    make_folder,
    move_new,
    private_name,
    remove_tree,
    write_atomic,
    write_hint,
)

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem than `tmp_path`."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here: /dev/shm is missing or the one of the temporary folder")
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", [write_atomic, write_hint])
def test_a_file_is_made_or_replaced_whole(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    """The new content stands alone, without a private file beside it."""
    path = tmp_path / "record.json"
    write(path, b"old")
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["record.json"]


@pytest.mark.parametrize("write", [write_atomic, write_hint])
def test_a_reader_never_sees_a_part(
    tmp_path: Path,
    write: Callable[[Path, bytes], None],
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """Another process that writes all the time is never caught in the middle of it."""
    path = tmp_path / "record.json"
    write(path, b"0" * 300_000)
    writer = start_python(
        f"""
import sys
from pathlib import Path
from shared.files import {write.__name__} as write
print("going", flush=True)
for turn in range(100_000):
    write(Path(sys.argv[1]), str(turn % 10).encode() * (200_000 + turn % 7 * 10_000))
""",
        path,
    )
    said(writer)
    for _ in range(200):
        content = path.read_bytes()
        assert len(content) >= 200_000
        assert len(set(content)) == 1


@pytest.mark.parametrize("write", [write_atomic, write_hint, create_exclusive])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    """A name that cannot be written keeps no private file beside it."""
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError, match="taken"):
        write(path, b"content")
    assert names_in(tmp_path) == ["taken"]


def test_exclusive_creation_never_replaces(tmp_path: Path) -> None:
    """Who comes second is told, and the first content stays."""
    path = tmp_path / "1.json"
    create_exclusive(path, b"first")
    with pytest.raises(FileExistsError):
        create_exclusive(path, b"second")
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["1.json"]


def test_of_many_creators_one_wins_and_readers_see_its_whole_content(
    tmp_path: Path,
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
) -> None:
    """Whoever loses the race can read the winner's content at once, complete."""
    code = """
import sys
from pathlib import Path
from shared.files import create_exclusive
print("ready", flush=True)
while not Path(sys.argv[1], "go").exists():
    pass
for number in range(100):
    path = Path(sys.argv[1], f"{number}.json")
    try:
        create_exclusive(path, sys.argv[2].encode() * 1000)
        print(f"won {number}", flush=True)
    except FileExistsError:
        assert len(path.read_bytes()) == 1000
print("done", flush=True)
"""
    processes = [start_python(code, tmp_path, name) for name in "ab"]
    assert [said(process) for process in processes] == ["ready", "ready"]
    (tmp_path / "go").touch()
    won = []
    for process in processes:
        while (line := said(process)) != "done":
            won.append(line)
    assert sorted(won) == sorted(f"won {number}" for number in range(100))


def test_a_move_keeps_the_content_and_takes_the_old_name(tmp_path: Path) -> None:
    """On one filesystem the file itself moves, with its time."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(CONTENT)
    inode = source.stat().st_ino
    move_new(source, target)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_ino == inode
    assert names_in(tmp_path) == ["b"]


def test_a_move_never_replaces(tmp_path: Path) -> None:
    """Both files stay as they were."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"mine")
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        move_new(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"mine", b"theirs")


def test_a_move_across_filesystems_keeps_content_and_time(tmp_path: Path, elsewhere: Path) -> None:
    """The copy is whole, keeps the modification time, and the source goes."""
    source, target = elsewhere / "a", tmp_path / "b"
    source.write_bytes(CONTENT)
    os.utime(source, ns=(1_000_000_000, 1_234_567_890_000_000_000))
    move_new(source, target)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mtime_ns == 1_234_567_890_000_000_000
    assert not source.exists()
    assert names_in(tmp_path) == ["b"]


def test_a_move_across_filesystems_never_replaces(tmp_path: Path, elsewhere: Path) -> None:
    """A taken name costs neither file, and leaves no copy behind."""
    source, target = elsewhere / "a", tmp_path / "b"
    source.write_bytes(b"mine")
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        move_new(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"mine", b"theirs")
    assert names_in(tmp_path) == ["b"]


def test_moving_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A vanished drop is not taken for a moved one."""
    with pytest.raises(FileNotFoundError):
        move_new(tmp_path / "a", tmp_path / "b")
    assert names_in(tmp_path) == []


def test_a_folder_is_made_with_its_parents_and_twice_is_once(tmp_path: Path) -> None:
    """Two workers may both want it."""
    make_folder(tmp_path / "a/b/c")
    make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()


def test_a_private_name_is_hidden_short_and_beside_its_path(tmp_path: Path) -> None:
    """The scan leaves it alone, and the longest file name still leaves room for it."""
    path = tmp_path / ("x" * 255)
    name = private_name(path)
    assert name.parent == tmp_path
    assert name.name.startswith(".")
    assert len(name.name) <= 255
    assert private_name(path) != name


def test_removing_a_tree_leaves_what_its_links_point_to(tmp_path: Path) -> None:
    """A task's links lead into the library, which must never be deleted through them."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library/voice.mp3").write_bytes(b"voice")
    task = tmp_path / "task"
    task.mkdir()
    (task / "voice.mp3").symlink_to("../library/voice.mp3")
    (task / "folder").symlink_to("../library")
    remove_tree(task)
    (tmp_path / "link").symlink_to("library")
    remove_tree(tmp_path / "link")
    assert names_in(tmp_path) == ["library"]
    assert names_in(tmp_path / "library") == ["voice.mp3"]


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    """Two cleaners may meet."""
    remove_tree(tmp_path / "gone")


def test_a_full_disk_is_the_machines_trouble_and_a_missing_file_is_not() -> None:
    """Only the first may pause the farm instead of refusing a drop."""
    assert is_machine_trouble(OSError(errno.ENOSPC, "full"))
    assert is_machine_trouble(OSError(errno.EIO, "broken"))
    assert not is_machine_trouble(FileNotFoundError(errno.ENOENT, "gone"))


def test_machine_trouble_says_what_was_done_to_which_file() -> None:
    """The words an operator reads in the log."""
    trouble = as_machine_trouble(OSError(errno.ENOSPC, "No space left on device", "/root/x"), "cannot claim")
    assert str(trouble) == "cannot claim: No space left on device (/root/x)"
