"""What is seen in raw/ and when it is ready: names only, nothing is opened, nothing is forgotten too early."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path, PurePosixPath

import pytest

from main_worker.arrival.intake import LONG_ARRIVAL_SECONDS, PROBE, Intake, files_below
from main_worker.arrival.settling import Clue, Patience
from shared.domain.drop import Drop, Kind, Misplaced
from tests.main_worker.conftest import without_privileges

QUIET = 5.0
PATIENCE = Patience(quiet=QUIET, blind=QUIET)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """An empty raw/."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def put(raw: Path, name: str, content: bytes = b"x") -> Path:
    path = raw / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def settled(raw: Path) -> dict[str, Drop | Misplaced]:
    """How everything in raw/ is judged once it is quiet."""
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    return {str(ready.relative): ready.drop for ready in intake.look(QUIET).ready}


def test_a_new_drop_settles_and_then_is_ready(raw: Path) -> None:
    """The view says when to look again, and hands the drop over with the identity it had."""
    path = put(raw, "video/nature/a.mp4", b"clip")
    intake = Intake(raw, PATIENCE)
    first = intake.look(10.0)
    assert ([str(name) for name in first.settling], first.ready, first.next_at) == (["video/nature/a.mp4"], (), 15.0)
    (ready,) = intake.look(15.0).ready
    assert ready.path == path
    assert isinstance(ready.drop, Drop)
    assert ready.drop.kind is Kind.VIDEO
    assert (ready.identity.inode, ready.identity.size) == (path.stat().st_ino, 4)
    assert ready.evidence.startswith("unchanged for 5.0 s")


def test_a_drop_that_grows_waits_again(raw: Path) -> None:
    """Also when it was ready before: a copy that stalled goes on."""
    path = put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    assert intake.look(5.0).ready
    with path.open("ab") as stream:
        stream.write(b"more")
    view = intake.look(6.0)
    assert (view.ready, view.next_at) == ((), 11.0)


def test_a_drop_of_which_only_the_time_moves_waits_again(raw: Path) -> None:
    """Some programs preallocate the whole size and then write."""
    path = put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    os.utime(path, ns=(1, 1))
    assert not intake.look(5.0).ready


def test_a_drop_that_was_away_in_between_waits_again(raw: Path) -> None:
    """A file that was taken out and put back is a new drop, though its inode and times are the same."""
    path = put(raw, "video/nature/a.mp4")
    aside = raw.with_name("aside.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    path.rename(aside)
    intake.look(3.0)
    aside.rename(path)
    assert intake.look(5.0).next_at == 10.0


def test_the_next_look_is_due_when_the_first_drop_may_be_ready(raw: Path) -> None:
    """Several drops settle at times of their own."""
    put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    put(raw, "music/calm/b.mp3")
    assert intake.look(2.0).next_at == 5.0
    assert intake.look(5.0).next_at == 7.0


def test_an_empty_folder_has_nothing_to_wait_for(raw: Path) -> None:
    """Folders alone are no drops."""
    (raw / "video/nature").mkdir(parents=True)
    view = Intake(raw, PATIENCE).look(0.0)
    assert (view.ready, view.settling, view.next_at, view.unreadable) == ((), {}, None, ())


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.mp4",
        "._a.mp4",
        ".DS_Store",
        "Thumbs.db",
        "a.mp4.part",
        "a.mp4.crdownload",
        "a.mp4.tmp",
        "a.mp4~",
        "~$a.mp4",
        "~syncthing~a.mp4.tmp",
        ".a.mp4.X3fK2s",
        "A.MP4.PART",
        "new\nline.tmp",
    ],
)
def test_temporary_names_of_common_programs_are_left_alone(raw: Path, name: str) -> None:
    """They are neither taken nor rejected nor waited for."""
    put(raw, f"video/nature/{name}")
    view = Intake(raw, PATIENCE).look(0.0)
    assert (view.ready, view.settling) == ((), {})


def test_everything_in_a_hidden_folder_is_left_alone(raw: Path) -> None:
    """Synchronising programs keep their own folders."""
    put(raw, "video/.stversions/a.mp4")
    assert settled(raw) == {}


