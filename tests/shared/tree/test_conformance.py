"""What every tree does, wherever it lies: on this machine, behind OpenSSH's two servers, behind one of few gifts."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import Stopped
from shared.records.lock import LockRecord
from shared.tree.sftp import SftpTree
from shared.tree.tree import AlreadyThere, Damaged, Entry, Moved, NoInformation, NotThere, OutsideRoot, TreeTrouble
from tests.farside import Sshd, linked

if TYPE_CHECKING:
    from tests.shared.tree.conftest import Place

P = PurePosixPath
BIG = bytes(range(256)) * 12_345  # 3 MB and a bit, no multiple of any block


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_listed_with_its_folders_marked(place: Place) -> None:
    """A link is no folder, wherever it leads."""
    (place.root / "tasks").mkdir(exist_ok=True)
    (place.root / "tasks/one").mkdir()
    (place.root / "tasks/two.json").write_bytes(b"{}")
    (place.root / "tasks/three").symlink_to("one")
    found = {entry.name: entry for entry in place.tree.entries(P("tasks"))}
    assert found == {
        "one": Entry("one", is_folder=True),
        "two.json": Entry("two.json", is_folder=False),
        "three": Entry("three", is_folder=False),
    }


def test_a_long_listing_is_whole(place: Place) -> None:
    """A server gives it in several answers."""
    (place.root / "long").mkdir()
    names = {f"{number:04d}-{'x' * 100}" for number in range(500)}
    for name in names:
        (place.root / "long" / name).write_bytes(b"")
    assert {entry.name for entry in place.tree.entries(P("long"))} == names


def test_a_name_that_is_no_text_is_listed_and_removed(place: Place, request: pytest.FixtureRequest) -> None:
    """Somebody's old disk has such names; one of them must not hide a whole folder."""
    if "no extensions" in request.node.name:
        pytest.skip("paramiko's server cannot tell such names")
    (place.root / "odd").mkdir()
    os.chown(place.root / "odd", place.root.stat().st_uid, -1)
    Path(os.fsdecode(os.fsencode(place.root / "odd") + b"/caf\xe9")).write_bytes(b"")
    (place.root / "odd/caf\u00e9").write_bytes(b"")
    assert {os.fsencode(entry.name) for entry in place.tree.entries(P("odd"))} == {b"caf\xe9", "caf\u00e9".encode()}
    place.tree.remove_tree(P("odd"))
    assert not (place.root / "odd").exists()


def test_what_is_not_there_is_called_so(place: Place) -> None:
    """Which is not the same as no answer."""
    gone = P("tasks-of-nobody/one")
    for ask in (place.tree.entries, place.tree.size, place.tree.read):
        with pytest.raises(NotThere, match="one") as caught:
            ask(gone)
        assert not isinstance(caught.value, NoInformation)
        assert isinstance(caught.value, FileNotFoundError)
    assert not place.tree.is_there(gone)
    assert not place.tree.is_folder(gone)
    assert not place.tree.remove(gone)
    place.tree.remove_tree(gone)


def test_kinds_and_sizes(place: Place) -> None:
    """A folder, a file, a link to a folder, a link that leads nowhere."""
    (place.root / "folder").mkdir()
    (place.root / "file").write_bytes(b"12345")
    (place.root / "link").symlink_to("folder")
    (place.root / "lost").symlink_to("nowhere")
    tree = place.tree
    assert [tree.is_folder(P(name)) for name in ("folder", "file", "link", "lost")] == [True, False, True, False]
    assert [tree.is_there(P(name)) for name in ("folder", "file", "link", "lost")] == [True] * 4
    assert tree.size(P("file")) == 5


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 200_000])
def test_a_file_is_read_whole(place: Place, size: int) -> None:
    """Whatever its size is to the blocks it comes in."""
    content = (BIG * 2)[:size]
    (place.root / "file").write_bytes(content)
    assert place.tree.read(P("file")) == content


