"""`reelmill retire`: library files and stories out of future videos and back in, the files themselves untouched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.retire import Unknown, mark_of
from shared.domain.drop import Kind
from shared.domain.layout import Layout, retired_of, sidecar_of
from shared.records.retired import RetiredRecord
from shared.records.sidecar import Origin, Sidecar

File = Callable[..., Path]

DROPPED = "raw/video/nature/My clip.mp4"


@pytest.fixture
def file(layout: Layout) -> File:
    """Puts a file with its record into the library."""

    def put(path: Path, kind: Kind, dropped: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"media")
        origin = Origin(path=dropped, sha256="00", size=5, device=1, inode=1, mtime_ns=1, evidence="test")
        Sidecar(
            kind=kind, category="nature", sha256="00", size=5, origin=origin, scanned_at="2026-11-20T18:03:44Z"
        ).write(sidecar_of(path))
        return path

    return put


@pytest.fixture
def clip(layout: Layout, file: File) -> Path:
    return file(layout.clip(Kind.VIDEO, "nature", (64, 48), 1.0, "My_clip"), Kind.VIDEO, DROPPED)


@pytest.fixture
def voice(layout: Layout, file: File) -> Path:
    path = layout.voice("fantasy", "Dragon_Flight", "chapter_0001")
    return file(path, Kind.VOICE, "raw/story/fantasy/Dragon Flight/voice/chapter_0001.mp3")


def retire(layout: Layout, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["retire", "--root", str(layout.root), *map(str, arguments)])


def test_a_mark_beside_the_file_takes_it_out_and_undo_puts_it_back(layout: Layout, clip: Path) -> None:
    """It says who, when and why; the file and its record stay as they are, and doing it twice is doing it once."""
    before = (clip.stat(), sidecar_of(clip).stat())
    done = retire(layout, clip, "--note", "shows\na logo")
    assert done.exit_code == 0, done.output
    shown = layout.relative(clip)
    assert f"{shown} is out of use since " in done.output
    assert "shows\\na logo" in done.output
    record = RetiredRecord.read(retired_of(clip))
    assert (record.note, bool(record.by)) == ("shows\na logo", True)
    again = json.loads(retire(layout, clip, "--json").stdout)["items"]
    assert [(item["retired"], item["changed"], item["when"]) for item in again] == [(True, False, record.when)]
    assert retire(layout, clip, "--undo").output == f"{shown} is used again\n"
    assert retire(layout, clip, "--undo").output == f"{shown} was in use already\n"
    assert not retired_of(clip).exists()
    assert (clip.stat().st_mtime_ns, sidecar_of(clip).stat().st_mtime_ns) == tuple(s.st_mtime_ns for s in before)


@pytest.mark.parametrize("word", [DROPPED, DROPPED.removeprefix("raw/"), "My clip.mp4", "1.0_My_clip.mp4"])
def test_a_file_is_understood_by_each_of_its_names(layout: Layout, clip: Path, voice: Path, word: str) -> None:
    """As it was dropped, by path or name, and as it is called in the library."""
    assert mark_of(layout, word) == retired_of(clip)


def test_a_path_may_start_anywhere(
    layout: Layout, clip: Path, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the root of the disk, of the farm, in the current folder; a task's link means the file it leads to."""
    assert mark_of(layout, str(layout.relative(clip))) == retired_of(clip)
    monkeypatch.chdir(clip.parent)
    assert mark_of(layout, f"./{clip.name}") == retired_of(clip)
    link = layout.root / "tasks/video_part1.mp4"
    link.symlink_to(os.path.relpath(clip, link.parent))
    assert mark_of(layout, "tasks/video_part1.mp4") == retired_of(clip)
    (tmp_path / "way").symlink_to(layout.root)
    assert mark_of(Layout(tmp_path / "way"), str(clip)) == tmp_path / "way" / retired_of(clip).relative_to(layout.root)


@pytest.mark.parametrize(
    "word", ["fantasy/Dragon Flight", "fantasy/Dragon_Flight", "scanned/story/fantasy/Dragon_Flight/"]
)
def test_a_whole_story_is_taken_out(layout: Layout, voice: Path, word: str) -> None:
    """By category and story as the operator wrote them, or by its folder."""
    assert retire(layout, word).exit_code == 0
    mark = layout.story_retired("fantasy", "Dragon_Flight")
    assert mark == voice.parents[1] / ".retired"
    assert RetiredRecord.read(mark).note == ""
    assert retire(layout, word, "--undo").exit_code == 0
    assert not mark.exists()


def test_everything_out_of_use_is_listed(layout: Layout, clip: Path, voice: Path) -> None:
    """Files and stories, even where the record of it is damaged; none is said too."""
    assert "Everything in the library is in use." in retire(layout, "--list").output
    retire(layout, clip, "fantasy/Dragon Flight")
    retired_of(voice).write_bytes(b"")
    items = json.loads(retire(layout, "--list", "--json").stdout)["items"]
    assert {item["path"] for item in items} == {
        str(layout.relative(clip)),
        str(layout.relative(voice)),
        "scanned/story/fantasy/Dragon_Flight",
    }
    assert all(item["retired"] for item in items)


def test_a_mark_whose_file_has_gone_can_be_taken_away(layout: Layout, clip: Path) -> None:
    """It is listed, so it can be undone."""
    retire(layout, clip)
    clip.unlink()
    sidecar_of(clip).unlink()
    assert retire(layout, clip, "--undo").exit_code == 0
    assert not retired_of(clip).exists()


def test_what_no_video_is_made_from_is_refused(layout: Layout, clip: Path, voice: Path, file: File) -> None:
    """Records, folders, texts, unknown files and places outside the library, each with exit status 2."""
    story = voice.parents[1]
    file(story / "chunk_0001.txt", Kind.LINK, "raw/story/fantasy/Dragon Flight/link/a.txt")
    file(story / "story.toml", Kind.SETTINGS, "raw/story/fantasy/Dragon Flight/story.toml")
    (clip.parent / "unknown.mp4").write_bytes(b"x")
    words: list[str | Path] = [
        sidecar_of(clip),
        clip.parent,
        layout.scanned,
        story / "chunk_0001.txt",
        story / "story.toml",
        clip.parent / "unknown.mp4",
        layout.config,
        "nothing",
        "no/story",
        "",
    ]
    before = sorted(layout.root.rglob("*"))
    for word in words:
        done = retire(layout, word)
        assert done.exit_code == 2, word
        assert "reelmill: " in done.output
    assert sorted(layout.root.rglob("*")) == before


def test_a_name_that_several_files_have_is_asked_for(layout: Layout, clip: Path, file: File) -> None:
    """Both are named; the path they were dropped at tells them apart."""
    other = file(
        layout.clip(Kind.VIDEO, "city", (64, 48), 2.0, "My_clip"), Kind.VIDEO, DROPPED.replace("nature", "city")
    )
    with pytest.raises(Unknown, match="could be any of"):
        mark_of(layout, "My clip.mp4")
    assert mark_of(layout, DROPPED) == retired_of(clip)
    assert mark_of(layout, DROPPED.replace("nature", "city")) == retired_of(other)


@pytest.mark.parametrize("arguments", [(), ("x", "--list")])
def test_wrong_usage_is_2(layout: Layout, arguments: tuple[str, ...]) -> None:
    """A name, or --list."""
    assert retire(layout, *arguments).exit_code == 2
