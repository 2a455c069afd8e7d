"""The render nodes of a root as one observer sees them: their records, and whether they live."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.claim import Sighting, look
from shared.domain.layout import Layout
from shared.domain.node import Life, NodeState, life
from shared.domain.retry import Crew
from shared.lifesign import is_free
from shared.records.node import NodeRecord
from shared.records.record import RecordError
from shared.tree.local import LocalTree
from shared.tree.tree import Tree, Unreachable

_RECORD = ".json"
_SECONDS = 1.0  # records do not change more often


@dataclass(frozen=True)
class Seen:
    """A node's last record, and what is made of it."""

    record: NodeRecord
    life: Life


class Nodes:
    """Every node that has a record; a node that leaves removes its own. Safe for several threads."""

    def __init__(
        self,
        layout: Layout,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        tree: Tree | None = None,
    ) -> None:
        self._layout = layout
        self._tree = tree or LocalTree(layout.root)
        self._lease = lease_seconds
        self._clock = clock
        self._sightings: dict[str, Sighting] = {}
        self._seen: dict[str, Seen] = {}
        self._looked = float("-inf")
        self._mutex = threading.Lock()

    def look(self, *, afresh: bool = False) -> dict[str, Seen]:
        """All nodes by name; read again once a second at most, or now. What cannot be read stays as it was."""
        with self._mutex:
            return self._look(afresh=afresh)

    def _look(self, *, afresh: bool) -> dict[str, Seen]:
        now = self._clock()
        if now < self._looked + _SECONDS and not afresh:
            return self._seen
        self._looked = now
        try:
            entries = self._tree.entries(self._layout.relative(self._layout.nodes))
        except OSError:
            return self._seen
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
        paths = {name.removesuffix(_RECORD): self._layout.nodes / name for name in names if name.endswith(_RECORD)}
        self._seen = {name: seen for name, seen in self._seen.items() if name in paths}
        self._sightings = {name: seen for name, seen in self._sightings.items() if name in paths}
        try:
            contents = self._tree.read_each([self._layout.relative(path) for path in paths.values()])
        except Unreachable:
            return self._seen
        for (name, path), content in zip(paths.items(), contents, strict=True):
            if isinstance(content, OSError):
                continue
            with suppress(RecordError):
                record = NodeRecord.from_bytes(content, str(path))
                sighting = self._sightings[name] = look(self._sightings.get(name), content, now)
                self._seen[name] = Seen(
                    record, life(sighting, now, self._lease, gone_here=is_gone_here(self._layout, record))
                )
        return self._seen

    def crew(self, profile: str, *, afresh: bool = False) -> Crew:
        """Who can make videos of a profile, and who is set aside."""
        living = [seen.record for seen in self.look(afresh=afresh).values() if seen.life is not Life.DEAD]
        return Crew(
            frozenset(record.node for record in living if record.makes(profile)),
            frozenset(record.node for record in living if record.state == NodeState.UNHEALTHY.value),
        )


def is_gone_here(layout: Layout, record: NodeRecord) -> bool:
    """Whether a node's process ran on this host and has ended; False where this host cannot know."""
    return record.host == platform.node() and is_free(layout.node_lock(record.node))
