"""One root, two transports at once: a node that mounts it and one behind SFTP never both win, and see each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from shared.tree.local import LocalTree
from shared.tree.sftp import SftpTree
from shared.tree.tree import AlreadyThere, Moved, Tree
from tests.farside import Sshd, linked

P = PurePosixPath
ROUNDS = 30


@pytest.fixture
def root(sshd: Sshd, root_at: Callable[[Sshd], Path]) -> Path:
    root = root_at(sshd)
    for path in (root, *root.iterdir()):
        path.chmod(0o777)
    return root


@pytest.fixture
def trees(sshd: Sshd, root: Path) -> Iterator[tuple[Tree, Tree]]:
    with linked(sshd.remote(root)) as link:
        yield LocalTree(root), SftpTree(link)


def winners(trees: tuple[Tree, Tree], act: Callable[[Tree], bool]) -> int:
    """How many of the two get what both want at the same moment."""
    start = threading.Barrier(2)
    won: list[bool] = []

    def race(tree: Tree) -> None:
        start.wait()
        won.append(act(tree))

    threads = [threading.Thread(target=race, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 2
    return sum(won)


def test_one_claims_a_task(trees: tuple[Tree, Tree], root: Path) -> None:
    """By a move, whichever way it goes."""

    def claiming(name: str) -> Callable[[Tree], bool]:
        return lambda tree: tree.move(P("tasks", name), P("processing", name)) is Moved.DONE

    for turn in range(ROUNDS):
        task = root / f"tasks/{turn}"
        task.mkdir()
        task.chmod(0o777)  # else the far one, should it come first, may not give it another parent
        assert winners(trees, claiming(f"{turn}")) == 1


def test_one_creates_a_record(trees: tuple[Tree, Tree]) -> None:
    """And the other is told that it is there, even with the same content."""

    def creating(path: P) -> Callable[[Tree], bool]:
        def create(tree: Tree) -> bool:
            try:
                tree.create(path, b"{}")
            except AlreadyThere:
                return False
            return True

        return create

    for turn in range(ROUNDS):
        assert winners(trees, creating(P(f"tasks/{turn}.json"))) == 1


def test_a_far_holder_is_not_dead_for_who_mounts_the_root(trees: tuple[Tree, Tree]) -> None:
    """Not even on its own host, where nobody holds a flock on its lock file: only its lease tells."""
    near, far = trees
    path = P(".farm/one.lock")
    sign = far.hold(path, "node-b", "cd34")
    before = near.read(path)
    assert not near.is_dead_here(path, before)
    sign.beat()
    assert near.read(path) != before
    sign.release()
    assert not near.is_there(path)


def test_a_near_holder_is_seen_from_afar(trees: tuple[Tree, Tree]) -> None:
    """Its heartbeat is, and neither can have the other's lock."""
    near, far = trees
    path = P(".farm/one.lock")
    sign = near.hold(path, "node-a", "ab12")
    with pytest.raises(AlreadyThere):
        far.hold(path, "node-b", "cd34")
    before = far.read(path)
    sign.beat()
    assert far.read(path) != before
    sign.release()
