"""The root a node works on: a folder of this machine, or one behind an SFTP server with a double of it here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from render_worker.hauling import Far, Hauling, Mounted
from render_worker.inputs import InputCache
from render_worker.kept import Kept
from shared.config import Config, load_config
from shared.files import write_atomic
from shared.process import Started
from shared.store import Store
from shared.tree.link import Link
from shared.tree.remote import Remote
from shared.tree.sftp import SftpTree
from shared.tree.tree import NotThere
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


def _of_the_farm(store: Store) -> Config:
    """The configuration of a far root, with what the environment of this node overrides."""
    path = store.layout.config
    try:
        write_atomic(path, store.tree.read(store.at(path)))
    except NotThere:
        return load_config(None)
    return load_config(path)


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
    remote = Remote.at(
        started.remote,
        known_hosts=Path(settings.known_hosts).expanduser(),
        key=Path(settings.key).expanduser() if settings.key else None,
        trust_first=settings.trust_first,
        bytes_per_second=settings.bytes_per_second or None,
    )
    link = Link(remote)
    try:
        found = try_out(link, started.config.worker.node or layout.root.name)
        tree = SftpTree(link)
        started.log.info(
            f"{remote} keeps what the farm relies on; it answers within {1000 * found.answer_seconds:.0f} ms",
            name="server_tried",
        )
        store = Store(layout, tree)
        config = _of_the_farm(store)
        own = started.config.worker  # a box has its own name, room and pace
        changed = {name: getattr(own, name) for name in own.model_fields_set} | {"conform_when_idle": False}
        config = config.model_copy(update={"worker": config.worker.model_copy(update=changed)})
        inputs = layout.cache / "inputs"
        kept = Kept(layout.kept, settings.kept_bytes, started.log)
        far = Far(store, InputCache(inputs, settings.inputs_bytes), inputs, kept)
        far.adopt()
        yield Root(config, store, far)
    finally:
        link.close()