def test_several_files_are_read_together(place: Place) -> None:
    """Each whole, whatever its size is to the blocks it comes in; one that is not there is no trouble of others."""
    (place.root / "folder").mkdir()
    contents = {
        f"file{number}": (BIG * 2)[:size] for number, size in enumerate([0, 1, 32768, 32769, 200_000, *[9] * 30])
    }
    for name, content in contents.items():
        (place.root / name).write_bytes(content)
    names = [*contents, "gone"]
    *found, gone = place.tree.read_each([P(name) for name in names])
    assert found == list(contents.values())
    assert isinstance(gone, NotThere)
    assert "gone" in str(gone)
    no_file, there = place.tree.read_each([P("folder"), P("file1")])
    assert isinstance(no_file, OSError)
    assert not isinstance(no_file, NotThere)
    assert there == contents["file1"]
    assert place.tree.read_each([]) == []
    assert place.tree.read(P("file3")) == contents["file3"], "what was left to be answered is no other answer"


def test_a_created_file_is_whole_and_alone(place: Place) -> None:
    """Nothing private is left beside it."""
    (place.root / "farm").mkdir()
    os.chown(place.root / "farm", place.root.stat().st_uid, -1)
    place.tree.create(P("farm/lease.json"), BIG)
    assert (place.root / "farm/lease.json").read_bytes() == BIG
    assert names_in(place.root / "farm") == ["lease.json"]


def test_a_second_create_is_refused_even_with_the_same_content(place: Place) -> None:
    """And changes nothing."""
    place.tree.create(P("one.json"), b"first")
    for content in (b"second", b"first"):
        with pytest.raises(AlreadyThere, match=r"one\.json") as caught:
            place.tree.create(P("one.json"), content)
        assert isinstance(caught.value, FileExistsError)
    assert (place.root / "one.json").read_bytes() == b"first"
    assert names_in(place.root / ".farm") == []
    with pytest.raises(NotThere):
        place.tree.create(P("nowhere/one.json"), b"")


@pytest.mark.parametrize("durable", [True, False])
def test_replacing_leaves_the_new_content_alone(place: Place, durable: bool) -> None:
    """Made where there was none, replaced where there was one."""
    for content in (b"old", b"new"):
        place.tree.replace(P(".farm/record.json"), content, durable=durable)
        assert (place.root / ".farm/record.json").read_bytes() == content
    assert names_in(place.root / ".farm") == ["record.json"]
    with pytest.raises(NotThere):
        place.tree.replace(P("nowhere/one.json"), b"", durable=durable)


def test_a_file_may_be_made_elsewhere(place: Place) -> None:
    """In a folder for drafts, where that of its name may be moved away at any moment; nothing is left there."""
    drafts = P(".farm")
    place.tree.make_folder(P("task"))
    place.tree.create(P("task/one.json"), b"first", by=drafts)
    with pytest.raises(AlreadyThere):
        place.tree.create(P("task/one.json"), b"first", by=drafts)
    place.tree.replace(P("task/one.json"), b"second", by=drafts)
    assert (place.root / "task/one.json").read_bytes() == b"second"
    assert names_in(place.root / "task") == ["one.json"]
    for write in (place.tree.create, place.tree.replace):
        with pytest.raises(NotThere):
            write(P("gone/one.json"), b"late", by=drafts)
    assert names_in(place.root / ".farm") == []
    assert not (place.root / "gone").exists()


def test_a_move_never_replaces(place: Place) -> None:
    """Neither a file nor a folder, be it empty; and it says what came of it."""
    for name in ("file", "taken"):
        (place.root / name).write_bytes(name.encode())
    for name in ("folder", "empty", "full"):
        place.tree.make_folder(P(name))
    place.tree.create(P("full/kept"), b"kept")
    tree = place.tree
    assert tree.move(P("file"), P("taken")) is Moved.TAKEN
    assert tree.move(P("folder"), P("full")) is Moved.TAKEN
    assert tree.move(P("folder"), P("empty")) is Moved.TAKEN
    assert (place.root / "taken").read_bytes() == b"taken"
    assert names_in(place.root / "full") == ["kept"]
    assert tree.move(P("file"), P("full/file")) is Moved.DONE
    assert tree.move(P("folder"), P("moved")) is Moved.DONE
    assert tree.move(P("file"), P("elsewhere")) is Moved.GONE
    assert tree.move(P("file"), P("taken")) is Moved.GONE
    assert {"empty", "full", "moved", "taken"} < set(names_in(place.root))
    with pytest.raises(NotThere):
        tree.move(P("moved"), P("nowhere/moved"))


def test_folders_are_made_once(place: Place) -> None:
    """A second is refused, and so is one in a folder that is not there."""
    place.tree.make_folder(P("folder"))
    assert (place.root / "folder").is_dir()
    with pytest.raises(AlreadyThere):
        place.tree.make_folder(P("folder"))
    with pytest.raises(NotThere):
        place.tree.make_folder(P("nowhere/folder"))


