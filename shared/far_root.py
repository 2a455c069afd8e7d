"""A root behind SFTP as a node's settings have it: how it is reached, and the farm's configuration."""

from __future__ import annotations

from pathlib import Path

from shared import settings
from shared.config import Config, load_config
from shared.files import write_atomic
from shared.store import Store
from shared.tree.remote import Remote
from shared.tree.tree import NotThere


def remote_root(address: str, own: settings.Remote) -> Remote:
    """The root at an address, with the node's own key and known hosts.

    Raises:
        BadAddress: it is none.
    """
    return Remote.at(
        address,
        known_hosts=Path(own.known_hosts).expanduser(),
        key=Path(own.key).expanduser() if own.key else None,
        trust_first=own.trust_first,
        bytes_per_second=own.bytes_per_second or None,
    )


def farm_config(store: Store, own: Config) -> Config:
    """The farm's configuration, which the node's home gets, with what this node has of its own: name, room and pace."""
    path = store.layout.config
    try:
        write_atomic(path, store.tree.read(store.at(path)))
        config = load_config(path)
    except NotThere:
        config = load_config(None)
    worker = {name: getattr(own.worker, name) for name in own.worker.model_fields_set} | {"conform_when_idle": False}
    return config.model_copy(update={"worker": config.worker.model_copy(update=worker)})
