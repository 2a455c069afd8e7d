"""What is to be told: from how the farm was and how it is now. Pure, with *now* passed in.

A trouble is told once when it begins and once when it is over. Where nobody can tell yet whether one that was told
before a restart is over, it goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from shared.domain.alert import Kind, State
from shared.domain.node import Life, NodeState
from shared.records.reason import CANCELLED

_ROOM_AGAIN, _SHORT_AGAIN = 1.1, 0.8  # of their limits: what swings around one is one trouble, not many
_SET_ASIDE = frozenset({NodeState.UNHEALTHY.value, NodeState.OUTDATED.value})
ROOT = "/"  # which no node can be called

Key = tuple[Kind, str]
"""A trouble: what, and about whom."""


@dataclass(frozen=True)
class NodeView:
    """A render node as the main worker sees it.

    Attributes:
        beat: changes for as long as it lives.
        work: what it works on and how far that is; changes for as long as it gets on.
        profiles: what it can encode; None where it does not say.
    """

    life: Life
    state: str
    why: str = ""
    beat: tuple[int, int] = (0, 0)
    work: tuple[str, str, float] | None = None
    profiles: frozenset[str] | None = None


@dataclass(frozen=True)
class View:
    """A farm at one moment.

    Attributes:
        failed: code of the reason by task.
        wanted: profiles of tasks that wait.
        free_bytes: room in the root; None where that cannot be told.
        paused: why nothing is taken in, or None.
    """

    finished: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: frozenset[str] = frozenset()
    waiting: int = 0
    processing: int = 0
    wanted: frozenset[str] = frozenset()
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    free_bytes: int | None = None
    paused: str | None = None


@dataclass(frozen=True)
class Limits:
    """From where on something is a trouble; 0 is never, but for the share."""

    queue: int
    error_share: float
    error_tasks: int
    free_bytes: int
    standstill_seconds: float


@dataclass(frozen=True)
class Memory:
    """What is remembered from one look to the next.

    Attributes:
        view: the farm when it was last looked at; None: never.
        told: the troubles that are not over.
        recent: whether each of the last tasks that ended was finished, oldest first.
        began_at: when this process began to look (monotonic seconds).
        moved_at: when work last got on; None: not since then.
    """

    view: View | None = None
    told: frozenset[Key] = frozenset()
    recent: tuple[bool, ...] = ()
    began_at: float = 0.0
    moved_at: float | None = None


@dataclass(frozen=True)
class News:
    """One thing to tell; `words` are complete for a trouble, and empty for what must be looked up first."""

    kind: Kind
    state: State
    about: str
    words: str = ""


def decide(memory: Memory, view: View, limits: Limits, now: float) -> tuple[Memory, tuple[News, ...]]:
    """What to remember from now on, and what to tell (`now` in monotonic seconds)."""
    before = memory.view
    finished = () if before is None else sorted(view.finished - before.finished)
    failed = () if before is None else sorted(view.failed.keys() - before.failed.keys())
    failed = [task for task in failed if view.failed[task] != CANCELLED]
    rejected = () if before is None else sorted(view.rejected - before.rejected)
    recent = (*memory.recent, *(True for _ in finished), *(False for _ in failed))[-limits.error_tasks :]
    moved = bool(finished or failed) or not (view.waiting or view.processing) or _has_moved(before, view)
    moved_at = now if moved else memory.moved_at

    after = Memory(view, memory.told, recent, memory.began_at, moved_at)
    wrong = dict(_troubles(after, limits, now))
    unsure = {key for key in memory.told - wrong.keys() if _may_go_on(key, before, after)}
    news = [
        *(News("video_finished", "happened", task) for task in finished),
        *(News("task_failed", "happened", task) for task in failed),
        *(News("drop_rejected", "happened", name) for name in rejected),
        *(
            News(kind, "began", about, words)
            for (kind, about), words in wrong.items()
            if (kind, about) not in memory.told
        ),
        *(News(*key, words) for key, words in _over(memory.told - wrong.keys() - unsure, view)),
    ]
    told = frozenset(wrong) | unsure
    return replace(after, told=told), tuple(news)


def _has_moved(before: View | None, view: View) -> bool:
    """Whether any node has got on with its work since the last look."""
    known = before.nodes if before else {}
    return any(
        node.work is not None and name in known and node.work != known[name].work for name, node in view.nodes.items()
    )


def _troubles(after: Memory, limits: Limits, now: float) -> Iterator[tuple[Key, str]]:
    view = after.view or View()
    for name, node in view.nodes.items():
        if node.life is Life.DEAD:
            yield ("node_dead", name), f"Node {name} is dead; its task goes back to the queue"
        elif node.state in _SET_ASIDE:
            yield ("node_set_aside", name), f"Node {name} takes no tasks: it is {node.state}{_because(node.why)}"
    yield from _machine_troubles(view, after.told, limits)
    wait = f"{view.waiting} {'task waits' if view.waiting == 1 else 'tasks wait'}"
    if limits.queue and view.waiting > limits.queue * (_SHORT_AGAIN if ("queue_long", "tasks") in after.told else 1):
        yield ("queue_long", "tasks"), f"{wait}, more than {limits.queue}"
    share = after.recent.count(False) / len(after.recent) if after.recent else 0.0
    if len(after.recent) >= limits.error_tasks and share > limits.error_share:
        yield (
            ("error_rate", "tasks"),
            f"{after.recent.count(False)} of the last {len(after.recent)} tasks failed ({share:.0%})",
        )
    for profile in _without_encoder(view):
        yield ("no_encoder", profile), f'Tasks of the profile "{profile}" wait, and no node that lives can encode them'
    still = now - (after.began_at if after.moved_at is None else after.moved_at)
    if limits.standstill_seconds and view.waiting and still >= limits.standstill_seconds:
        yield (
            ("standstill", "tasks"),
            f"Nothing has been rendered for {still / 60:.0f} minutes while {wait}: {_crew(view)}",
        )


def _machine_troubles(view: View, told: Collection[Key], limits: Limits) -> Iterator[tuple[Key, str]]:
    least = limits.free_bytes * (_ROOM_AGAIN if ("low_disk", ROOT) in told else 1)
    if view.free_bytes is not None and view.free_bytes < least:
        yield ("low_disk", ROOT), f"Only {view.free_bytes / 1e9:.1f} GB are free in the project root"
    for name, node in view.nodes.items():
        if node.life is not Life.DEAD and node.state == NodeState.LOW_DISK.value:
            yield ("low_disk", name), f"Node {name} takes no tasks: its disk is nearly full"
    if view.paused:
        yield ("ingest_paused", "raw"), f"Nothing is taken in: {view.paused}"


def _without_encoder(view: View) -> Iterator[str]:
    """Profiles that tasks wait for and no living node can encode; without any node that is another trouble."""
    living = [node for node in view.nodes.values() if node.life is not Life.DEAD]
    for profile in sorted(view.wanted):
        if living and all(node.profiles is not None and profile not in node.profiles for node in living):
            yield profile


def _crew(view: View) -> str:
    living = {name: node for name, node in view.nodes.items() if node.life is not Life.DEAD}
    if not living:
        return "no render node lives"
    return ", ".join(f"{name} is {node.state}{_because(node.why)}" for name, node in sorted(living.items()))


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _may_go_on(key: Key, before: View | None, after: Memory) -> bool:
    """Whether a trouble that was told, and does not show now, may be there all the same."""
    kind, about = key
    view = after.view or View()
    if kind == "node_dead":  # it lives only once it has been seen to beat
        node = view.nodes.get(about)
        known = before.nodes.get(about) if before else None
        return node is not None and (known is None or known.beat == node.beat)
    if kind == "standstill":
        return bool(view.waiting) and after.moved_at is None
    return kind == "low_disk" and about == ROOT and view.free_bytes is None


def _over(keys: Collection[Key], view: View) -> Iterator[tuple[tuple[Kind, State, str], str]]:
    for kind, about in sorted(keys):
        yield (kind, "over", about), _words_of_end(kind, about, view)


def _words_of_end(kind: Kind, about: str, view: View) -> str:
    if kind in ("node_dead", "node_set_aside") or (kind == "low_disk" and about != ROOT):
        return f"Node {about} is back" if about in view.nodes else f"Node {about} has left the farm"
    return {
        "queue_long": f"The queue is short again: {view.waiting} waiting",
        "error_rate": "The last tasks went well again",
        "low_disk": f"There is room again in the project root: {(view.free_bytes or 0) / 1e9:.1f} GB",
        "no_encoder": f'Tasks of the profile "{about}" wait for no encoder any more',
        "standstill": "Work goes on again",
        "ingest_paused": "Drops are taken in again",
    }[kind]
