"""Which nodes are late, dead, back, slow or low on disk: said once in the log, and kept for `reelmill status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from shared.domain.names import readable
from shared.domain.node import Life, NodeState
from shared.log import Logger
from shared.nodes import Seen
from shared.records.main import NodeVerdict
from shared.records.record import utc_now

_SLOW_SHARE = 1 / 3  # of what the other nodes make in the same time
_WORDS = {
    "late": "shows no life since {seen}",
    "dead": "is dead: it showed no life since {seen}; its task goes back to the queue",
    "unhealthy": "has set itself aside: {why}",
    "outdated": "is too old for this root: {why}",
    "low on disk": "is low on disk space: {free:.1f}GB remaining",
    "slow": "is slow: it makes {pace:g} s of video in a second, the others {usual:g} s",
}


@dataclass
class Watching:
    """What the main worker knows of its nodes; for one thread."""

    log: Logger
    min_free_bytes: int

    def __post_init__(self) -> None:
        self._verdicts: dict[str, NodeVerdict] = {}

    def look(self, nodes: Mapping[str, Seen]) -> tuple[NodeVerdict, ...]:
        """Judge all nodes, say what has changed, and return what is wrong with whom, by name."""
        found = {name: verdict for name, seen in nodes.items() if (verdict := self._verdict(seen, nodes))}
        for name, verdict in found.items():
            before = self._verdicts.get(name)
            if before and before.what == verdict.what:
                found[name] = verdict.model_copy(update={"since": before.since})
            else:
                tell = self.log.error if verdict.what == "dead" else self.log.warning
                tell(f"Node {name} {verdict.words}", name=f"node_{verdict.what.replace(' ', '_')}", node=name)
        for name in self._verdicts.keys() - found.keys():
            if name in nodes:
                self.log.info(f"Node {name} is back", name="node_well", node=name)
        self._verdicts = found
        return tuple(found[name] for name in sorted(found))

    def _verdict(self, seen: Seen, nodes: Mapping[str, Seen]) -> NodeVerdict | None:
        record = seen.record
        what = self._what(seen, nodes)
        if what is None:
            return None
        words = _WORDS[what].format(
            seen=record.updated_at,
            why=readable(record.why or "it does not say why"),
            free=(record.free_bytes or 0) / 1e9,
            pace=record.pace or 0.0,
            usual=_usual(seen, nodes) or 0.0,
        )
        return NodeVerdict(node=record.node, what=what, words=words, since=utc_now())

    def _what(self, seen: Seen, nodes: Mapping[str, Seen]) -> str | None:
        record = seen.record
        if seen.life is not Life.ALIVE:
            return str(seen.life.value)
        if record.state in (NodeState.UNHEALTHY.value, NodeState.OUTDATED.value):
            return str(record.state)
        if record.state == NodeState.LOW_DISK.value or (record.free_bytes or self.min_free_bytes) < self.min_free_bytes:
            return NodeState.LOW_DISK.value
        usual = _usual(seen, nodes)
        return "slow" if usual and record.pace and record.pace < _SLOW_SHARE * usual else None


def _usual(seen: Seen, nodes: Mapping[str, Seen]) -> float | None:
    """What the other living nodes make in a second, in seconds of video."""
    paces = [
        other.record.pace
        for other in nodes.values()
        if other.life is Life.ALIVE and other.record.pace and other.record.node != seen.record.node
    ]
    return median(paces) if paces else None
