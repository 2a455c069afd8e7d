"""What a task is made from, or what a voice waits for, decided over a library that is stocked by hand."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

import pytest

from main_worker.shelves.library import Library, Place
from main_worker.tasks.material import Gathering, Material, Missing, Wants, wants_of
from shared.assets import find_logo
from shared.config import Config
from shared.domain.drop import Drop, Kind, classify
from shared.domain.errors import RootError
from shared.domain.layout import retired_of, sidecar_of
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings
from tests.main_worker.conftest import Changes, Stock

TALE = Place(Kind.VOICE, "nature", "tale")


def arriving(*paths: str) -> list[Drop]:
    found = [classify(PurePosixPath(path)) for path in paths]
    assert all(isinstance(drop, Drop) for drop in found)
    return [drop for drop in found if isinstance(drop, Drop)]


def gathering(
    stock: Stock, changes: Changes | None = None, coming: Collection[Drop] = (), library: Library | None = None
) -> Gathering:
    config = Config.model_validate(changes or {})
    return Gathering(config, stock.layout, library or stock.library(), coming)


def gather(
    stock: Stock, changes: Changes | None = None, coming: Collection[Drop] = (), seed: int = 1, **settings: Any
) -> Material:
    """The material of the story's only voice."""
    made = gathering(stock, changes, coming)
    (name,) = made.library.without_task()
    return made.gather(made.read(name), StorySettings(**settings), seed)


def reason(stock: Stock, changes: Changes | None = None, coming: Collection[Drop] = (), **settings: Any) -> str:
    """What the story's only voice waits for."""
    with pytest.raises(Missing) as missing:
        gather(stock, changes, coming, **settings)
    return str(missing.value)


@pytest.fixture
def stocked(stock: Stock) -> Stock:
    """A voice of two and a half seconds, three clips of a second, one track."""
    stock.voice("nature", "tale", "one")
    for name in "abc":
        stock.clip("nature", name)
    stock.music("nature", "tune")
    return stock


# -- what a story wants ------------------------------------------------------------------------------------


def test_without_settings_a_story_uses_its_own_category_and_the_fallbacks() -> None:
    """Each once, and music as configured."""
    config = Config.model_validate({"tasks": {"fallback_categories": ["any", "nature"]}})
    assert wants_of(TALE, StorySettings(), config) == Wants(("nature", "any"), music=True)
    optional = Config.model_validate({"music": {"required": False}})
    assert wants_of(TALE, StorySettings(), optional) == Wants(("nature",), music=None)


def test_a_story_may_name_another_category() -> None:
    """Under the name an operator gave it; its own is not used then."""
    wants = wants_of(TALE, StorySettings(clips="Deep Sea"), Config())
    assert wants.categories == ("Deep_Sea",)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("music", [True, False])
def test_a_storys_word_on_music_counts_more_than_the_configuration(music: bool, required: bool) -> None:
    """In both directions."""
    config = Config.model_validate({"music": {"required": required}})
    assert wants_of(TALE, StorySettings(music=music), config).music is music


# -- what there is -----------------------------------------------------------------------------------------


def test_a_stocked_library_gives_all_that_is_needed(stocked: Stock) -> None:
    """Clips that cover the voice, music, no logo, and the settings for whoever makes the task."""
    material = gather(stocked, priority=7)
    assert len({clip.path for clip in material.clips}) == 3
    assert material.music is not None
    assert (material.logo, material.settings.priority) == (None, 7)
    assert gather(stocked, seed=5).clips == gather(stocked, seed=5).clips


def test_music_that_is_not_wanted_is_not_taken(stocked: Stock) -> None:
    """Though there is some."""
    assert gather(stocked, music=False).music is None


def test_what_is_lacking_is_said_before_anything_is_read(stock: Stock) -> None:
    """With every place that would do."""
    stock.music("any", "tune")
    changes: Changes = {"tasks": {"fallback_categories": ["any"]}}
    made = gathering(stock, changes)
    wants = wants_of(TALE, StorySettings(), made.config)
    assert made.lacks(wants) == "there is no clip in raw/video/nature/ or raw/video/any/ yet"
    stock.clip("any", "a")
    assert gathering(stock, changes).lacks(wants) is None
    only = Wants(("city",), music=True)
    stock.clip("city", "a")
    assert "there is no music in raw/music/city/ yet" in (gathering(stock).lacks(only) or "")
    assert gathering(stock).lacks(Wants(("city",), music=None)) is None


# -- what is out of use ------------------------------------------------------------------------------------


