"""A server that says "failed" to what it has done: looking finds out, and what cannot be known is called so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from shared.tree.sftp import SftpTree
from shared.tree.tree import AlreadyThere, Moved, NoInformation
from tests.farside import linked
from tests.strange_server import Ways, strange_server

if TYPE_CHECKING:
    from tests.conftest import DeadMounts

P = PurePosixPath


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def tree(tmp_path: Path, root: Path) -> Iterator[SftpTree]:
    ways = Ways(denies=frozenset({"rename", "posix_rename", "mkdir", "remove"}))
    with strange_server(tmp_path, ways) as server, linked(server.remote(root)) as link:
        yield SftpTree(link)


def test_a_move_that_was_denied_may_have_happened(tree: SftpTree, root: Path) -> None:
    """Whose it was, only a token in what was moved can tell: so it is not called done."""
    (root / "attempt").mkdir()
    (root / "attempt/render.json").write_text("token")
    assert tree.move(P("attempt"), P("output")) is Moved.PERHAPS
    assert tree.read(P("output/render.json")) == b"token"


def test_a_record_that_was_replaced_is_replaced(tree: SftpTree, root: Path) -> None:
    """Its content is there, whatever was said."""
    (root / "record.json").write_bytes(b"old")
    tree.replace(P("record.json"), b"new")
    assert (root / "record.json").read_bytes() == b"new"
    assert [path.name for path in root.iterdir()] == ["record.json"]


def test_what_was_removed_is_removed(tree: SftpTree, root: Path) -> None:
    """It is not there any more, whatever was said."""
    (root / "file").write_bytes(b"")
    assert tree.remove(P("file"))
    assert not (root / "file").exists()


def test_a_folder_that_is_there_counts_as_taken(tree: SftpTree, root: Path) -> None:
    """The safe answer: who believes it makes another."""
    with pytest.raises(AlreadyThere):
        tree.make_folder(P("folder"))
    assert (root / "folder").is_dir()


def test_an_upload_that_was_denied_its_name_has_it(tree: SftpTree, root: Path, tmp_path: Path) -> None:
    """The file under it is the one that was carried, as its hash says."""
    (tmp_path / "film.mp4").write_bytes(b"film")
    assert tree.upload(tmp_path / "film.mp4", P("final.mp4")).size == 4
    assert [path.name for path in root.iterdir()] == ["final.mp4"]


def test_a_disk_that_does_not_answer_the_server_is_no_information(
    tmp_path: Path, root: Path, dead_mounts: DeadMounts
) -> None:
    """It says "Failure" to every question, which is not "no such file"."""
    (root / "tasks").mkdir()
    dead_mounts.over(root / "tasks")
    with strange_server(tmp_path, Ways()) as server, linked(server.remote(dead_mounts.seen(root))) as link:
        tree = SftpTree(link)
        for ask in (tree.entries, tree.is_folder, tree.is_there, tree.size, tree.read):
            with pytest.raises(NoInformation, match="tasks"):
                ask(P("tasks"))