def test_removing(place: Place) -> None:
    """A file once, a tree with everything in it, and nothing that a link leads to."""
    place.tree.make_folder(P("kept"))
    place.tree.create(P("kept/file"), b"kept")
    place.tree.make_folder(P("tree"))
    place.tree.make_folder(P("tree/deep"))
    place.tree.create(P("tree/deep/file"), b"")
    (place.root / "tree/link").symlink_to("../kept")
    assert place.tree.remove(P("tree/deep/file"))
    assert not place.tree.remove(P("tree/deep/file"))
    with pytest.raises(TreeTrouble):
        place.tree.remove(P("tree"))
    place.tree.create(P("tree/deep/another"), b"")
    place.tree.remove_tree(P("tree"))
    assert not (place.root / "tree").exists()
    assert (place.root / "kept/file").read_bytes() == b"kept"
    place.tree.remove_tree(P("kept/file"))
    assert names_in(place.root / "kept") == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "tasks/../../secret", ".", "a\0b"])
def test_no_path_leads_outside_the_root(place: Place, path: str, tmp_path: Path) -> None:
    """I8, for every question and every change."""
    away, tree = P(path), place.tree
    (place.root.parent / "secret").write_bytes(b"secret")
    for ask in (tree.entries, tree.is_folder, tree.is_there, tree.size, tree.read, tree.remove, tree.remove_tree):
        with pytest.raises(OutsideRoot, match="within the project root"):
            ask(away)
    with pytest.raises(OutsideRoot):
        tree.create(away, b"")
    with pytest.raises(OutsideRoot):
        tree.replace(away, b"")
    with pytest.raises(OutsideRoot):
        tree.make_folder(away)
    for source, target in ((away, P("one")), (P(".farm"), away)):
        with pytest.raises(OutsideRoot):
            tree.move(source, target)
    with pytest.raises(OutsideRoot):
        tree.hold(away, "node", "ab")
    with pytest.raises(OutsideRoot):
        tree.upload(place.root.parent / "secret", away)
    with pytest.raises(OutsideRoot):
        tree.download(away, tmp_path / "here", sha256=sha256(b"secret"), size=6)
    assert (place.root.parent / "secret").read_bytes() == b"secret"
    (place.root.parent / "secret").unlink()


def test_a_sign_of_life_beats_in_place(place: Place) -> None:
    """The file keeps its size, its counter rises, and it is gone when it is released."""
    path = P(".farm/one.lock")
    sign = place.tree.hold(path, "node-a", "ab12")
    first = place.tree.read(path)
    counters = []
    for _ in range(3):
        sign.beat()
        content = place.tree.read(path)
        assert len(content) == len(first)
        counters.append(LockRecord.from_bytes(content, "lock").counter)
    assert counters == [2, 3, 4]
    assert LockRecord.from_bytes(first, "lock").node == "node-a"
    with pytest.raises(AlreadyThere):
        place.tree.hold(path, "node-b", "cd34")
    sign.release()
    sign.release()
    assert not place.tree.is_there(path)
    with pytest.raises(FileNotFoundError):
        sign.beat()


def test_a_sign_that_was_taken_away_is_noticed(place: Place) -> None:
    """Whether the file is gone or another's; and what is another's is left alone."""
    path = P(".farm/one.lock")
    sign = place.tree.hold(path, "node-a", "ab12")
    place.tree.remove(path)
    with pytest.raises(FileNotFoundError):
        sign.beat()
    other = place.tree.hold(path, "node-b", "cd34")
    content = place.tree.read(path)
    with pytest.raises(FileNotFoundError):
        sign.beat()
    sign.release()
    assert place.tree.read(path) == content
    other.abandon()
    assert place.tree.read(path) == content


def test_a_living_holder_is_not_dead(place: Place) -> None:
    """Only a mounted tree may ever say so, and not of a holder that lives."""
    path = P(".farm/one.lock")
    sign = place.tree.hold(path, "node-a", "ab12")
    assert not place.tree.is_dead_here(path, place.tree.read(path))
    assert not place.tree.is_dead_here(path, None)
    sign.release()


