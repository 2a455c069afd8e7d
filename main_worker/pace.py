"""When the next look at ``raw/`` is due, and how often something costly may be done: decided with *now* passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LEAST_SECONDS = 0.1  # a burst of events is one look
_SHARE = 5  # what takes a second is done every five at most, so that most of the time is left for the work itself


@dataclass(frozen=True)
class Pace:
    """When something was last done (monotonic seconds), and how long it took."""

    ended: float = -math.inf
    took: float = 0.0

    @property
    def earliest(self) -> float:
        """When it may be done again, however urgent it is."""
        return self.ended + max(_LEAST_SECONDS, self.took * (_SHARE - 1))

    def due(self, every: float, wanted_at: float | None = None) -> float:
        """When it is to be done again: `every` so many seconds, or sooner where something asks for it."""
        regular = self.ended + every
        return max(self.earliest, regular if wanted_at is None else min(regular, wanted_at))
