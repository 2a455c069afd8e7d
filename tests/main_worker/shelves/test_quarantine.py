"""Rejected drops: each lies in the trash with its reason beside it, and nothing it points to was touched."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from main_worker.arrival.intake import Intake
from main_worker.arrival.ready import Ready
from main_worker.arrival.settling import Patience
from main_worker.shelves.quarantine import reject, tidy
from shared.domain.errors import Rejection
from shared.domain.layout import Layout
from shared.records.reason import Reason

if TYPE_CHECKING:
    from tests.conftest import DeadMounts
    from tests.main_worker.conftest import Farm, Media

NOT_UTF8 = os.fsdecode(b"caf\xe9" if sys.platform == "linux" else b"caf")
"""A name as old shares have them."""

# Where a bad drop lay, the code of its refusal, and its name in the trash.
BAD = {
    "loose.mp4": ("wrong_place", "loose.mp4"),
    "video/loose-clip.mp4": ("wrong_place", "loose-clip.mp4"),
    "video/nature/deep/deeper/clip.mp4": ("wrong_place", "clip.mp4"),
    "pictures/cat.jpg": ("wrong_place", "cat.jpg"),
    "story/nature/keeper/chapter.mp3": ("wrong_place", "chapter.mp3"),
    "story/nature/keeper/voices/one.mp3": ("wrong_place", "one.mp3"),
    "story/nature/notes.txt": ("wrong_place", "notes.txt"),
    "video/nature/song.mp3": ("wrong_kind", "song.mp3"),
    "video/nature/film.mkv": ("wrong_kind", "film.mkv"),
    "video/nature/no-suffix": ("wrong_kind", "no-suffix"),
    "music/nature/sound.wav": ("wrong_kind", "sound.wav"),
    "story/nature/keeper/voice/text.doc": ("wrong_kind", "text.doc"),
    "story/nature/keeper/link/voice.mp3": ("wrong_kind", "voice.mp3"),
    "video/nature/empty.mp4": ("empty", "empty.mp4"),
    "video/nature/text.mp4": ("unreadable", "text.mp4"),
    "video/nature/two words\nand 'quotes'.mkv": ("wrong_kind", "two_words_and__quotes.mkv"),
    "video/nature/" + "x" * 240 + ".mkv": ("wrong_kind", "x" * 100 + ".mkv"),
    "video/nature/日本.mkv": ("wrong_kind", "unnamed.mkv"),
    "video/nature/odd.sûffix!": ("wrong_kind", "odd.suffix"),
    f"video/nature/{NOT_UTF8}.mkv": ("wrong_kind", "caf.mkv"),
    "video/nature/link-to-file.mp4": ("not_a_file", "link-to-file.mp4"),
    "video/nature/link-to-etc.mp4": ("not_a_file", "link-to-etc.mp4"),
    "video/link-to-folder": ("not_a_file", "link-to-folder"),
    "video/nature/dangling.mp4": ("not_a_file", "dangling.mp4"),
    "music/nature/pipe.mp3": ("not_a_file", "pipe.mp3"),
    "video/nature/socket.mp4": ("not_a_file", "socket.mp4"),
}


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything that must not change below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is none of the farm's business, with a good clip's name in it."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "private.mp4").write_text("private", "utf-8")
    return folder


@pytest.fixture(scope="module")
def filled(
    make_farm: Callable[..., Farm], media: Media, outside: Path
) -> tuple[Farm, dict[str, tuple[int, int, bytes]], str]:
    """A root after every kind of bad drop; what had been outside before; the worker's log."""
    farm = make_farm()
    before = tree(outside)
    for name in BAD:
        path = farm.layout.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match path.name:
            case "link-to-file.mp4":
                path.symlink_to(outside / "private.mp4")
            case "link-to-etc.mp4":
                path.symlink_to("/etc")
            case "link-to-folder":
                path.symlink_to(outside)
            case "dangling.mp4":
                path.symlink_to("../../../nowhere")
            case "pipe.mp3":
                os.mkfifo(path)
            case "socket.mp4":
                with socket.socket(socket.AF_UNIX) as server:
                    server.bind(str(media.text("s", "").with_name("socket")))
                media.text("s", "").with_name("socket").rename(path)
            case "empty.mp4":
                path.touch()
            case _:
                path.write_bytes(os.fsencode(name))
    return farm, before, farm.work()


