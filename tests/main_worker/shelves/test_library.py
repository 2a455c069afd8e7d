"""What the index of the library knows, and that it can be made again from the records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from main_worker.shelves.library import Library, Place
from shared.domain.drop import Kind
from shared.domain.layout import Layout, retired_of, sidecar_of
from shared.log import open_log
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings
from shared.settings import Log
from tests.main_worker.conftest import Stock

if TYPE_CHECKING:
    from tests.conftest import DeadMounts


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_clips_and_tracks_stand_on_the_shelf_of_their_kind_and_category(stock: Stock) -> None:
    """In a fixed order, whatever the order in which they came, each with its length."""
    for name in "bca":
        stock.clip("nature", name, seconds=2.0)
    stock.clip("city", "d")
    stock.music("nature", "tune")
    library = stock.library()
    shelf = library.shelf(Kind.VIDEO, "nature")
    assert shelf == [f"scanned/video/nature/mp4_w64_h48/2.0_{name}.mp4" for name in "abc"]
    assert [library.seconds(path) for path in shelf] == [2.0] * 3
    assert library.shelf(Kind.MUSIC, "nature") == ["scanned/music/nature/mp3/5.0_tune.mp3"]
    assert library.shelf(Kind.MUSIC, "city") == ()
    assert library.shelf(Kind.FRAME, "nature") == ()


def test_content_is_known_by_the_bytes_that_were_dropped(stock: Stock) -> None:
    """Within its kind and category only; a voice within its story."""
    voice = stock.voice("nature", "tale", "one")
    library = stock.library()
    sha256 = Sidecar.read(sidecar_of(voice)).origin.sha256
    assert library.with_content(Place(Kind.VOICE, "nature", "tale"), sha256) == str(stock.layout.relative(voice))
    assert library.with_content(Place(Kind.VOICE, "nature", "other"), sha256) is None
    assert library.with_content(Place(Kind.MUSIC, "nature", None), sha256) is None


def test_a_file_that_is_added_twice_stands_there_once(stock: Stock) -> None:
    """As when a voice is written down anew with its task."""
    clip = stock.clip("nature", "a")
    library = stock.library()
    before = library.version
    library.add(clip, Sidecar.read(sidecar_of(clip)))
    assert len(library.shelf(Kind.VIDEO, "nature")) == 1
    assert library.version > before, "whoever waits for changes looks again"


def test_voices_without_a_task_are_known_until_they_have_one(stock: Stock) -> None:
    """Across a restart, too."""
    first = stock.voice("nature", "tale", "one")
    stock.voice("nature", "tale", "two", task_id="made-earlier")
    library = stock.library()
    name = str(stock.layout.relative(first))
    assert dict(library.without_task()) == {name: Place(Kind.VOICE, "nature", "tale")}
    library.note_task(first, library.read(name)[1], "its-task")
    assert not library.without_task()
    assert not stock.library().without_task()


def test_the_newest_settings_of_a_story_are_in_force(stock: Stock) -> None:
    """Whatever their names, and in whichever order they are read; older ones may be dropped again."""
    old = stock.settings("nature", "tale", "story", "2026-01-01T00:00:00Z", priority=10)
    new = stock.settings("nature", "tale", "story-1234abcd", "2026-01-02T00:00:00Z", priority=20, music=False)
    library = stock.library()
    assert library.settings("nature", "tale") == StorySettings(priority=20, music=False)
    assert library.settings("nature", "other") == StorySettings()
    place = Place(Kind.SETTINGS, "nature", "tale")
    assert library.with_content(place, Sidecar.read(sidecar_of(old)).origin.sha256) is None
    assert library.with_content(place, Sidecar.read(sidecar_of(new)).origin.sha256) is not None


def test_settings_that_somebody_took_out_are_not_in_force(stock: Stock) -> None:
    """At once, and what was in force before is so again; that too is gone after a while."""
    old = stock.settings("nature", "tale", "story", "2026-01-01T00:00:00Z", priority=10)
    new = stock.settings("nature", "tale", "story-1234abcd", "2026-01-02T00:00:00Z", priority=20)
    library = stock.library()
    place = Place(Kind.SETTINGS, "nature", "tale")
    contents = [Sidecar.read(sidecar_of(path)).origin.sha256 for path in (old, new)]
    new.unlink()
    assert library.settings("nature", "tale") == StorySettings(priority=10)
    library.forget_gone()
    assert library.settings("nature", "tale") == StorySettings(priority=10)
    known = [library.with_content(place, content) for content in contents]
    assert known == [str(stock.layout.relative(old)), None], "what is gone may be dropped again"
    old.unlink()
    assert library.settings("nature", "tale") == StorySettings()


def test_the_newest_text_of_a_chapter_is_in_force(stock: Stock) -> None:
    """Of that chapter only; where somebody takes it out, the one before is again. Subtitles go before prose."""
    voice = Sidecar.read(sidecar_of(stock.voice("nature", "tale", "one")))
    old = stock.text("nature", "tale", "one.txt", "2026-01-01T00:00:00Z")
    new = stock.text("nature", "tale", "one-1234abcd.txt", "2026-01-02T00:00:00Z")
    stock.text("nature", "tale", "two.txt", "2026-01-03T00:00:00Z")
    stock.text("nature", "other", "one.txt", "2026-01-03T00:00:00Z")
    library = stock.library()
    assert library.text_of(voice) == str(stock.layout.relative(new))
    new.unlink()
    assert library.text_of(voice) == str(stock.layout.relative(old))
    timed = stock.text("nature", "tale", "one.srt", "2025-01-01T00:00:00Z")
    library = stock.library()
    assert library.text_of(voice) == str(stock.layout.relative(timed))
    retired_of(timed).touch()
    assert library.text_of(voice) == str(stock.layout.relative(old))
    old.unlink()
    assert library.text_of(voice) is None


def test_texts_are_not_what_was_dropped(stock: Stock) -> None:
    """Only the link file itself says that it is done."""
    path = stock.layout.chunk("nature", "tale", 1)
    stock.put(path, Kind.LINK, "nature", story="tale", address="http://a/")
    sha256 = Sidecar.read(sidecar_of(path)).origin.sha256
    assert stock.library().with_content(Place(Kind.LINK, "nature", "tale"), sha256) is None


def test_a_retired_file_is_told(stock: Stock) -> None:
    """By the mark beside it, at the very moment; it may come and go while the worker runs."""
    clip = stock.clip("nature", "a")
    library = stock.library()
    (name,) = library.shelf(Kind.VIDEO, "nature")
    assert not library.is_retired(name)
    retired_of(clip).touch()
    assert library.is_retired(name)


def test_a_damaged_record_is_told_and_its_file_is_kept_out(stock: Stock, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are used all the same; nothing is removed."""
    damaged = stock.clip("nature", "a")
    stock.clip("nature", "b")
    sidecar_of(damaged).write_bytes(b"{")
    before = files(stock.layout.scanned)
    library = stock.library()
    assert library.shelf(Kind.VIDEO, "nature") == ["scanned/video/nature/mp4_w64_h48/1.0_b.mp4"]
    assert "event=sidecar_damaged" in capsys.readouterr().err
    assert files(stock.layout.scanned) == before
    with pytest.raises(RecordError):
        library.read(str(stock.layout.relative(damaged)))


