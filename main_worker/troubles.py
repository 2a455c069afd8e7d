"""The machine's own troubles while drops are taken in: what is put off, what pauses everything, and until when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

_FIRST_SECONDS = 5.0  # a full disk or a lost mount does not mend itself faster than this
REST_SECONDS = 60.0
LONG_REST_SECONDS = 3600.0  # for what hardly passes by itself, as a folder out of which nothing may be taken
_DOUBLINGS = 10  # more than it takes to get there; a disk that is full for a day is tried thousands of times
HOPELESS_TRIES = 3


@dataclass(frozen=True)
class Trouble:
    """Why something was put off, how often it was tried, and until when (monotonic seconds) it rests."""

    why: str
    tries: int
    until: float

    @property
    def is_hopeless(self) -> bool:
        """Whether it failed so often that waiting for it to pass is no use to somebody who waits."""
        return self.tries >= HOPELESS_TRIES


def again(before: Trouble | None, why: str, now: float, longest: float = REST_SECONDS) -> Trouble:
    """A trouble met once more: the rest doubles each time, up to the `longest`."""
    tries = before.tries + 1 if before else 1
    return Trouble(why, tries, now + min(_FIRST_SECONDS * 2 ** min(tries - 1, _DOUBLINGS), longest))


class Troubles:
    """What is in the way of single drops, and of all of them."""

    def __init__(self) -> None:
        self._drops: dict[PurePosixPath, Trouble] = {}
        self.pause: Trouble | None = None

    def put_off(self, drop: PurePosixPath, why: str, now: float, longest: float = REST_SECONDS) -> bool:
        """A drop met a trouble of its own; whether that is news."""
        before = self._drops.get(drop)
        self._drops[drop] = again(before, why, now, longest)
        return before is None or before.why != why

    def stop_all(self, why: str, now: float) -> bool:
        """Something is wrong that would meet every drop; whether that is news."""
        before = self.pause
        self.pause = again(before, why, now)
        return before is None or before.why != why

    def resume(self) -> bool:
        """A step has succeeded that the pause would have kept from it; whether there was one."""
        paused, self.pause = self.pause, None
        return paused is not None

    @property
    def holds_back(self) -> bool:
        """Whether some drop rests for the very reason of the pause, so that nothing says yet that it is over."""
        return self.pause is not None and any(trouble.why == self.pause.why for trouble in self._drops.values())

    def clear(self, drop: PurePosixPath) -> None:
        self._drops.pop(drop, None)

    def forget_all_but(self, present: Collection[PurePosixPath]) -> None:
        """Forget the troubles of drops that are not in ``raw/`` any more."""
        self._drops = {name: trouble for name, trouble in self._drops.items() if name in present}

    def rests(self, drop: PurePosixPath, now: float) -> bool:
        """Whether a drop is not to be tried yet."""
        trouble = self._drops.get(drop)
        return trouble is not None and now < trouble.until

    def tries(self, drop: PurePosixPath) -> int:
        """How often a drop has met trouble so far."""
        trouble = self._drops.get(drop)
        return trouble.tries if trouble else 0

    @property
    def drops(self) -> dict[PurePosixPath, str]:
        """Drops that are tried again later, each with the reason."""
        return {name: trouble.why for name, trouble in self._drops.items()}

    @property
    def is_hopeless(self) -> bool:
        """Whether everything that is in the way has been so for several tries."""
        return all(trouble.is_hopeless for trouble in (*self._drops.values(), *filter(None, [self.pause])))
