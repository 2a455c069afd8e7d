"""Captions of a voice, of whatever lies beside it."""

from __future__ import annotations

import pytest

from main_worker.captions.cues import Cue
from main_worker.captions.making import CaptionsError, captions_of
from shared.domain.media import AudioFacts

VOICE = AudioFacts(10.0, 1, 44_100, "MPEG Audio", 1.0, pauses="0-0.5 4-5 9.5-10")
SAID = "It was a quiet and rainy evening in the old town by the sea. Nobody had seen the stranger arrive before."


def test_prose_is_timed_by_pauses() -> None:
    """Each sentence lies where somebody speaks."""
    assert captions_of(SAID, VOICE, has_times=False) == [
        Cue(0.5, 4.0, "It was a quiet and rainy evening in the old town by the sea."),
        Cue(5.0, 9.5, "Nobody had seen the stranger arrive before."),
    ]


def test_subtitles_keep_their_times() -> None:
    """As far as the voice goes."""
    text = "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:09,000 --> 00:00:12,000\ntwo\n"
    assert captions_of(text, VOICE, has_times=True) == [Cue(1.0, 2.0, "one"), Cue(9.0, 10.0, "two")]


@pytest.mark.parametrize("text", ["No.", SAID * 9])
def test_the_text_of_another_voice_is_not_shown(text: str) -> None:
    """Nobody speaks that slowly, or that fast."""
    with pytest.raises(CaptionsError, match="seems to be the text of another voice"):
        captions_of(text, VOICE, has_times=False)


def test_subtitles_of_another_voice_are_not_shown() -> None:
    """All of them would come when it is over."""
    with pytest.raises(CaptionsError, match="none of them is shown"):
        captions_of("1\n00:00:11,000 --> 00:00:12,000\none\n", VOICE, has_times=True)


def test_braces_are_shown_as_something_that_can_be() -> None:
    """In a track of text they would be marks of style."""
    said = SAID.replace("quiet", "{quiet}").replace("old", "\\old")
    assert captions_of(said, VOICE, has_times=False)[0].text.startswith(
        "It was a (quiet) and rainy evening in the /old"
    )


def test_captions_that_nobody_can_read_are_not_shown() -> None:
    """Nor would they fit into a track."""
    text = "1\n00:00:01,000 --> 00:00:02,000\n" + "word " * 300
    with pytest.raises(CaptionsError, match="at most 1000 can be shown"):
        captions_of(text, VOICE, has_times=True)


@pytest.mark.parametrize("pauses", [None, "0-0.5 4_5", "x"])
def test_a_voice_of_which_too_little_is_known_has_none(pauses: str | None) -> None:
    """An old record, or one that somebody edited."""
    facts = AudioFacts(10.0, 1, 44_100, "MPEG Audio", 1.0, pauses=pauses)
    with pytest.raises(CaptionsError, match="record of the voice"):
        captions_of(SAID, facts, has_times=False)
