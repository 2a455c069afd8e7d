"""What a path below raw/ means."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.drop import Drop, Kind, LeftAlone, Misplaced, classify

COMPONENT = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=40)
WORDS = st.sampled_from(["story", "video", "frame", "music", "link", "voice", "a.mp4", "a.mp3", "a.txt", "README.md"])
PATHS = st.lists(COMPONENT | WORDS, max_size=7).map(lambda parts: PurePosixPath(*parts))
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@given(PATHS)
@example(PurePosixPath("."))
@example(PurePosixPath("/video/a/b.mp4"))
@example(PurePosixPath("video/../b.mp4"))
@example(PurePosixPath("video/\ud800/b.mp4"))
def test_every_path_gets_a_judgement(path: PurePosixPath) -> None:
    """No name an operator can think of breaks the scan, and every refusal is in words that can be printed."""
    judged = classify(path)
    assert judged.relative == path
    if isinstance(judged, Misplaced):
        assert judged.rejection.sentence.isprintable()
        assert judged.rejection.advice.isprintable()


@given(
    st.sampled_from(["video/{}/x.mp4", "frame/{}/x.mov", "music/{}/x.mp3"]),
    COMPONENT.filter(lambda name: name not in (".", "..")),
)
def test_a_category_is_always_one_safe_component(pattern: str, name: str) -> None:
    """A category's folder in the library is inside the library whatever it was called."""
    judged = classify(PurePosixPath(pattern.format(name)))
    if isinstance(judged, Drop):
        assert SAFE.fullmatch(judged.category)
        assert judged.titles == (name,)


@given(COMPONENT, COMPONENT, COMPONENT)
def test_a_story_has_a_safe_category_story_and_stem(category: str, story: str, stem: str) -> None:
    """All three names of a voice are safe components, and the titles stay as they were written."""
    judged = classify(PurePosixPath("story", category, story, "voice", f"{stem}.mp3"))
    if isinstance(judged, Drop):
        assert SAFE.fullmatch(judged.category)
        assert judged.story
        assert SAFE.fullmatch(judged.story)
        assert "/" not in judged.stem
        assert judged.stem not in ("", ".", "..")
        assert judged.titles == (category, story)


@pytest.mark.parametrize(
    ("path", "kind", "story"),
    [
        ("story/fantasy/dragon/link/one.txt", Kind.LINK, "dragon"),
        ("story/fantasy/dragon/voice/chapter_0001.mp3", Kind.VOICE, "dragon"),
        ("story/fantasy/dragon/voice/chapter_0001.txt", Kind.TEXT, "dragon"),
        ("story/fantasy/dragon/voice/chapter_0001.SRT", Kind.TEXT, "dragon"),
        ("story/fantasy/dragon/voice/chapter_0001.vtt", Kind.TEXT, "dragon"),
        ("story/fantasy/dragon/title.png", Kind.CARD, "dragon"),
        ("story/fantasy/dragon/End.MP4", Kind.CARD, "dragon"),
        ("video/fantasy/sky.mp4", Kind.VIDEO, None),
        ("video/fantasy/sky.MOV", Kind.VIDEO, None),
        ("video/fantasy/sky.m4v", Kind.VIDEO, None),
        ("frame/fantasy/gold.mp4", Kind.FRAME, None),
        ("music/fantasy/calm.mp3", Kind.MUSIC, None),
    ],
)
def test_a_right_place_makes_a_drop_of_its_kind(path: str, kind: Kind, story: str | None) -> None:
    """The places of the contract and that of a text, with every suffix they take."""
    judged = classify(PurePosixPath(path))
    assert isinstance(judged, Drop)
    assert (judged.kind, judged.category, judged.story) == (kind, "fantasy", story)


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden.mp4", "._sky.mp4", ".DS_Store", "sky.mp4~", "~lock.mp4", "sky.mp4.part", "sky.crdownload"),
        *("sky.TMP", "Thumbs.db", "desktop.ini", ".syncthing.sky.mp4.tmp", ".sky.mp4.Xy12", ".a\nb.mp4", "a\nb.part"),
    ],
)
def test_temporary_files_of_other_programs_are_left_alone(name: str) -> None:
    """A copy under way is neither taken nor refused."""
    assert isinstance(classify(PurePosixPath("video/fantasy", name)), LeftAlone)


