"""Which waiting task fits which node best. Pure.

List scheduling (Graham, 1966): the tasks in their order, each to the node that would be done with it first, by how fast
that node has been, what it has been given already, and how many of the task's clips it has at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

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

    The same tasks and nodes always give the same lists.
    """
    usual = median([offer.pace for offer in offers if offer.pace] or [1.0])
    lists: dict[str, list[str]] = {offer.node: [] for offer in offers}
    busy = dict.fromkeys(lists, 0.0)
    for wish in wishes:
        ends = {
            offer.node: busy[offer.node] + _seconds(wish, offer, usual)
            for offer in offers
            if offer.makes(wish.profile) and len(lists[offer.node]) < each
        }
        if ends:
            node = min(sorted(ends), key=ends.__getitem__)
            lists[node].append(wish.task_id)
            busy[node] = ends[node]
        elif all(len(found) >= each for found in lists.values()):
            break
    return lists


def _seconds(wish: Wish, offer: Offer, usual: float) -> float:
    at_hand = len(wish.clips & offer.clips) / len(wish.clips) if wish.clips else 0.0
    return wish.seconds * (1 - _AT_HAND * at_hand) / (offer.pace or usual)
