"""A node comes to its root as its settings say."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from console.init import lay_out
from render_worker.root import rooted
from shared.config import load_config
from shared.log import open_log
from shared.notify import Notifier
from shared.process import Started
from shared.settings import Log
from tests.farside import Sshd, running_sshd

CLIP = os.urandom(1 << 20)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    with running_sshd("Subsystem sftp internal-sftp") as sshd:
        yield sshd


def test_a_node_carries_no_faster_than_its_settings_allow(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for as `remote.bytes_per_second` holds on the line, which takes a hundredth of the time for it."""
    root = sshd.folder("root")
    (root / "clip.mp4").write_bytes(CLIP)
    monkeypatch.setenv("REELMILL_REMOTE__KEY", str(sshd.home / "client"))
    monkeypatch.setenv("REELMILL_REMOTE__KNOWN_HOSTS", str(sshd.known_hosts))
    monkeypatch.setenv("REELMILL_REMOTE__BYTES_PER_SECOND", str(1 << 20))
    log = open_log("render_worker", Log(file=False))
    home = lay_out(tmp_path / "home", {})
    started = Started(load_config(None), home, log, None, Notifier(None, None, log), str(sshd.remote(root)))
    with rooted(started) as at:
        began = time.monotonic()
        at.store.tree.download(
            PurePosixPath("clip.mp4"), tmp_path / "clip.mp4", sha256=hashlib.sha256(CLIP).hexdigest(), size=len(CLIP)
        )
        took = time.monotonic() - began
    assert took > 0.7, "a quarter of a second's bytes may go at once"