@pytest.mark.parametrize("name", ["sky.mp4.sha256", "sky.mp4.done", "sky.mp4.reason.json"])
def test_what_stands_beside_a_drop_is_left_alone(name: str) -> None:
    """A checksum, a mark that it is complete, or an explanation dragged back with it is no drop of its own."""
    assert isinstance(classify(PurePosixPath("video/fantasy", name)), LeftAlone)


@pytest.mark.parametrize(
    "folder",
    [
        *(
            ".stversions",
            ".sync",
            ".Trash-1000",
            "a\n.b/.c",
            "@eaDir",
            "#recycle",
            "@Recycle",
            "#snapshot",
            "~snapshot",
        ),
        *("~snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found", "sky.mp4.download"),
    ],
)
def test_everything_in_a_folder_that_programs_keep_for_themselves_is_left_alone(folder: str) -> None:
    """Versions, bins, thumbnails and downloads under way are no drops."""
    assert isinstance(classify(PurePosixPath("video", folder, "sky.mp4")), LeftAlone)
    assert isinstance(classify(PurePosixPath("video", "fantasy", folder, "deep", "sky.mp4")), LeftAlone)


@pytest.mark.parametrize(
    ("path", "category", "story"),
    [
        ("story/comedy/Well.done/voice/c.mp3", "comedy", "Well.done"),
        ("story/Best.Done/tale/story.toml", "Best.Done", "tale"),
        ("video/Free.Download/a.mp4", "Free.Download", None),
        ("video/~misc/a.mp4", "misc", None),
        ("music/summer~/a.mp3", "summer", None),
        ("frame/Part.part/a.mp4", "Part.part", None),
    ],
)
def test_a_folder_named_like_a_temporary_file_is_a_category_or_story(
    path: str, category: str, story: str | None
) -> None:
    """What people call a folder is their business, and what they drop into it is never passed over in silence."""
    drop = classify(PurePosixPath(path))
    assert isinstance(drop, Drop)
    assert drop.category.startswith(category)
    assert drop.story == story


@pytest.mark.parametrize("path", ["README.md", "video/README.md"])
def test_our_own_notes_are_left_alone(path: str) -> None:
    """`reelmill init` writes them."""
    assert isinstance(classify(PurePosixPath(path)), LeftAlone)


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("sky.mp4", "wrong_place", "raw/sky.mp4"),
        ("video/sky.mp4", "wrong_place", "category"),
        ("video/fantasy/night/sky.mp4", "wrong_place", "sub-folders"),
        ("story/fantasy/dragon/chapter.mp3", "wrong_place", "story"),
        ("films/fantasy/sky.mp4", "wrong_place", "films"),
        ("video/fantasy/README.md", "wrong_kind", ".md"),
        ("video/fantasy/sky.avi", "wrong_kind", ".avi"),
        ("story/fantasy/dragon/title.gif", "wrong_kind", ".webp"),
        ("story/fantasy/dragon/cover.png", "wrong_place", "story"),
        ("video/fantasy/sky", "wrong_kind", "no suffix"),
        ("music/fantasy/calm.wav", "wrong_kind", ".mp3"),
        ("story/fantasy/dragon/voice/one.wav", "wrong_kind", ".mp3"),
        ("story/fantasy/dragon/link/one.mp3", "wrong_kind", ".txt"),
    ],
)
def test_a_misplaced_drop_is_told_what_is_wrong_and_where_it_belongs(path: str, code: str, word: str) -> None:
    """A drop in the wrong place or of the wrong kind gets a reason, never silence."""
    judged = classify(PurePosixPath(path))
    assert isinstance(judged, Misplaced)
    assert judged.rejection.code == code
    assert word in judged.rejection.sentence
    assert judged.rejection.advice