@pytest.mark.parametrize("content", [b"", b"x", BIG], ids=["empty", "one byte", "3 MB"])
def test_a_file_goes_there_and_comes_back(place: Place, tmp_path: Path, content: bytes) -> None:
    """Whole, under its name alone, with its progress told."""
    (tmp_path / "film.mp4").write_bytes(content)
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []
    place.tree.make_folder(P("attempt"))
    carried = place.tree.upload(tmp_path / "film.mp4", P("attempt/final.mp4"), lambda *told: up.append(told))
    assert (carried.size, carried.sha256) == (len(content), sha256(content))
    assert names_in(place.root / "attempt") == ["final.mp4"]
    assert (place.root / "attempt/final.mp4").read_bytes() == content
    place.tree.download(
        P("attempt/final.mp4"),
        tmp_path / "back.mp4",
        sha256=carried.sha256,
        size=carried.size,
        progress=lambda *told: down.append(told),
    )
    assert (tmp_path / "back.mp4").read_bytes() == content
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]
    for told in (up, down):
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert not content or told[-1] == (len(content), len(content))


def test_a_second_upload_of_the_same_file_is_done_at_once(place: Place, tmp_path: Path) -> None:
    """Of another it is refused, and what is there stays."""
    (tmp_path / "film.mp4").write_bytes(b"film")
    (tmp_path / "other.mp4").write_bytes(b"filn")
    place.tree.upload(tmp_path / "film.mp4", P("final.mp4"))
    told: list[tuple[int, int]] = []
    assert place.tree.upload(tmp_path / "film.mp4", P("final.mp4"), lambda *done: told.append(done)).size == 4
    assert set(told) <= {(4, 4)}, "it is looked at, and nothing is carried"
    with pytest.raises(AlreadyThere):
        place.tree.upload(tmp_path / "other.mp4", P("final.mp4"))
    assert (place.root / "final.mp4").read_bytes() == b"film"
    with pytest.raises(NotThere):
        place.tree.upload(tmp_path / "film.mp4", P("nowhere/final.mp4"))
    with pytest.raises(TreeTrouble, match="Cannot read") as caught:
        place.tree.upload(tmp_path / "missing.mp4", P("final2.mp4"))
    assert not isinstance(caught.value, (NotThere, NoInformation))


def test_an_upload_goes_on_where_it_stopped(place: Place, tmp_path: Path) -> None:
    """Of what was there before, nothing is carried again."""
    (tmp_path / "film.mp4").write_bytes(BIG)

    def stop(done: int, _: int) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    place.tree.make_folder(P("attempt"))
    with pytest.raises(KeyboardInterrupt):
        place.tree.upload(tmp_path / "film.mp4", P("attempt/final.mp4"), stop)
    assert len(names_in(place.root / "attempt")) == 1
    assert names_in(place.root / "attempt")[0].startswith(".")
    told: list[int] = []
    place.tree.upload(tmp_path / "film.mp4", P("attempt/final.mp4"), lambda done, _: told.append(done))
    assert told[0] > 1_000_000
    assert (place.root / "attempt/final.mp4").read_bytes() == BIG


@pytest.mark.parametrize("wrong", [b"wrong" * 1000, BIG + b"more"], ids=["other bytes", "too long"])
def test_an_upload_begun_wrong_is_begun_anew(place: Place, tmp_path: Path, wrong: bytes) -> None:
    """A power loss may leave zeros where bytes were; the hash at the far end finds them."""
    (tmp_path / "film.mp4").write_bytes(BIG)
    partial = place.root / f".final.mp4.{sha256(BIG)[:8]}.tmp"
    partial.write_bytes(wrong)
    os.chown(partial, place.root.stat().st_uid, -1)
    assert place.tree.upload(tmp_path / "film.mp4", P("final.mp4")).sha256 == sha256(BIG)
    assert (place.root / "final.mp4").read_bytes() == BIG
    assert not partial.exists()


def test_an_upload_that_is_not_what_was_judged_gets_no_name(place: Place, tmp_path: Path) -> None:
    """The hash that the gate wrote down is the one that counts."""
    (tmp_path / "film.mp4").write_bytes(b"changed since")
    with pytest.raises(Damaged, match=r"film\.mp4"):
        place.tree.upload(tmp_path / "film.mp4", P("final.mp4"), sha256=sha256(b"as it was judged"))
    assert "final.mp4" not in names_in(place.root)


