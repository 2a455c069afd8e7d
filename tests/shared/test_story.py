"""``story.toml``: what it may say, and that every problem in it is named."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.records.story import StorySettings, StorySettingsError, parse_settings


def problems(content: str | bytes) -> str:
    with pytest.raises(StorySettingsError) as error:
        parse_settings(content.encode() if isinstance(content, str) else content)
    return str(error.value)


def test_every_key_is_read() -> None:
    """With the types of TOML."""
    content = 'priority = 80\nclips = "deep sea"\nmusic = false\nresolution = "1280x720"\n'
    assert parse_settings(content.encode()) == StorySettings(
        priority=80, clips="deep sea", music=False, resolution="1280x720"
    )
    assert parse_settings(b'captions = "burned"\n').captions == "burned"


@pytest.mark.parametrize("content", [b"", b"\n# nothing yet\n", "\ufeffmusic = true\r\n".encode()])
def test_what_is_left_out_is_as_the_configuration_says(content: bytes) -> None:
    """An empty file is fine, and so is one from an editor that writes a mark in front."""
    settings = parse_settings(content)
    assert (settings.priority, settings.clips, settings.resolution) == (None, None, None)


def test_all_problems_are_named_at_once() -> None:
    """Key, value and what is allowed; of a key that does not exist the nearest that does."""
    said = problems('priorty = 3\npriority = 101\nclips = ""\nmusic = "no"\nresolution = "1921x1080"\nwhatever = 1\n')
    assert "priorty: there is no such key; did you mean priority?" in said
    assert "priority = 101: must be less than or equal to 100" in said
    assert "clips = '': must be " in said
    assert "music = 'no': must be a valid boolean" in said
    assert "resolution = '1921x1080': must be WIDTHxHEIGHT with even sides" in said
    known = "priority, clips, music, frame, cards, language, captions, resolution, profiles"
    assert f"whatever: there is no such key; the keys are {known}" in said
    assert problems('captions = "on"') == "captions = 'on': must be 'track' or 'burned'"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("priority 3", "it is not valid TOML"),
        ("priority = 3\npriority = 4", "it is not valid TOML"),
        ("[priority]\nvalue = 3", "priority = "),
        ("x = " + "[" * 5000, "it is not valid TOML"),
        ("priority = " + "1" * 5000, "it is not valid TOML"),
        ("priority = 3.5", "must be a valid integer"),
        ("priority = true", "must be a valid integer"),
        (b"clips = '\xff'", "it is not UTF-8 text (byte 10 does not fit)"),
        (b"\0\0\0\x18ftypmp42", "it is not"),
    ],
)
def test_what_cannot_be_read_is_explained(content: str | bytes, words: str) -> None:
    """Whatever somebody drops under this name."""
    assert words in problems(content)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_is_dropped_is_read_or_explained(content: bytes) -> None:
    """Never anything else."""
    with suppress(StorySettingsError):
        assert isinstance(parse_settings(content), StorySettings)