@pytest.mark.parametrize("mend", [True, False])
def test_what_a_crash_left_is_cleared_only_where_that_is_wanted(stock: Stock, mend: bool) -> None:
    """A record without its file, and private names; a dry run leaves them."""
    stock.clip("nature", "good")
    stock.clip("nature", "gone").unlink()
    damaged = stock.clip("nature", "gone-and-damaged")
    damaged.unlink()
    sidecar_of(damaged).write_bytes(b"{")
    private = stock.layout.scanned / "video/nature/mp4_w64_h48/.1.0_a.mp4.0badcafe.tmp"
    private.touch()
    before = files(stock.layout.scanned)
    library = stock.library(mend=mend)
    assert len(library.shelf(Kind.VIDEO, "nature")) == 1
    left = [name for name in before if "good" in name]
    assert files(stock.layout.scanned) == (left if mend else before)


@pytest.mark.parametrize("part", ["file", "record"])
def test_what_turned_out_to_be_gone_is_forgotten(stock: Stock, part: str) -> None:
    """From its shelf, as content, and as a voice without a task; what is there again by then is not."""
    kept, clip, moved = (stock.clip("nature", name) for name in "abc")
    voice = stock.voice("nature", "tale", "one")
    library = stock.library()
    names = {path: str(stock.layout.relative(path)) for path in (kept, clip, moved, voice)}
    contents = {path: Sidecar.read(sidecar_of(path)).origin.sha256 for path in names}
    for path in (clip, voice):
        (path if part == "file" else sidecar_of(path)).unlink()
    away = moved.rename(moved.with_name("away"))
    assert [library.has(name) for name in names.values()] == [True, False, False, False]
    assert library.misses_some
    away.rename(moved)
    before = library.version
    library.forget_gone()
    assert library.shelf(Kind.VIDEO, "nature") == [names[kept], names[moved]]
    assert not library.without_task()
    clips = Place(Kind.VIDEO, "nature", None)
    assert [library.with_content(clips, contents[path]) for path in (kept, clip)] == [names[kept], None]
    assert library.with_content(Place(Kind.VOICE, "nature", "tale"), contents[voice]) is None
    assert library.version > before
    assert not library.misses_some


def test_a_file_that_does_not_answer_keeps_its_record(stock: Stock, dead_mounts: DeadMounts) -> None:
    """Half a library is none: it is read again until all of it can be."""
    clip = stock.clip("nature", "a")
    dead_mounts.over(clip)
    library = Library(Layout(dead_mounts.seen(stock.layout.root)), open_log("main_worker", Log()))
    with pytest.raises(OSError, match="not connected"):
        library.load()
    assert sidecar_of(clip).exists()


def test_a_mark_that_does_not_answer_leaves_its_file_neither_in_use_nor_out_of_it(
    stock: Stock, dead_mounts: DeadMounts
) -> None:
    """Nobody can tell whether it is retired."""
    clip = stock.clip("nature", "a")
    retired_of(clip).touch()
    dead_mounts.over(retired_of(clip))
    library = Library(Layout(dead_mounts.seen(stock.layout.root)), open_log("main_worker", Log()))
    with pytest.raises(OSError, match="not connected"):
        library.is_retired(str(stock.layout.relative(clip)))