def test_an_upload_can_be_ended_while_it_is_checked(
    sshd: Sshd, root_at: Callable[[Sshd], Path], tmp_path: Path
) -> None:
    """A server that counts no hashes sends it all back, which takes as long as the upload; whoever waits is told."""
    (tmp_path / "film.mp4").write_bytes(BIG)
    told: list[int] = []

    def stop(done: int, _: int) -> None:
        told.append(done)
        if told.count(len(BIG)) > 3:
            raise Stopped

    with linked(sshd.remote(root_at(sshd))) as link:
        tree = SftpTree(link)
        with pytest.raises(Stopped):
            tree.upload(tmp_path / "film.mp4", P("final.mp4"), stop)
        assert not tree.is_there(P("final.mp4"))
        assert tree.upload(tmp_path / "film.mp4", P("final.mp4")).sha256 == sha256(BIG)


def test_a_download_goes_on_where_it_stopped(place: Place, tmp_path: Path) -> None:
    """Of what was there before, nothing is carried again."""
    (place.root / "clip.mp4").write_bytes(BIG)
    here = tmp_path / "here"
    here.mkdir()

    def stop(done: int, _: int) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.tree.download(P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG), progress=stop)
    assert names_in(here) == [f".clip.mp4.{sha256(BIG)[:8]}.tmp"]
    told: list[int] = []
    place.tree.download(
        P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG), progress=lambda done, _: told.append(done)
    )
    assert told[0] > 1_000_000
    assert (here / "clip.mp4").read_bytes() == BIG
    assert names_in(here) == ["clip.mp4"]


@pytest.mark.parametrize("there", [BIG[:-1], BIG + b"x", b"y" + BIG[1:]], ids=["shorter", "longer", "other"])
def test_a_download_of_another_file_gets_no_name(place: Place, tmp_path: Path, there: bytes) -> None:
    """What does not have the size and hash that were asked for is damaged, and leaves nothing behind."""
    (place.root / "clip.mp4").write_bytes(there)
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(Damaged, match=r"clip\.mp4"):
        place.tree.download(P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG))
    assert names_in(here) == []


def test_a_download_begun_wrong_is_begun_anew(place: Place, tmp_path: Path) -> None:
    """As after a power loss."""
    (place.root / "clip.mp4").write_bytes(BIG)
    here = tmp_path / "here"
    here.mkdir()
    (here / f".clip.mp4.{sha256(BIG)[:8]}.tmp").write_bytes(b"wrong" * 1000)
    place.tree.download(P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG))
    assert (here / "clip.mp4").read_bytes() == BIG


def test_a_download_of_nothing_leaves_nothing(place: Place, tmp_path: Path) -> None:
    """Not there is not there."""
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(NotThere):
        place.tree.download(P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG))
    assert names_in(here) == []
    (here / "clip.mp4").write_bytes(b"mine")
    with pytest.raises(AlreadyThere):
        place.tree.download(P("clip.mp4"), here / "clip.mp4", sha256=sha256(BIG), size=len(BIG))
    assert (here / "clip.mp4").read_bytes() == b"mine"


def test_two_that_race_for_a_name_have_one_winner(place: Place) -> None:
    """Of creates, of folders and of moves, however often."""
    for turn in range(10):
        place.tree.make_folder(P(f"home-{turn}"))
        start = threading.Barrier(3)
        won: list[str] = []

        def race(number: int, turn: int = turn, start: threading.Barrier = start, won: list[str] = won) -> None:
            start.wait()
            try:
                place.tree.create(P(f"file-{turn}"), f"{number}".encode())
                won.append("create")
            except AlreadyThere:
                pass
            if place.tree.move(P(f"home-{turn}"), P(f"away-{turn}")) is Moved.DONE:
                won.append("move")

        threads = [threading.Thread(target=race, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == ["create", "move"]


def test_a_file_is_extended_where_its_writer_says(place: Place) -> None:
    """It is made where there is none; the same written once more, as after a lost answer, changes nothing."""
    path = P(".farm/lines")
    place.tree.extend(path, 0, b"one\n")
    for _ in range(2):
        place.tree.extend(path, 4, BIG)
    place.tree.extend(path, 4 + len(BIG), b"end\n")
    assert (place.root / path).read_bytes() == b"one\n" + BIG + b"end\n"
    with pytest.raises(NotThere):
        place.tree.extend(P(".farm/no folder/lines"), 0, b"one\n")
    with pytest.raises(OutsideRoot):
        place.tree.extend(P("../lines"), 0, b"one\n")