def test_retired_clips_and_music_are_not_used(stocked: Stock) -> None:
    """If nothing else is left, the voice waits, and the reason says so."""
    clips = sorted((stocked.layout.scanned / "video").rglob("*.mp4"))
    retired_of(clips[0]).touch()
    assert clips[0] not in {clip.path for clip in gather(stocked).clips}
    for clip in clips[1:]:
        retired_of(clip).touch()
    assert reason(stocked) == "every clip in video/nature/ is gone, retired or too short"
    for clip in clips:
        retired_of(clip).unlink()
    (track,) = (stocked.layout.scanned / "music").rglob("*.mp3")
    retired_of(track).touch()
    assert reason(stocked) == "all music in music/nature/ is gone or retired"
    assert gather(stocked, {"music": {"required": False}}).music is None


@pytest.mark.parametrize("whole_story", [True, False])
def test_a_retired_voice_or_story_waits(stocked: Stock, whole_story: bool) -> None:
    """With the way back."""
    voice = stocked.layout.voice("nature", "tale", "one")
    mark = stocked.layout.story_retired("nature", "tale") if whole_story else retired_of(voice)
    mark.touch()
    assert "reelmill retire --undo" in reason(stocked)


def test_a_voice_whose_record_lost_its_sound_waits(stocked: Stock) -> None:
    """Somebody edited it."""
    record = sidecar_of(stocked.layout.voice("nature", "tale", "one"))
    Sidecar.read(record).changed(audio=None).write(record)
    assert "says nothing about its sound" in reason(stocked)


@pytest.mark.parametrize("kind", ["video", "music"])
@pytest.mark.parametrize("part", ["file", "record"])
def test_what_is_gone_is_not_used(stocked: Stock, kind: str, part: str) -> None:
    """It was there when the worker started; if nothing else is left, the voice waits, and the reason says so."""
    stocked.music("nature", "other")
    made = gathering(stocked, library=stocked.library())
    (name,) = made.library.without_task()
    files = sorted((stocked.layout.scanned / kind).rglob("*.mp?"))
    for gone in files[:-1]:
        (gone if part == "file" else sidecar_of(gone)).unlink()
    for seed in range(5):
        material = made.gather(made.read(name), StorySettings(), seed)
        used = material.clips if kind == "video" else [material.music]
        assert {entry.path for entry in used if entry} == {files[-1]}
    assert made.library.misses_some
    files[-1].unlink()
    with pytest.raises(Missing, match="gone"):
        made.gather(made.read(name), StorySettings(), 1)


def test_a_clip_without_a_readable_record_is_told(stocked: Stock) -> None:
    """Which one, and what to do; it was there when the worker started."""
    made = gathering(stocked, library=stocked.library())
    for record in (stocked.layout.scanned / "video").rglob("*.json"):
        record.write_bytes(b"{")
    (name,) = made.library.without_task()
    with pytest.raises(Missing, match=r"a record cannot be read: .*move that file back into raw/"):
        made.gather(made.read(name), StorySettings(), 1)


# -- what is on its way ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coming", "awaited"),
    [
        ("video/nature/d.mp4", None),
        ("music/nature/more.mp3", None),
        ("frame/nature/d.mp4", "decorative frames for it are on their way into the library"),
        ("frame/any/d.mp4", None),
        ("story/nature/other/story.toml", None),
        ("story/nature/tale/story.toml", "its story's settings are on their way into the library"),
        ("story/nature/other/voice/one.txt", None),
        ("story/nature/tale/voice/two.txt", None),
        ("story/nature/tale/voice/one.txt", "its text is on its way into the library"),
        ("story/nature/tale/voice/one.srt", "its text is on its way into the library"),
    ],
)
def test_a_voice_that_has_enough_waits_only_for_settings_text_and_frames(
    stocked: Stock, coming: str, awaited: str | None
) -> None:
    """They may change what is made of it."""
    if awaited:
        assert reason(stocked, None, arriving(coming)) == awaited
    else:
        assert gather(stocked, None, arriving(coming))


def test_a_voice_whose_clips_would_repeat_waits_for_more(stock: Stock) -> None:
    """Of any category that would do."""
    stock.voice("nature", "tale", "one", seconds=3.0)
    stock.clip("nature", "a")
    stock.music("nature", "tune")
    fallback: Changes = {"tasks": {"fallback_categories": ["any"]}}
    assert "better clips for it are on their way" in reason(stock, fallback, arriving("video/any/b.mp4"))
    assert gather(stock, fallback, arriving("video/city/b.mp4"))


def test_a_voice_that_would_borrow_waits_for_its_own(stock: Stock) -> None:
    """Clips and music of its own category are better than those of a fallback; those of a later one are not."""
    stock.voice("nature", "tale", "one", seconds=1.0)
    stock.clip("any", "a")
    stock.music("any", "tune")
    fallback: Changes = {"tasks": {"fallback_categories": ["any", "more"]}}
    assert "better clips" in reason(stock, fallback, arriving("video/nature/a.mp4"))
    assert "better tracks of music" in reason(stock, fallback, arriving("music/nature/a.mp3"))
    assert gather(stock, fallback, arriving("video/more/a.mp4", "music/more/a.mp3"))
    assert gather(stock, fallback, arriving("music/nature/a.mp3"), music=False).music is None


