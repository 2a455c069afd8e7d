"""The root a node works on: a folder of this machine, or one behind an SFTP server with a double of it here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from render_worker.hauling import Far, Hauling, Mounted
from render_worker.inputs import InputCache
from render_worker.kept import Kept
from shared.config import Config
from shared.far_root import farm_config, remote_root
from shared.process import Started
from shared.store import Store
from shared.tree.link import Link
from shared.tree.sftp import SftpTree
from shared.tree.trial import try_out


@dataclass(frozen=True)
class Root:
    """What a node works on.

    Attributes:
        config: the farm's.
    """

    config: Config
    store: Store
    hauling: Hauling


@contextmanager
def rooted(started: Started) -> Iterator[Root]:
    """The root of a worker that has started.

    Raises:
        BadAddress, UnfitServer, LinkRefused: nothing can be done at that address.
        NoInformation: there is no link.
    """
    if started.remote is None:
        yield Root(started.config, Store(started.layout), Mounted(started.layout))
        return
    settings, layout = started.config.remote, started.layout
    remote = remote_root(started.remote, settings)
    link = Link(remote)
    try:
        found = try_out(link, started.config.worker.node or layout.root.name)
        tree = SftpTree(link)
        started.log.info(
            f"{remote} keeps what the farm relies on; it answers within {1000 * found.answer_seconds:.0f} ms",
            name="server_tried",
        )
        store = Store(layout, tree)
        config = farm_config(store, started.config)
        inputs = layout.cache / "inputs"
        kept = Kept(layout.kept, settings.kept_bytes, started.log)
        far = Far(store, InputCache(inputs, settings.inputs_bytes), inputs, kept)
        far.adopt()
        yield Root(config, store, far)
    finally:
        link.close()