def test_every_bad_drop_is_in_the_trash_with_its_reason(
    filled: tuple[Farm, dict[str, tuple[int, int, bytes]], str],
) -> None:
    """Code and name are as expected, and the reason says where the drop had lain."""
    found = {
        original.removeprefix("raw/"): (reason.code, name) for original, (name, reason) in filled[0].rejected().items()
    }
    assert found == BAD


def test_every_reason_is_written_for_people(filled: tuple[Farm, dict[str, tuple[int, int, bytes]], str]) -> None:
    """A sentence, an advice, and no character that upsets a terminal."""
    for path in filled[0].layout.invalid.glob("*.reason.json"):
        reason = json.loads(path.read_text("ascii"))
        assert {"schema", "code", "reason", "advice", "measured", "original_path", "when"} <= reason.keys()
        assert reason["reason"].endswith((".", ")."))
        assert reason["reason"].isprintable()
        assert reason["advice"].endswith(".")
        assert reason["advice"].isprintable()


def test_the_log_names_every_rejection(filled: tuple[Farm, dict[str, tuple[int, int, bytes]], str]) -> None:
    """One line each, also for a name with a line break."""
    lines = [line for line in filled[2].splitlines() if "event=file_rejected" in line]
    assert len(lines) == len(BAD)
    assert "Traceback" not in filled[2]


def test_nothing_outside_the_root_was_touched(
    filled: tuple[Farm, dict[str, tuple[int, int, bytes]], str], outside: Path
) -> None:
    """Links, pipes and sockets were moved by their names; what they lead to is as it was."""
    farm, before, _ = filled
    assert tree(outside) == before
    modes = {name: (farm.layout.invalid / name).lstat().st_mode for _, name in BAD.values()}
    assert {name for name, mode in modes.items() if stat.S_ISLNK(mode)} == {
        "link-to-file.mp4",
        "link-to-etc.mp4",
        "link-to-folder",
        "dangling.mp4",
    }
    assert [name for name, mode in modes.items() if stat.S_ISFIFO(mode)] == ["pipe.mp3"]
    assert [name for name, mode in modes.items() if stat.S_ISSOCK(mode)] == ["socket.mp4"]


def test_raw_and_library_are_empty_afterwards(filled: tuple[Farm, dict[str, tuple[int, int, bytes]], str]) -> None:
    """Every drop is in the trash, and only there."""
    farm = filled[0]
    assert farm.files(farm.layout.raw) == []
    assert farm.files(farm.layout.scanned) == []
    assert farm.leftovers() == []


def test_dragging_a_rejected_drop_back_tries_it_again(farm: Farm, media: Media) -> None:
    """Rejected again, it has one reason and its old name; put right, it is filed."""
    cut = media.half(media.clip("late-index.mp4", seconds=6))
    farm.drop(cut, "video/nature/a.mp4")
    farm.work()
    (farm.layout.invalid / "a.mp4").rename(farm.layout.raw / "video/nature/a.mp4")
    farm.work()
    assert farm.files(farm.layout.invalid) == ["a.mp4", "a.mp4.reason.json"]
    (farm.layout.invalid / "a.mp4").unlink()
    farm.drop(media.clip("late-index.mp4", seconds=6), "video/nature/a.mp4")
    farm.work()
    assert list(farm.library()) == ["video/nature/mp4_w64_h48/6.0_a.mp4"]


