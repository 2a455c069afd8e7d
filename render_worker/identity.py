"""The name of a render worker: held by a lock for as long as its process lives, so that no two share one."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.lifesign import hold

_MOST_NODES_PER_HOST = 256


@contextmanager
def node_identity(layout: Layout, configured: str) -> Iterator[str]:
    """Hold a node name on this root: the configured one, or the host's with a number where it is taken.

    Raises:
        RootError: the configured name is in use by a living worker of this host.
    """
    base = configured or "".join(char if char.isalnum() or char in "._-" else "_" for char in platform.node())
    for number in range(1, 2 if configured else _MOST_NODES_PER_HOST):
        name = base if number == 1 else f"{base}-{number}"
        handle = os.open(layout.node_lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if hold(handle):
            try:
                yield name
            finally:
                os.close(handle)
            return
        os.close(handle)
    raise RootError(f'the node name "{base}" is in use on this root; set worker.node to another one')
