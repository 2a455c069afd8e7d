"""The link breaks at every request of every operation in turn, before it is carried out and after."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from shared.records.lock import LockRecord
from shared.tree.link import Link
from shared.tree.sftp import SftpTree
from shared.tree.tree import AlreadyThere, Moved, NotThere
from tests.farside import linked
from tests.strange_server import StrangeServer, Ways, strange_server

P = PurePosixPath
FILM = bytes(range(256)) * 600  # several requests each way
SHA256 = hashlib.sha256(FILM).hexdigest()
WITH_LINKS = Ways(extensions=("posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"))


@dataclass(frozen=True)
class Scene:
    """A tree behind a server that can be told where to break off, and its files."""

    server: StrangeServer
    link: Link
    root: Path

    @property
    def tree(self) -> SftpTree:
        return SftpTree(self.link)

    def clear(self) -> None:
        """Begin again, with a living link and nothing in the way."""
        self.server.ways.stops = None
        self.tree.remove_tree(P("work"))
        self.tree.make_folder(P("work"))
        self.tree.remove_tree(P("here"))
        self.tree.make_folder(P("here"))


@pytest.fixture(params=["few gifts", "links"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    root = tmp_path / "root"
    root.mkdir()
    ways = Ways() if request.param == "few gifts" else Ways(extensions=WITH_LINKS.extensions)
    with strange_server(tmp_path, ways) as server, linked(server.remote(root)) as link:
        yield Scene(server, link, root)


def create(scene: Scene) -> None:
    try:
        scene.tree.create(P("work/one.json"), b"content with a token")
    except AlreadyThere:  # without links a file cut short is nobody's: who made it cannot know it again
        assert (scene.root / "work/one.json").read_bytes() == b""
        return
    assert (scene.root / "work/one.json").read_bytes() == b"content with a token"


def replace(scene: Scene) -> None:
    scene.tree.replace(P("work/one.json"), b"new")
    assert (scene.root / "work/one.json").read_bytes() == b"new"


def move(scene: Scene) -> None:
    (scene.root / "work/old").mkdir()
    found = scene.tree.move(P("work/old"), P("work/new"))
    assert found in (Moved.DONE, Moved.PERHAPS)
    assert (scene.root / "work/new").is_dir()
    assert not (scene.root / "work/old").exists()


def move_onto(scene: Scene) -> None:
    (scene.root / "work/old").mkdir()
    (scene.root / "work/new").mkdir()
    assert scene.tree.move(P("work/old"), P("work/new")) is Moved.TAKEN
    assert (scene.root / "work/old").is_dir()


def make_folder(scene: Scene) -> None:
    scene.tree.make_folder(P("work/folder"))
    assert (scene.root / "work/folder").is_dir()


def remove(scene: Scene) -> None:
    (scene.root / "work/file").write_bytes(b"")
    assert scene.tree.remove(P("work/file"))
    assert not (scene.root / "work/file").exists()


def remove_tree(scene: Scene) -> None:
    (scene.root / "work/deep/deeper").mkdir(parents=True)
    (scene.root / "work/deep/deeper/file").write_bytes(b"")
    scene.tree.remove_tree(P("work/deep"))
    assert not (scene.root / "work/deep").exists()


def look(scene: Scene) -> None:
    (scene.root / "work/file").write_bytes(b"content")
    assert [entry.name for entry in scene.tree.entries(P("work"))] == ["file"]
    assert scene.tree.read(P("work/file")) == b"content"
    assert scene.tree.size(P("work/file")) == 7
    assert scene.tree.is_there(P("work/file"))
    assert not scene.tree.is_there(P("work/nothing"))
    with pytest.raises(NotThere):
        scene.tree.read(P("work/nothing"))


def show_life(scene: Scene) -> None:
    (scene.root / "drafts").mkdir(exist_ok=True)
    try:
        sign = scene.tree.hold(P("work/one.lock"), "node-a", "ab12", by=P("drafts"))
    except AlreadyThere:
        assert (scene.root / "work/one.lock").read_bytes() == b""
        return
    assert [path.name for path in (scene.root / "work").iterdir()] == ["one.lock"]  # what broke off is a draft
    sign.beat()
    record = LockRecord.from_bytes((scene.root / "work/one.lock").read_bytes(), "lock")
    assert (record.token, record.counter) == ("ab12", 2)
    sign.release()
    assert not (scene.root / "work/one.lock").exists()


def upload(scene: Scene) -> None:
    source = scene.root / "here/film.mp4"
    source.write_bytes(FILM)
    assert scene.tree.upload(source, P("work/final.mp4")).sha256 == SHA256
    assert (scene.root / "work/final.mp4").read_bytes() == FILM
    assert [path.name for path in (scene.root / "work").iterdir()] == ["final.mp4"]


def download(scene: Scene) -> None:
    (scene.root / "work/clip.mp4").write_bytes(FILM)
    scene.tree.download(P("work/clip.mp4"), scene.root / "here/clip.mp4", sha256=SHA256, size=len(FILM))
    assert (scene.root / "here/clip.mp4").read_bytes() == FILM
    assert [path.name for path in (scene.root / "here").iterdir()] == ["clip.mp4"]


OPERATIONS = (create, replace, move, move_onto, make_folder, remove, remove_tree, look, show_life, upload, download)


def is_whole(root: Path) -> bool:
    """I2: under no final name is there anything but what belongs there, whole; see `create` for what cannot be."""
    wanted = {"final.mp4": FILM, "clip.mp4": FILM}
    return all(
        path.read_bytes() == wanted[path.name]
        for folder in ("work", "here")
        for path in (root / folder).glob("*.mp4")
        if path.name in wanted
    )


def points(requests: int, first: int) -> range:
    """Where to break off: at every request where REELMILL_EVERY_REQUEST is set, else at two, others for each kind."""
    step = 1 if os.environ.get("REELMILL_EVERY_REQUEST") else max(1, requests // 2)
    return range(1 + first % step, requests + 1, step)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_break_at_any_request_changes_nothing_in_the_end(
    scene: Scene, operation: Callable[[Scene], None], after: bool
) -> None:
    """It is looked what has happened, and done again where it has not."""
    ways = scene.server.ways
    scene.clear()
    ways.requests.clear()
    operation(scene)
    for at in points(len(ways.requests), 2 * after + len(ways.extensions)):
        scene.clear()
        ways.requests.clear()
        broke: list[str] = []

        def stops(name: str, count: int, done: bool, at: int = at, broke: list[str] = broke) -> bool:
            assert is_whole(scene.root)
            if (count, done) == (at, after):
                broke.append(name)
                return True
            return False

        ways.stops = stops
        operation(scene)
        assert is_whole(scene.root)
        assert broke
