"""Which waiting task fits which node best. Pure.

List scheduling (Graham, 1966): the tasks in their order, each to the node that would be done with it first, by how fast
that node has been, what it has been given already, and how many of the task's clips it has at hand.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.domain.eta import usual_pace

_ASKED = 8
_AT_HAND = 0.5  # of the work that a clip costs is saved by a node that has used it lately


@dataclass(frozen=True)
class Offer:
    """A node that takes tasks.

    Attributes:
        profiles: what it can encode; None where it does not say.
        pace: seconds of video it makes in a second; None where it has made none.
        clips: what it has at hand, in the form of its record.
    """

    node: str
    profiles: frozenset[str] | None = None
    pace: float | None = None
    clips: frozenset[str] = frozenset()

    def makes(self, profile: str) -> bool:
        return self.profiles is None or profile in self.profiles


@dataclass(frozen=True)
class Wish:
    """A waiting task: how many seconds its video will last, and which clips it shows, as a node's record names them."""

    task_id: str
    profile: str
    seconds: float
    clips: frozenset[str] = field(default=frozenset())


def assign(wishes: Iterable[Wish], offers: Sequence[Offer], each: int) -> dict[str, list[str]]:
    """The tasks for each node, at most `each`, best first; a task is given to one node only.

    Of many nodes only some are asked for each task: those that would be free first, and some that have its clips. The
    same tasks and nodes always give the same lists.
    """
    desk = _Desk(offers, each)
    for wish in wishes:
        if desk.is_done:
            break
        if best := min(desk.asked(wish), key=lambda offer: (desk.ends(wish, offer), offer.node), default=None):
            desk.give(wish, best)
    return desk.lists


class _Desk:
    """Who has been given what, and when each would be done with it."""

    def __init__(self, offers: Sequence[Offer], each: int) -> None:
        self.lists: dict[str, list[str]] = {offer.node: [] for offer in offers}
        self._each = each
        self._usual = usual_pace(offer.pace for offer in offers) or 1.0
        self._busy = dict.fromkeys(self.lists, 0.0)
        self._room = len(offers)
        self._free: dict[frozenset[str] | None, list[tuple[float, str, Offer]]] = defaultdict(list)
        self._having: dict[str, list[Offer]] = defaultdict(list)
        for offer in sorted(offers, key=lambda offer: offer.node):
            self._free[offer.profiles].append((0.0, offer.node, offer))
            for clip in offer.clips:
                self._having[clip].append(offer)

    @property
    def is_done(self) -> bool:
        """Whether nobody can be given more."""
        return self._room == 0

    def asked(self, wish: Wish) -> Iterator[Offer]:
        """Nodes that could make a task, those that would be free first of each kind, and those that have its clips."""
        for profiles, free in self._free.items():
            if profiles is None or wish.profile in profiles:
                yield from self._first(free)
        for clip in sorted(wish.clips):
            yield from (offer for offer in self._having[clip][:_ASKED] if self._may_have(offer, wish))

    def _first(self, free: list[tuple[float, str, Offer]]) -> list[Offer]:
        found: list[tuple[float, str, Offer]] = []
        while free and len(found) < _ASKED:
            busy, node, offer = heapq.heappop(free)
            if len(self.lists[node]) < self._each:
                if busy == self._busy[node]:
                    found.append((busy, node, offer))
                else:  # it was given something since
                    heapq.heappush(free, (self._busy[node], node, offer))
        for entry in found:
            heapq.heappush(free, entry)
        return [offer for _, _, offer in found]

    def _may_have(self, offer: Offer, wish: Wish) -> bool:
        return offer.makes(wish.profile) and len(self.lists[offer.node]) < self._each

    def ends(self, wish: Wish, offer: Offer) -> float:
        """When a node would be done with a task, after all that it has been given."""
        at_hand = len(wish.clips & offer.clips) / len(wish.clips) if wish.clips else 0.0
        return self._busy[offer.node] + wish.seconds * (1 - _AT_HAND * at_hand) / (offer.pace or self._usual)

    def give(self, wish: Wish, offer: Offer) -> None:
        self._busy[offer.node] = self.ends(wish, offer)
        self.lists[offer.node].append(wish.task_id)
        self._room -= len(self.lists[offer.node]) == self._each
