"""Conformed clips come from the root, and new ones go there, whole or not at all."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from console.init import lay_out
from render_worker.segments.sharing import Sharing
from shared.domain.errors import Stopped
from shared.domain.layout import SEGMENT, SEGMENT_RECORD, THUMBNAIL, Layout
from shared.records.segment import SegmentRecord
from shared.segments import SegmentCache
from shared.store import Store
from shared.tree.local import LocalTree
from shared.tree.tree import AlreadyThere, Damaged

KEY = "a" * 64
OTHER = "b" * 64


def untold(_done: int, _size: int) -> None:
    """Progress that nobody asks for."""


def segment(folder: Path, key: str, content: bytes = b"film" * 50_000) -> None:
    """A complete segment in an empty folder."""
    (folder / SEGMENT).write_bytes(content)
    (folder / THUMBNAIL).write_bytes(b"picture")
    SegmentRecord(
        key=key,
        source="clip.mp4",
        sha256="0" * 64,
        start=0,
        frames=30,
        keyframes=(0,),
        anchors=(29,),
        delay=0,
        packets=((len(content), "0"),),
        extradata="",
        size=len(content),
        film=hashlib.sha256(content).hexdigest(),
        thumbnail=hashlib.sha256(b"picture").hexdigest(),
        checks=(),
        encoder="libx264",
        node="a",
        seconds_taken=1.0,
        made_at="2026-01-01T00:00:00Z",
    ).write(folder / SEGMENT_RECORD)


@dataclass
class Node:
    """A node with a home of its own, and its view of the root."""

    name: str
    home: Layout
    root: Layout
    offered: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.cache = SegmentCache(self.home, self.name, 1 << 30, self.offered.append)
        self.cache.tidy()
        self.sharing = Sharing(Store(self.home, LocalTree(self.root.root)), self.name, self.cache, self.offered)

    def make(self, key: str) -> None:
        bench = self.cache.bench()
        segment(bench, key)
        self.cache.put(key, bench)


@pytest.fixture
def node_of(tmp_path: Path) -> Callable[[str], Node]:
    root = lay_out(tmp_path / "root", {})
    return lambda name: Node(name, lay_out(tmp_path / name, {}), root)


def test_what_one_node_has_made_another_one_fetches(node_of: Callable[[str], Node]) -> None:
    """Film, thumbnail and record arrive as they were, and are not offered back."""
    attic, cellar = node_of("attic"), node_of("cellar")
    attic.make(KEY)
    attic.sharing.look()
    assert attic.sharing.send_one(untold)
    assert not attic.sharing.send_one(untold)
    cellar.sharing.look()
    count, size = cellar.sharing.fetch([KEY, OTHER], untold)
    assert count == 1
    assert size == sum(path.stat().st_size for path in attic.root.segment(KEY).iterdir())
    for name in (SEGMENT, THUMBNAIL, SEGMENT_RECORD):
        assert (cellar.home.segment(KEY) / name).read_bytes() == (attic.home.segment(KEY) / name).read_bytes()
    assert cellar.sharing.send_one(untold)
    assert [path.name for path in attic.root.segments.iterdir()] == [KEY]
    assert not [path for path in cellar.home.segments.iterdir() if path.name.startswith(".")]


def test_a_transfer_that_gives_way_is_gone_on_with(node_of: Callable[[str], Node]) -> None:
    """Nothing of it has its name before all of it is there."""
    attic = node_of("attic")
    attic.make(KEY)
    attic.make(OTHER)
    attic.sharing.look()

    def give_way(done: int, size: int) -> None:
        if 0 < done < size:
            raise Stopped("there is something better to carry")

    with pytest.raises(Stopped):
        attic.sharing.send_one(give_way)
    assert not attic.root.segment(KEY).exists()
    assert attic.sharing.send_one(untold)
    assert {path.name for path in attic.root.segments.iterdir()} == {KEY}
    assert attic.sharing.send_one(untold)
    assert {path.name for path in attic.root.segments.iterdir()} == {KEY, OTHER}


def test_two_nodes_that_offer_the_same_leave_one(node_of: Callable[[str], Node]) -> None:
    """The second rename finds the place taken, and clears its own away."""
    attic, cellar = node_of("attic"), node_of("cellar")
    for node in (attic, cellar):
        node.make(KEY)
        node.sharing.look()
    assert attic.sharing.send_one(untold)
    assert cellar.sharing.send_one(untold)
    assert [path.name for path in attic.root.segments.iterdir()] == [KEY]


@pytest.mark.parametrize("damage", ["film", "thumbnail", "record", "old record"])
def test_a_damaged_segment_of_the_root_is_not_taken(node_of: Callable[[str], Node], damage: str) -> None:
    """It is made here instead; one of an older program, whose record has no hash of its film, as well."""
    attic = node_of("attic")
    folder = attic.root.segment(KEY)
    folder.mkdir(parents=True)
    segment(folder, KEY)
    if damage == "film":
        (folder / SEGMENT).write_bytes(b"felm" * 50_000)
    elif damage == "thumbnail":
        (folder / THUMBNAIL).write_bytes(b"another")
    elif damage == "record":
        (folder / SEGMENT_RECORD).write_text("{")
    else:
        SegmentRecord.read(folder / SEGMENT_RECORD).changed(film="").write(folder / SEGMENT_RECORD)
    attic.sharing.look()
    if damage == "film":
        with pytest.raises(Damaged):
            attic.sharing.fetch([KEY], untold)
    else:
        assert attic.sharing.fetch([KEY], untold) == (0, 0)
    assert not attic.cache.has(KEY)
    assert not [path for path in attic.home.segments.iterdir() if path.name.startswith(".")]


def test_what_was_begun_of_a_segment_that_was_made_again_is_cleared_away(node_of: Callable[[str], Node]) -> None:
    """Its leftovers do not keep the new one from the root for ever."""
    one = node_of("one")
    one.make(KEY)
    begun = one.root.segment(KEY).with_name(f".one-{KEY[:12]}")
    begun.mkdir(parents=True)
    (begun / SEGMENT).write_bytes(b"another film")
    with pytest.raises(AlreadyThere):
        one.sharing.send_one(untold)
    assert not begun.exists()
    one.offered.append(KEY)
    assert one.sharing.send_one(untold)
    assert one.root.segment(KEY).is_dir()
