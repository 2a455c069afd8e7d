"""The captions of a voice, from its text."""

from __future__ import annotations

from dataclasses import replace

from main_worker.captions.alignment import align
from main_worker.captions.clauses import clauses_of, letters_in
from main_worker.captions.cues import NO_MARKS, Cue, cues_of, one_by_one, parse_cues
from shared.domain.media import AudioFacts
from shared.domain.pauses import read

_MOST_SIGNS = 1000  # of a caption that anybody can read; a track of timed text has room for 65,535 bytes
# Letters in a second of speech. Narrators say 12 to 18; nobody says 40, and at 2 most of the text is missing.
_SLOWEST, _FASTEST = 2.0, 40.0


class CaptionsError(ValueError):
    """Why a text cannot be shown with its voice, in words that follow "its captions are left out:"."""


def captions_of(text: str, audio: AudioFacts, *, has_times: bool) -> list[Cue]:
    """The captions of a voice; there is at least one. Braces and backslashes are replaced: no track can hold them.

    Args:
        text: prose, or SubRip without marks where it has times.

    Raises:
        CaptionsError: this cannot be the text of this voice, or too little is known of the voice.
    """
    shown = one_by_one(parse_cues(text) if has_times else _timed(text, audio), audio.seconds)
    if not shown:
        raise CaptionsError(f"none of them is shown within the {audio.seconds:.1f} s of the voice")
    longest = max(len(cue.text) for cue in shown)
    if longest > _MOST_SIGNS:
        raise CaptionsError(f"one of them has {longest} characters; at most {_MOST_SIGNS} can be shown at a time")
    return [replace(cue, text=cue.text.translate(NO_MARKS)) for cue in shown]


def _timed(text: str, audio: AudioFacts) -> list[Cue]:
    """Prose as cues."""
    if audio.pauses is None:
        raise CaptionsError("the record of the voice is an old one that says nothing about pauses")
    try:
        pauses = read(audio.pauses)
    except ValueError as error:
        raise CaptionsError(f"the pauses in the record of the voice cannot be read ({error})") from error
    speaking = max(0.1, audio.seconds - sum(end - start for start, end in pauses))
    letters = letters_in(text)  # before anything that takes longer
    if not _SLOWEST <= letters / speaking <= _FASTEST:
        found = f"it has about {letters:.0f} letters for {speaking:.1f} s of speech"
        raise CaptionsError(f"{found}; it seems to be the text of another voice")
    clauses = clauses_of(text)
    return cues_of(clauses, align(clauses, pauses, audio.seconds), audio.seconds)
