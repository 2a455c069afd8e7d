"""When waiting tasks will be done, at the pace of the nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


def usual_pace(paces: Iterable[float | None]) -> float | None:
    """What a node is taken to make that has made nothing yet: the median of the others; None where all are new."""
    known = [pace for pace in paces if pace]
    return median(known) if known else None


@dataclass(frozen=True)
class Capacity:
    """What the nodes can do for those that wait.

    Attributes:
        paces: of each node that takes tasks, the seconds of video it makes in a second; None where it has made none.
        begun: seconds of video that are still to be made of the tasks in work.
    """

    paces: tuple[float | None, ...]
    begun: float = 0.0

    def done_in(self, ahead: float, own: float) -> float | None:
        """Seconds until a waiting task is done; None where no node takes tasks, or none of those has a pace.

        All nodes share what is ahead of it, and one of them makes it: so list scheduling is bounded (Graham, 1966).

        Args:
            ahead: seconds of video of the tasks that wait before it.
            own: those of its own.
        """
        usual = usual_pace(self.paces)
        if usual is None:
            return None
        return (self.begun + ahead) / sum(pace or usual for pace in self.paces) + own / usual
