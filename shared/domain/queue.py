"""In which order waiting tasks run: by priority, then story by story in turn, each story's oldest first.

Stories take turns as in round-robin scheduling: the one that was served longest ago goes next, and a new one comes at
the end of the round. So neither does a story of 500 chapters keep back a single one, nor do single ones keep it back.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter

DAMAGED = 1000
"""The priority of a task that cannot be read: it goes first, to be failed with an explanation."""


@dataclass(frozen=True)
class Ticket:
    """What decides when a task's turn is."""

    created_at: str
    task_id: str
    story: str
    priority: int = 50


_AGE = attrgetter("created_at", "task_id")


def in_turn(tickets: Iterable[Ticket], turns: Mapping[str, int]) -> Iterator[Ticket]:
    """The tickets in the order their tasks should run; the same tickets always come in the same order.

    Args:
        turns: when each story was served last, as :func:`carried_on` gives it; the least goes first.
    """
    lanes: dict[int, dict[str, list[Ticket]]] = defaultdict(lambda: defaultdict(list))
    for ticket in tickets:
        lanes[ticket.priority][ticket.story].append(ticket)
    sorted_lanes = [
        {story: deque(sorted(found, key=_AGE)) for story, found in lanes[priority].items()}
        for priority in sorted(lanes, reverse=True)
    ]
    return chain.from_iterable(_taking_turns(stories, turns) for stories in sorted_lanes)


def _taking_turns(stories: Mapping[str, deque[Ticket]], turns: Mapping[str, int]) -> Iterator[Ticket]:
    heap = [(turns.get(story, 0), *_AGE(tickets[0]), tickets[0]) for story, tickets in stories.items()]
    heapq.heapify(heap)
    turn = after(turns)
    while heap:
        ticket = heapq.heappop(heap)[-1]
        yield ticket
        tickets = stories[ticket.story]
        tickets.popleft()
        if tickets:
            heapq.heappush(heap, (turn, *_AGE(tickets[0]), tickets[0]))
            turn += 1


def spread(tickets: Iterable[Ticket], nodes: Collection[str], by: str, passed: int = 0) -> Iterator[Ticket]:
    """The same tickets, so that nodes which look at once do not all reach for the same one.

    Each so many tickets as there are nodes, which these are about to take anyhow, come in an order that begins at
    another one for each node. Alone a node keeps the order; priority stays before everything within them.

    Args:
        nodes: the names of those that look.
        by: the name of the node that asks.
        passed: of the first tickets, how many have presumably been taken since they were looked at; they come last.
    """
    names = sorted({*nodes, by})
    rank, rest = names.index(by), iter(tickets)
    skipped = list(islice(rest, passed - passed % len(names)))
    while block := list(islice(rest, len(names))):
        first = rank % len(block)
        yield from sorted(block[first:] + block[:first], key=lambda ticket: -ticket.priority)
    yield from skipped


def after(turns: Mapping[str, int]) -> int:
    """The turn after all that were."""
    return max(turns.values(), default=0) + 1


def carried_on(turns: Mapping[str, int], stories: Collection[str]) -> dict[str, int]:
    """The turns of the stories that wait now; those that are new come at the end of the round, the oldest first."""
    known = {story: turns[story] for story in stories if story in turns}
    return {**dict.fromkeys(stories, after(known)), **known}
