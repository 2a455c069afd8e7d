"""Durable steps on a real filesystem: nothing is replaced, nothing is lost, nothing is seen half."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from shared.files import (
    as_machine_trouble,
    copy_new,
    create_exclusive,
    is_folder,
    is_there,
    make_folder,
    original_name,
    private_name,
    put_back,
    remove_same,
    remove_tree,
    rename_new,
    write_atomic,
    write_hint,
)

if TYPE_CHECKING:
    from tests.conftest import DeadMounts

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
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]], said: Callable[[subprocess.Popen[str]], str]
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


def test_a_rename_keeps_the_file_and_takes_the_old_name(tmp_path: Path) -> None:
    """On one filesystem the file itself moves."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(CONTENT)
    inode = source.stat().st_ino
    rename_new(source, target)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_ino == inode
    assert names_in(tmp_path) == ["b"]


@pytest.mark.parametrize("dangling", [False, True])
def test_a_rename_never_replaces(tmp_path: Path, dangling: bool) -> None:
    """Both stay as they were, even where the taken name is a link that leads nowhere."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"mine")
    target.symlink_to("nowhere") if dangling else target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        rename_new(source, target)
    assert source.read_bytes() == b"mine"
    assert target.is_symlink() if dangling else target.read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["a", "b"]


def test_a_rename_across_filesystems_is_told_as_such(tmp_path: Path, elsewhere: Path) -> None:
    """The caller copies then; nothing has happened yet."""
    source, target = elsewhere / "a", tmp_path / "b"
    source.write_bytes(CONTENT)
    with pytest.raises(OSError, match="a") as caught:
        rename_new(source, target)
    assert caught.value.errno == errno.EXDEV
    assert source.read_bytes() == CONTENT
    assert names_in(tmp_path) == []


def test_renaming_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A vanished drop is not taken for a moved one."""
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "a", tmp_path / "b")
    assert names_in(tmp_path) == []


def test_of_many_renames_to_one_name_one_wins(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]], said: Callable[[subprocess.Popen[str]], str]
) -> None:
    """Real processes race for the same names, and no content is lost."""
    code = """
import sys
from pathlib import Path
from shared.files import rename_new
folder, name = Path(sys.argv[1]), sys.argv[2]
for number in range(200):
    (folder / f"{name}{number}").write_text(name)
print("ready", flush=True)
while not (folder / "go").exists():
    pass
for number in range(200):
    try:
        rename_new(folder / f"{name}{number}", folder / f"target{number}")
        print("won", flush=True)
    except FileExistsError:
        print("lost", flush=True)
"""
    processes = [start_python(code, tmp_path, name) for name in "ab"]
    assert [said(process) for process in processes] == ["ready", "ready"]
    (tmp_path / "go").touch()
    words = [said(process) for process in processes for _ in range(200)]
    assert words.count("won") == 200
    assert len(names_in(tmp_path)) == 401


def test_a_copy_is_whole_and_tells_its_hash(tmp_path: Path, elsewhere: Path) -> None:
    """From another filesystem or from the same."""
    source = elsewhere / "a"
    source.write_bytes(CONTENT)
    with source.open("rb") as stream:
        assert copy_new(stream, tmp_path / "b") == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "b").read_bytes() == source.read_bytes() == CONTENT
    assert names_in(tmp_path) == ["b"]


def test_a_copy_never_replaces(tmp_path: Path) -> None:
    """A taken name costs neither file, and leaves no copy behind."""
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "b").write_bytes(b"theirs")
    with (tmp_path / "a").open("rb") as stream, pytest.raises(FileExistsError):
        copy_new(stream, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("name", ["drop.mp4", "x" * 255])
def test_a_file_is_removed_only_if_it_is_the_one_meant(tmp_path: Path, name: str) -> None:
    """What came under the name meanwhile stays there, under that name."""
    path = tmp_path / name
    path.write_bytes(b"meant")
    inode = path.stat().st_ino
    assert remove_same(path, lambda aside: aside.stat().st_ino != inode) is False
    assert path.read_bytes() == b"meant"
    assert names_in(tmp_path) == [name]
    assert remove_same(path, lambda aside: aside.stat().st_ino == inode) is True
    assert names_in(tmp_path) == []
    assert remove_same(path, lambda _: True) is False


def test_what_cannot_be_removed_has_its_name_again(tmp_path: Path) -> None:
    """Else it would lie hidden until the next start, while the trouble has long passed."""
    path = tmp_path / "a.mp4"
    path.write_bytes(CONTENT)

    def fail(_: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        remove_same(path, fail)
    assert names_in(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("name", [".reelmill-aside-abc", ".reelmill-aside-0011aabb-", ".reelmill-aside-0011aabb-.."])
def test_a_name_that_only_looks_like_one_put_aside_is_nobody_elses(tmp_path: Path, name: str) -> None:
    """Operators may name files as they like; none of that leads anywhere."""
    assert original_name(tmp_path / name) is None


def test_a_file_put_aside_can_be_told_and_put_back(tmp_path: Path) -> None:
    """A crash between looking and removing hides nothing for good."""
    path = tmp_path / "my-drop.mp4"
    path.write_bytes(b"first")
    seen: list[Path] = []

    def is_same(_: Path) -> bool:
        seen.extend(tmp_path.iterdir())
        path.write_bytes(b"came meanwhile")
        return False

    assert remove_same(path, is_same) is False
    (aside,) = seen
    assert aside.name.startswith(".")
    assert original_name(aside) == path
    assert original_name(path) is None
    assert path.read_bytes() == b"came meanwhile"
    (other,) = (found for found in tmp_path.iterdir() if found != path)
    assert other.read_bytes() == b"first"
    assert re.fullmatch(r"my-drop-[0-9a-f]{8}\.mp4", other.name)


def test_what_is_put_back_gets_its_own_name_where_that_is_free(tmp_path: Path) -> None:
    """The operator finds it where it was."""
    (tmp_path / "aside").write_bytes(b"drop")
    put_back(tmp_path / "aside", tmp_path / "drop.mp4")
    assert names_in(tmp_path) == ["drop.mp4"]


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


def test_machine_trouble_says_what_was_done_to_which_file() -> None:
    """The words an operator reads in the log."""
    trouble = as_machine_trouble(OSError(errno.ENOSPC, "No space left on device", "/farm/x"), "cannot claim")
    assert str(trouble) == "cannot claim: No space left on device (/farm/x)"


def test_what_is_there_is_told_by_its_name_alone(tmp_path: Path) -> None:
    """A link that leads nowhere is something, and below a file there is nothing."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    assert [is_there(tmp_path / name) for name in ("file", "link", "none", "file/below")] == [True, True, False, False]
    assert [is_folder(tmp_path / name) for name in (".", "file", "link", "none", "file/below")] == [True, *[False] * 4]


@pytest.mark.parametrize("look", [is_there, is_folder])
def test_what_cannot_be_told_is_an_error(tmp_path: Path, dead_mounts: DeadMounts, look: Callable[[Path], bool]) -> None:
    """Nothing is deleted, and nothing made a second time, because a disk does not answer."""
    (tmp_path / "silent").mkdir()
    dead_mounts.over(tmp_path / "silent")
    with pytest.raises(OSError, match="not connected"):
        look(dead_mounts.seen(tmp_path) / "silent")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="Too many levels"):
        look(tmp_path / "round" / "below")
