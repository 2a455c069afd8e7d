"""The four figures of a farm, from what its nodes were doing when: pure, and by whatever clock the times are.

A node's time is rendering, or starved (a task waits, and none is rendered), or idle (nothing waits). A transfer is
exposed while nothing is rendered beside it; what a render runs beside is hidden and costs nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum

_HOUR, _DAY = 3600, 86_400
_GRAIN = 300  # seconds; with 1,000 nodes a day's minutes would be 1.4 million things to remember


class Outcome(Enum):
    """How a task ended on a node."""

    FINISHED = "finished"
    FAILED = "failed"
    GIVEN_BACK = "given back"  # through no fault of the task


class Window(Enum):
    """For which time figures are told; the value is what they are called in JSON."""

    HOUR = "hour"
    LAST_DAY = "last_24_hours"
    TODAY = "today"  # from midnight, UTC


@dataclass(frozen=True)
class Activity:
    """What a node is at, at one moment; transfers are those of tasks."""

    rendering: bool = False
    fetching: bool = False
    delivering: bool = False


@dataclass(frozen=True)
class Counts:
    """What a node did in some time. Times are seconds; rendering, starved and idle never overlap.

    Attributes:
        exposed: of transfers beside which nothing was rendered.
        fetching, delivering: of all transfers.
        render_seconds: how long the tasks that were finished were rendered.
    """

    rendering: float = 0.0
    starved: float = 0.0
    idle: float = 0.0
    exposed: float = 0.0
    fetching: float = 0.0
    delivering: float = 0.0
    fetched_bytes: int = 0
    delivered_bytes: int = 0
    finished: int = 0
    failed: int = 0
    given_back: int = 0
    render_seconds: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))


@dataclass(frozen=True)
class Spent:
    """Time that has gone by: what is known of it, and how long nobody knows yet whether a task waited."""

    counts: Counts = Counts()
    undecided: float = 0.0


def spend(spent: Spent, activity: Activity, seconds: float) -> Spent:
    """Add some seconds of one activity; where a task is being fetched, one waits for sure."""
    exposed = seconds if not activity.rendering and (activity.fetching or activity.delivering) else 0.0
    is_starved = activity.fetching and not activity.rendering
    more = Counts(
        rendering=seconds if activity.rendering else 0.0,
        starved=seconds if is_starved else 0.0,
        exposed=exposed,
        fetching=seconds if activity.fetching else 0.0,
        delivering=seconds if activity.delivering else 0.0,
    )
    return Spent(spent.counts + more, spent.undecided + (0.0 if activity.rendering or is_starved else seconds))


def decide(spent: Spent, *, found: bool) -> Spent:
    """A look for a task tells what the time before it was: starved where one was found, idle where none was."""
    known = Counts(starved=spent.undecided) if found else Counts(idle=spent.undecided)
    return Spent(spent.counts + known)


@dataclass(frozen=True)
class Figures:
    """The four figures over some time; None where there is nothing to tell them from.

    Attributes:
        render_utilization: percent of the time in which a task waited or was rendered that went into rendering.
        avg_render_time: seconds for each output.
        task_throughput: finished tasks an hour.
        io_overhead: seconds of transfers for each finished task that no render hid.
        finished, failed: tasks.
    """

    render_utilization: float | None
    avg_render_time: float | None
    task_throughput: float
    io_overhead: float | None
    finished: int
    failed: int


def figures(counts: Counts, seconds: float) -> Figures:
    """The figures of what was counted, by one node or by many, within `seconds` of wall time."""
    wanted = counts.rendering + counts.starved
    return Figures(
        render_utilization=100 * (counts.rendering / wanted) if wanted > 0 else None,
        avg_render_time=counts.render_seconds / counts.finished if counts.finished else None,
        task_throughput=counts.finished * _HOUR / seconds if seconds > 0 else 0.0,
        io_overhead=counts.exposed / counts.finished if counts.finished else None,
        finished=counts.finished,
        failed=counts.failed,
    )


def total(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def begin_of(window: Window, now: float) -> float:
    """When a window began that ends now (seconds since 1970, UTC): at a whole five minutes, at or before its time."""
    if window is Window.TODAY:
        return now - now % _DAY
    earliest = now - (_HOUR if window is Window.HOUR else _DAY)
    return earliest - earliest % _GRAIN


class Ledger:
    """What one node did, five minutes by five minutes, for as long as any window needs it."""

    def __init__(self) -> None:
        self._pages: dict[int, Counts] = {}

    def add(self, at: float, counts: Counts) -> None:
        """Count what ended at a time (seconds since 1970, UTC)."""
        page = int(at // _GRAIN)
        self._pages[page] = self._pages.get(page, Counts()) + counts

    def since(self, begin: float) -> Counts:
        """Everything that was counted from a whole five minutes on."""
        return total(counts for page, counts in self._pages.items() if page * _GRAIN >= begin)

    def forget_before(self, begin: float) -> None:
        self._pages = {page: counts for page, counts in self._pages.items() if page * _GRAIN >= begin}


def by_window(ledgers: Mapping[str, Ledger], window: Window, now: float) -> tuple[Figures, dict[str, Figures]]:
    """The figures of the farm and of each node over a window that ends now (seconds since 1970, UTC)."""
    begin = begin_of(window, now)
    counts = {node: ledger.since(begin) for node, ledger in ledgers.items()}
    seconds = now - begin
    return figures(total(counts.values()), seconds), {node: figures(one, seconds) for node, one in counts.items()}