def test_two_rejected_drops_of_one_name_are_both_kept(farm: Farm, media: Media) -> None:
    """The trash is one folder for all of raw/."""
    farm.drop(media.text("one.txt", "one"), "video/nature/a.mkv")
    farm.drop(media.text("two.txt", "two"), "video/city/a.mkv")
    farm.work()
    rejected = farm.rejected()
    contents = {original: (farm.layout.invalid / name).read_text("utf-8") for original, (name, _) in rejected.items()}
    assert contents == {"raw/video/nature/a.mkv": "one", "raw/video/city/a.mkv": "two"}


def test_a_reason_that_comes_back_with_its_drop_goes_with_it(farm: Farm, media: Media) -> None:
    """Somebody drags a rejected drop back together with its reason: the drop is retried, the old reason is gone."""
    farm.drop(media.text("one.txt", "one"), "video/nature/a.mkv")
    farm.work()
    for name in ("a.mkv", "a.mkv.reason.json"):
        (farm.layout.invalid / name).rename(farm.layout.raw / "video/nature" / name)
    farm.work()
    assert set(farm.rejected()) == {"raw/video/nature/a.mkv"}
    assert farm.files(farm.layout.raw) == []


# -- what a crash leaves -------------------------------------------------------------------------------

REFUSED = Rejection("wrong_kind", "It is of the wrong kind.", "Convert it.")


def only_drop(farm: Farm) -> Ready:
    (ready,) = Intake(farm.layout.raw, Patience(0.0, 0.0)).look(0.0).ready
    return ready


def test_a_reason_without_its_drop_is_taken_over(farm: Farm, media: Media) -> None:
    """The crash came after the reason and before the move: rejecting again leaves one of each."""
    source = media.text("one.txt", "one")
    farm.drop(source, "video/nature/a.mkv")
    reject(farm.layout, only_drop(farm), REFUSED)
    (farm.layout.invalid / "a.mkv").unlink()
    farm.drop(source, "video/nature/a.mkv")
    assert reject(farm.layout, only_drop(farm), REFUSED) == farm.layout.invalid / "a.mkv"
    assert farm.files(farm.layout.invalid) == ["a.mkv", "a.mkv.reason.json"]


def test_a_rejection_that_fails_leaves_the_drop_and_no_reason(farm: Farm, media: Media) -> None:
    """A drop that vanished meanwhile is the only failure that needs no machine's trouble."""
    raw = farm.drop(media.text("one.txt", "one"), "video/nature/a.mkv")
    ready = only_drop(farm)
    raw.unlink()
    with pytest.raises(FileNotFoundError):
        reject(farm.layout, ready, REFUSED)
    assert farm.files(farm.layout.invalid) == []


def test_the_figures_of_a_refusal_are_kept_in_the_reason(farm: Farm, media: Media) -> None:
    """Programs find them under ``measured``."""
    farm.drop(media.half(media.clip("fast-start.mp4", "-movflags", "+faststart", seconds=6)), "video/nature/a.mp4")
    farm.work()
    reason = Reason.read(farm.layout.invalid / "a.mp4.reason.json")
    assert reason.code == "truncated"
    assert reason.measured["declared_seconds"] == 6.0
    assert reason.original_path == "raw/video/nature/a.mp4"


def test_a_trash_that_cannot_be_read_is_an_error(farm: Farm, media: Media) -> None:
    """And not a reason to look for free names in it for ever."""
    path = farm.drop(media.text("note.txt", "a note"), "video/nature/note.txt")
    farm.layout.invalid.rmdir()
    farm.layout.invalid.touch()
    with pytest.raises(NotADirectoryError):
        reject(farm.layout, only_drop(farm), REFUSED)
    assert path.exists()


def test_a_rejected_drop_that_does_not_answer_keeps_its_reason(
    farm: Farm, media: Media, dead_mounts: DeadMounts
) -> None:
    """The next start tidies up when it can see what is there."""
    farm.drop(media.text("a.mkv", "text"), "video/nature/a.mkv")
    farm.work()
    dead_mounts.over(farm.layout.invalid / "a.mkv")
    with pytest.raises(OSError, match="not connected"):
        tidy(Layout(dead_mounts.seen(farm.layout.root)))
    assert (farm.layout.invalid / "a.mkv.reason.json").exists()
