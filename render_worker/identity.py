"""The name of a render worker: held by a lock for as long as its process lives, so that no two share one.

The lock is known on one host, or in one home of a far node. Elsewhere a record that goes on counting tells.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.lifesign import hold
from shared.records.node import NodeRecord
from shared.records.record import RecordError
from shared.store import Store
from shared.tree.local import LocalTree

_MOST_NODES_PER_HOST = 256
_WATCH_SECONDS = 5.0  # a node counts on every second, and over a slow link a little later
_LOOK_SECONDS = 0.2


@contextmanager
def node_identity(layout: Layout, configured: str, is_taken: Callable[[str], bool] = lambda _: False) -> Iterator[str]:
    """Hold a node name on this root: the configured one, or the host's with a number where it is taken.

    Args:
        is_taken: whether a worker that knows no lock of this one's has a name.

    Raises:
        RootError: the configured name is in use by a living worker.
    """
    base = configured or "".join(char if char.isalnum() or char in "._-" else "_" for char in platform.node())
    for number in range(1, 2 if configured else _MOST_NODES_PER_HOST):
        name = base if number == 1 else f"{base}-{number}"
        handle = os.open(layout.node_lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if hold(handle):
            try:
                if not is_taken(name):
                    yield name
                    return
            finally:
                os.close(handle)
        else:
            os.close(handle)
    raise RootError(f'the node name "{base}" is in use on this root; set worker.node to another one')


def counts_elsewhere(store: Store, name: str, seconds: float = _WATCH_SECONDS) -> bool:
    """Whether a node of this name writes its record, from somewhere that has not the same lock.

    Raises:
        OSError: nobody can tell.
    """
    place = store.at(store.layout.node_record(name))
    first: NodeRecord | None = None
    ends = time.monotonic() + seconds
    while True:
        try:
            record = NodeRecord.from_bytes(store.tree.read(place), str(place))
        except (FileNotFoundError, RecordError):
            return False
        if isinstance(store.tree, LocalTree) and record.host == platform.node():
            return False  # its lock would have told
        first = first or record
        if record.counter != first.counter:
            return True
        if time.monotonic() >= ends:
            return False
        time.sleep(_LOOK_SECONDS)