# -- decorative frames -------------------------------------------------------------------------------------


def test_a_frame_of_the_own_category_is_taken(stocked: Stock) -> None:
    """One of several, by the seed; none of another category, and none that hides everything."""
    for category, name in (("any", "a"), ("nature", "b"), ("nature", "c")):
        stocked.frame(category, name)
    stocked.frame("nature", "opaque", key=None)
    fallback: Changes = {"tasks": {"fallback_categories": ["any"]}}
    picked = {frame.path.name for seed in range(20) if (frame := gather(stocked, fallback, seed=seed).frame)}
    assert picked == {"2.0_b.mp4", "2.0_c.mp4"}
    named: Changes = {"render": {"frame_key": "#112233"}}
    picked = {frame.path.name for seed in range(20) if (frame := gather(stocked, named, seed=seed).frame)}
    assert "2.0_opaque.mp4" in picked


@pytest.mark.parametrize("settings", [{}, {"frame": True}, {"frame": False}])
@pytest.mark.parametrize("wanted", [True, False])
def test_frames_are_left_out_where_they_are_not_wanted(stocked: Stock, settings: dict[str, Any], wanted: bool) -> None:
    """By the configuration, or by the story; nobody waits for one then."""
    stocked.frame("nature", "a")
    changes: Changes = {"render": {"frames": wanted}}
    expected = wanted and settings.get("frame") is not False
    assert (gather(stocked, changes, **settings).frame is not None) == expected
    coming = arriving("frame/nature/b.mp4")
    assert gather(stocked, changes, coming, **settings).frame is not None or not expected


def test_a_frame_that_is_retired_or_gone_is_not_taken(stocked: Stock) -> None:
    """As with clips."""
    retired_of(stocked.frame("nature", "a")).touch()
    stocked.frame("nature", "b").unlink()
    assert gather(stocked).frame is None


# -- the logo ----------------------------------------------------------------------------------------------


def test_a_logo_is_found_where_it_is_wanted_and_there(stocked: Stock) -> None:
    """One that is named and missing keeps the voice waiting; the worker would not even start."""
    (stocked.layout.assets / "logo.png").write_bytes(b"logo")
    assert gather(stocked).logo == stocked.layout.assets / "logo.png"
    assert gather(stocked, {"render": {"logo": ""}}).logo is None
    named: Changes = {"render": {"logo": "brand.png"}}
    assert "there is no assets/brand.png" in reason(stocked, named)
    with pytest.raises(RootError):
        find_logo(stocked.layout, Config.model_validate(named).render)


# -- title and end cards -----------------------------------------------------------------------------------


def test_the_newest_card_of_a_story_is_shown(stocked: Stock) -> None:
    """Of its own story; a film counts with its own length."""
    stocked.card("nature", "tale", "title.png", "2026-11-20T10:00:00Z")
    newest = stocked.card("nature", "tale", "title-0a1b2c3d.mp4", "2026-11-21T10:00:00Z", seconds=0.6)
    stocked.card("nature", "other", "end.png", "2026-11-20T10:00:00Z")
    found = gather(stocked)
    assert found.title is not None
    assert (found.title.path, found.title.seconds(5.0), found.end) == (newest, 0.6, None)
    retired_of(newest).touch()
    older = gather(stocked).title
    assert older is not None
    assert (older.path.name, older.seconds(5.0)) == ("title.png", 5.0)
    assert gather(stocked, cards=False).title is None


def test_fewer_clips_are_taken_where_a_card_is_shown(stocked: Stock) -> None:
    """A quarter of the voice is the end card's: two clips cover what is left."""
    assert len(gather(stocked).clips) == 3
    stocked.card("nature", "tale", "end.png", "2026-11-20T10:00:00Z")
    assert len(gather(stocked).clips) == 2


def test_a_voice_waits_for_a_card_of_its_story(stocked: Stock) -> None:
    """A folder dropped at once is used whole."""
    assert "card" in reason(stocked, coming=arriving("story/nature/tale/title.png"))
    gather(stocked, coming=arriving("story/nature/other/title.png"))


def test_a_card_of_the_configuration_that_is_not_there_is_told(stocked: Stock) -> None:
    """With the key that asks for it."""
    changes: Changes = {"render": {"end_card": "bye.png"}}
    assert reason(stocked, changes) == (
        'render.end_card = "bye.png": there is no assets/bye.png; put it there, or set render.end_card to ""'
    )
