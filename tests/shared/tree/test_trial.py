"""A server is tried out before any work is done there, and one that could harm the farm is refused in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.tree.link import Link
from shared.tree.tree import TreeTrouble
from shared.tree.trial import UnfitServer, try_out
from tests.farside import linked
from tests.strange_server import Ways, strange_server

if TYPE_CHECKING:
    from tests.farside import Sshd


def refusal(link: Link, kind: type[Exception] = UnfitServer) -> str:
    with pytest.raises(kind) as caught:
        try_out(link, "node-a")
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / ".farm").mkdir(parents=True)
    return root


@pytest.mark.parametrize("kind", ["sshd", "external_sshd"])
def test_openssh_is_fit(request: pytest.FixtureRequest, kind: str, root_at: Callable[[Sshd], Path]) -> None:
    """It has everything but a hash, and nothing is left of the trial."""
    sshd: Sshd = request.getfixturevalue(kind)
    root = root_at(sshd)
    with linked(sshd.remote(root)) as link:
        found = try_out(link, "node-a")
    assert (found.durable, found.links, found.hashes) == (True, True, False)
    assert found.stale_seconds < 1
    assert 0 < found.answer_seconds < 1
    assert list((root / ".farm").iterdir()) == []


def test_a_server_without_gifts_is_fit(tmp_path: Path, root: Path) -> None:
    """What is missing is said: files may be lost with the power, and seen growing."""
    ways = Ways(extensions=("posix-rename@openssh.com", "check-file"))
    with strange_server(tmp_path, ways) as server, linked(server.remote(root)) as link:
        found = try_out(link, "node-a")
    assert (found.durable, found.links, found.hashes) == (False, False, True)


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"overwrites": True}, "a plain rename replaces a file that is there"),
        ({"creates_again": True}, "creates a file exclusively that is there already"),
        ({"makes_again": True}, "makes a folder that is there already"),
        ({"denies": frozenset({"rename"})}, "says that it could not rename a file, which it did"),
        ({"pretends": frozenset({"rename"})}, "says that it renamed a file onto another, which it did not"),
        ({"extensions": ()}, "does not offer posix-rename@openssh.com"),
        ({"pretends": frozenset({"posix_rename"})}, "posix-rename@openssh.com does not replace a file"),
        ({"gap": True}, "lets a file be missing for a moment"),
        ({"vague": True}, 'of a file that is not there it says "Failure"'),
        ({"looks_first": True}, "when two sessions create one file at the same moment, 2 of them are told"),
        ({"moves_late": True}, "when two sessions move one folder at the same moment, 2 of them are told"),
        ({"merges_folders": True}, "it renames a folder onto one that is not empty"),
        ({"stale": True}, "after 0.2 s a listing does not show what another session made"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_server_that_could_harm_the_farm_is_refused(
    tmp_path: Path, root: Path, ways: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it does, and what to do about it; the trial's folder goes."""
    monkeypatch.setattr("shared.tree.trial._STALE_SECONDS", 0.2)
    with strange_server(tmp_path, Ways(**ways)) as server, linked(server.remote(root)) as link:
        words = refusal(link)
    assert said in words
    assert "Use OpenSSH" in words
    assert list((root / ".farm").iterdir()) == []


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, root: Path) -> None:
    """Nobody likes to be told one thing after the other."""
    ways = Ways(overwrites=True, makes_again=True, creates_again=True)
    with strange_server(tmp_path, ways) as server, linked(server.remote(root)) as link:
        words = refusal(link)
    for problem in ("plain rename", "makes a folder", "creates a file"):
        assert problem in words


def test_a_folder_that_is_no_root_is_refused(tmp_path: Path) -> None:
    """Before anything is written there."""
    (tmp_path / "elsewhere").mkdir()
    with strange_server(tmp_path, Ways()) as server, linked(server.remote(tmp_path / "elsewhere")) as link:
        assert "is not a project root" in refusal(link)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_root_that_cannot_be_written_is_told(sshd: Sshd, root_at: Callable[[Sshd], Path]) -> None:
    """As trouble that somebody may mend, not as an unfit server."""
    root = root_at(sshd)
    (root / ".farm").chmod(0o555)
    with linked(sshd.remote(root)) as link:
        assert "does not allow to make .farm/probe-node-a" in refusal(link, TreeTrouble)


def test_what_a_crash_left_of_a_trial_goes_at_the_next(sshd: Sshd, root_at: Callable[[Sshd], Path]) -> None:
    """The folder has the node's name, so nobody else's is touched."""
    root = root_at(sshd)
    for node in ("node-a", "node-b"):
        (root / f".farm/probe-{node}/folder-full").mkdir(parents=True)
    for path in (root / ".farm").rglob("*"):
        os.chown(path, sshd.owner, -1)
    with linked(sshd.remote(root)) as link:
        try_out(link, "node-a")
    assert [path.name for path in (root / ".farm").iterdir()] == ["probe-node-b"]
