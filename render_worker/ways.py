"""How this node encodes each profile, best first; what fails for task after task is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from render_worker.commands.encoders import Way

MOST_STEPS_DOWN = 3
"""For tasks in a row; each costs a part of a render."""


class Ways:
    """The ways of each profile: with the first of them a task is encoded, with the next what the one before failed.

    Attributes:
        measured: frames of 1080p that each encoder made in a second when it was tried.
    """

    def __init__(self, by_profile: Mapping[str, tuple[Way, ...]], measured: Mapping[str, float] | None = None) -> None:
        self.measured = dict(measured or {})
        self._left = dict(by_profile)
        self._steps_down: Counter[Way] = Counter()
        self._given_up = 0

    def of(self, profile: str) -> tuple[Way, ...]:
        """The ways of a profile; none where this node cannot encode it."""
        return self._left.get(profile, ())

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that this node can encode."""
        return tuple(self._left)

    @property
    def usual(self) -> Way:
        """What most of this node's tasks are encoded with, for people."""
        return next(iter(self._left.values()))[0]

    def decoder_of(self, encoder: str) -> str | None:
        """What decodes clips for an encoder, where not software does."""
        firsts = (ways[0] for ways in self._left.values())
        return next((way.decoder for way in firsts if way.encoder == encoder), None)

    def note(self, profile: str, *, stepped_down: bool) -> Way | None:
        """Note how a task of a profile was encoded; returns the way that is given up for that, by all profiles."""
        first = self._left[profile][0]
        self._steps_down[first] = self._steps_down[first] + 1 if stepped_down else 0
        if self._steps_down[first] < MOST_STEPS_DOWN or len(self._left[profile]) == 1:
            return None
        self._left = {
            name: ways[1:] if ways[0] == first and len(ways) > 1 else ways for name, ways in self._left.items()
        }
        self._given_up += 1
        return first

    @property
    def gave_up(self) -> bool:
        """Whether an encoder that worked at the start does not any more."""
        return self._given_up > 0
