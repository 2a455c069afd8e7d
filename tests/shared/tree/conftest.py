"""Trees of every kind, over real servers, each with its root where the test can look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.tree.local import LocalTree
from shared.tree.sftp import SftpTree
from shared.tree.tree import Tree
from tests.farside import Cable, Sshd, cable_to, external_server, linked, running_sshd
from tests.strange_server import Ways, strange_server


@dataclass(frozen=True)
class Place:
    """A tree, and where its files lie."""

    tree: Tree
    root: Path


@pytest.fixture(scope="session")
def external_sshd() -> Iterator[Sshd]:
    """An sshd that starts sftp-server as a program."""
    with running_sshd(external_server()) as sshd:
        yield sshd


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """An sshd that serves files by itself."""
    with running_sshd("Subsystem sftp internal-sftp") as sshd:
        yield sshd


@pytest.fixture
def root_at(request: pytest.FixtureRequest) -> Iterator[Callable[[Sshd], Path]]:
    """Makes a project root of this test at a server."""
    made: list[Path] = []

    def make(sshd: Sshd) -> Path:
        made.append(sshd.folder(f"root-{abs(hash(request.node.nodeid))}-{len(made)}"))
        return made[-1]

    yield make
    for root in made:
        shutil.rmtree(root)


@pytest.fixture
def cable(sshd: Sshd) -> Iterator[Cable]:
    """A cable to `sshd`."""
    with cable_to(sshd.port) as found:
        yield found


@pytest.fixture(params=["local", "sftp-server", "internal-sftp", "no extensions"])
def place(request: pytest.FixtureRequest, tmp_path: Path, root_at: Callable[[Sshd], Path]) -> Iterator[Place]:
    """A tree of each kind in turn."""
    root = tmp_path / "root"
    if request.param == "local":
        (root / ".farm").mkdir(parents=True)
        yield Place(LocalTree(root), root)
    elif request.param == "no extensions":
        (root / ".farm").mkdir(parents=True)
        with strange_server(tmp_path, Ways()) as server, linked(server.remote(root)) as link:
            yield Place(SftpTree(link), root)
    else:
        sshd: Sshd = request.getfixturevalue("sshd" if request.param == "internal-sftp" else "external_sshd")
        root = root_at(sshd)
        with linked(sshd.remote(root)) as link:
            yield Place(SftpTree(link), root)