def test_the_notes_of_init_are_left_alone_but_not_other_readmes(raw: Path) -> None:
    """``README.md`` stands in raw/ and in each kind's folder; deeper it is a file in the wrong place."""
    for folder in ("", "video/", "story/", "video/nature/"):
        put(raw, f"{folder}README.md")
    judged = settled(raw)
    assert list(judged) == ["video/nature/README.md"]
    assert isinstance(judged["video/nature/README.md"], Misplaced)


def test_special_files_are_refused_by_their_kind_and_never_followed(raw: Path, tmp_path: Path) -> None:
    """Links, also to folders, pipes and sockets have no business in raw/, whatever they are called."""
    outside = put(tmp_path, "outside/secret.mp4")
    nature = raw / "video/nature"
    nature.mkdir(parents=True)
    (nature / "file.mp4").symlink_to(outside)
    (nature / "folder.mp4").symlink_to(outside.parent)
    (nature / "dangling.mp4").symlink_to("nowhere")
    (raw / "video/city").symlink_to(outside.parent)
    os.mkfifo(nature / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(nature)  # the name of a socket must be short
        try:
            server.bind("socket.mp4")
        finally:
            os.chdir(here)
    judged = settled(raw)
    sentences = {
        name: drop.rejection.sentence
        for name, drop in judged.items()
        if isinstance(drop, Misplaced) and drop.rejection.code == "not_a_file"
    }
    assert sentences == {
        "video/city": "city is a symbolic link, not a file; it was not opened.",
        "video/nature/dangling.mp4": "dangling.mp4 is a symbolic link, not a file; it was not opened.",
        "video/nature/file.mp4": "file.mp4 is a symbolic link, not a file; it was not opened.",
        "video/nature/folder.mp4": "folder.mp4 is a symbolic link, not a file; it was not opened.",
        "video/nature/pipe.mp4": "pipe.mp4 is a named pipe, not a file; it was not opened.",
        "video/nature/socket.mp4": "socket.mp4 is a socket, not a file; it was not opened.",
    }


def test_a_hidden_link_is_left_alone(raw: Path) -> None:
    """A name that is none of our business stays so, whatever it is."""
    (raw / ".link").symlink_to("/etc")
    assert settled(raw) == {}


def test_a_vanished_raw_is_no_news_of_its_drops(raw: Path) -> None:
    """A lost mount is told, and what was seen before still counts when it is back."""
    put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    away = raw.rename(raw.with_name("away"))
    lost = intake.look(2.0)
    assert (lost.ready, lost.settling) == ((), {})
    assert lost.unreadable == (f"{raw}: it is gone",)
    away.rename(raw)
    view = intake.look(5.0)
    assert len(view.ready) == 1
    assert view.unreadable == ()


def test_a_raw_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """The system's own words say what is wrong."""
    raw = put(tmp_path, "raw")
    assert Intake(raw, PATIENCE).look(0.0).unreadable == (f"{raw}: Not a directory",)


def test_an_unreadable_folder_is_told_and_hinders_no_other() -> None:
    """Drops beside it are taken; what was seen in it before is not forgotten."""
    with without_privileges() as folder:
        raw = folder / "raw"
        put(raw, "video/nature/a.mp4")
        put(raw, "video/secret/b.mp4")
        intake = Intake(raw, PATIENCE)
        intake.look(0.0)
        (raw / "video/secret").chmod(0)
        view = intake.look(5.0)
        assert [str(ready.relative) for ready in view.ready] == ["video/nature/a.mp4"]
        assert view.unreadable == (f"{raw}/video/secret: Permission denied",)
        (raw / "video/secret").chmod(0o755)
        assert len(intake.look(6.0).ready) == 2


def test_a_folder_that_a_system_keeps_for_itself_is_not_looked_into(raw: Path) -> None:
    """The `lost+found` of an ext4 filesystem can be read by root alone, and that is nobody's trouble."""
    put(raw, "lost+found/#123")
    put(raw, "video/nature/clip.mp4")
    unreadable: dict[Path, str] = {}
    assert [str(name) for name in files_below(raw, unreadable)] == ["video/nature/clip.mp4"]
    assert unreadable == {}


def test_only_what_lies_in_an_unreadable_folder_is_remembered() -> None:
    """What is gone elsewhere is gone: a new drop of its name is as new as any."""
    with without_privileges() as folder:
        raw = folder / "raw"
        put(raw, "video/secret/b.mp4")
        gone = put(raw, "video/nature/a.mp4")
        intake = Intake(raw, PATIENCE)
        intake.look(0.0)
        (raw / "video/secret").chmod(0)
        gone.unlink()
        view = intake.look(1.0)
        assert view.hides(PurePosixPath("video/secret/b.mp4"))
        assert view.hides(PurePosixPath("video/secret/deep/b.mp4"))
        assert not view.hides(PurePosixPath("video/nature/a.mp4"))
        put(raw, "video/nature/a.mp4")
        late = intake.look(LONG_ARRIVAL_SECONDS)
        assert late.arriving == {PurePosixPath("video/nature/a.mp4")}
        (raw / "video/secret").chmod(0o755)


def test_a_vanished_raw_hides_everything(raw: Path) -> None:
    """Nothing that was known of drops is forgotten then."""
    raw.rmdir()
    assert Intake(raw, PATIENCE).look(0.0).hides(PurePosixPath("video/nature/a.mp4"))


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")


@linux_only
@pytest.mark.parametrize("name", ["video/big.mp4", "video/nature/clip.avi", "video/nature/clip.mp4"])
def test_nothing_is_taken_that_a_program_has_open_for_writing(raw: Path, name: str) -> None:
    """Wherever it lies and whatever it is: on the way to the trash its rest would be lost just the same."""
    path = put(raw, name)
    intake = Intake(raw, PATIENCE)
    with path.open("ab"):
        intake.look(0.0)
        assert not intake.look(QUIET).ready
    assert intake.look(2 * QUIET).ready


@linux_only
def test_a_program_that_opens_a_drop_late_is_waited_for(raw: Path) -> None:
    """It was found out when the drop was taken; that nobody had it open before says nothing any more."""
    path = put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    intake.look(0.0)
    assert intake.look(QUIET).ready
    with path.open("ab"):
        (ready,) = intake.look(QUIET).ready
        assert not ready.is_at(path)
        intake.distrust([ready.relative])
        view = intake.look(QUIET)
        assert not view.ready
        assert list(view.settling.values()) == ["waiting for a program that has it open for writing"]
        assert view.next_at == 2 * QUIET, "and not looked at all the time"
    assert intake.look(2 * QUIET).ready


def test_a_rename_of_what_is_distrusted_proves_nothing(raw: Path) -> None:
    """The worker gave the drop its name back itself, because it had changed."""
    path = put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    relative = PurePosixPath("video/nature/a.mp4")
    intake.distrust([relative])
    assert not intake.look(0.0, {str(path): Clue.RENAMED}).ready
    path.unlink()
    intake.look(1.0)
    put(raw, "video/nature/a.mp4", b"another")
    assert intake.look(2.0, {str(path): Clue.RENAMED}).ready, "a new drop of that name is trusted again"


def test_a_drop_that_never_settles_is_waited_for_only_so_long(raw: Path) -> None:
    """A recorder that writes for a day must not keep a category's voices from their videos."""
    path = put(raw, "video/nature/a.mp4")
    intake = Intake(raw, PATIENCE)
    assert intake.look(0.0).arriving == {PurePosixPath("video/nature/a.mp4")}
    path.write_bytes(b"more and more")
    late = intake.look(LONG_ARRIVAL_SECONDS)
    assert not late.arriving
    assert late.settling


def test_a_forgotten_probe_is_found(raw: Path) -> None:
    """A kill while the main worker tried whether events arrive leaves one behind."""
    probe = put(raw, f".{PROBE[1:]}0011aabb.tmp")
    assert Intake(raw, PATIENCE).look(0.0).aside == (probe,)
