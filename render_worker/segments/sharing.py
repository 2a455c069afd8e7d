"""Conformed clips between a far node and the root: fetched rather than encoded again, and new ones brought there.

On the root they lie as in every cache of segments, each complete under its name by one rename. One is sent only
while nothing else is to be uploaded; what was begun is gone on with.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from shared.domain.errors import Stopped
from shared.domain.layout import SEGMENT, SEGMENT_RECORD, THUMBNAIL
from shared.files import remove_tree
from shared.records.record import RecordError
from shared.records.segment import SegmentRecord
from shared.segments import SegmentCache
from shared.store import Store
from shared.tree.tree import AlreadyThere, Moved, NotThere, Progress

_LOOK_SECONDS = 60.0  # others' new segments are used that late; the list of some ten thousand takes a second
MOST_OFFERED = 1000
_DIGITS = 12  # of a key, that tell a node's own segments apart while they are on their way


class Sharing:
    """What one far node fetches from the root's cache of segments, and offers to it. Safe for several threads."""

    def __init__(self, store: Store, node: str, cache: SegmentCache, offered: deque[str]) -> None:
        """`offered`: names of segments that the root is to have; what is added to the cache."""
        self._store = store
        self._layout = store.layout
        self._node = node
        self._cache = cache
        self._mutex = threading.Lock()
        self._there: frozenset[str] = frozenset()
        self._looked = float("-inf")
        self._offered = offered

    def has(self, key: str) -> bool:
        """Whether the root has a segment, as of the last look."""
        return key in self._there

    def look(self) -> None:
        """See which segments the root has, unless that was done lately.

        Raises:
            NoInformation, TreeTrouble: nobody can tell.
        """
        with self._mutex:
            if time.monotonic() < self._looked + _LOOK_SECONDS:
                return
            self._looked = time.monotonic()
        try:
            entries = self._store.tree.entries(self._store.at(self._layout.segments))
        except NotThere:
            entries = []
        self._there = frozenset(entry.name for entry in entries if not entry.name.startswith("."))

    def fetch(self, keys: Iterable[str], told: Progress) -> tuple[int, int]:
        """Bring segments of the root into this node's cache; returns how many came, and the bytes of their files.

        One that has gone meanwhile, or whose record does not say what its film must be, is left to be made here.

        Raises:
            Damaged, NoInformation, TreeTrouble: it did not come.
        """
        fetched, size = 0, 0
        for key in filter(self.has, keys):
            bench = self._cache.bench()
            try:
                self._fetch(key, bench, told)
                carried = sum(path.stat().st_size for path in bench.iterdir())
                self._cache.put(key, bench)
                fetched, size = fetched + 1, size + carried
            except (NotThere, RecordError):
                continue
            finally:
                remove_tree(bench)
        return fetched, size

    def send_one(self, told: Progress) -> bool:
        """Bring one of the offered segments to the root; False where there is none.

        Raises:
            OSError: it did not get there, and is not offered any more.
        """
        if not self._offered:
            return False
        key = self._offered.popleft()
        if self.has(key):
            return True
        bench = self._cache.bench()
        try:
            record = self._cache.take(key, bench)
            if record and record.film:
                self._send(key, record, bench, told)
        except Stopped:
            self._offered.appendleft(key)
            raise
        except AlreadyThere:  # what was begun is of one that was made again since
            self._store.tree.remove_tree(self._store.at(self._begun(key)))
            raise
        finally:
            remove_tree(bench)
        return True

    # -- steps -----------------------------------------------------------------------------------

    def _fetch(self, key: str, bench: Path, told: Progress) -> None:
        """Bring the files of a segment into `bench`, checked against its record."""
        tree, place = self._store.tree, self._store.at(self._layout.segment(key))
        content = tree.read(place / SEGMENT_RECORD)
        record = SegmentRecord.from_bytes(content, str(place / SEGMENT_RECORD))
        thumbnail = tree.read(place / THUMBNAIL)
        if record.key != key or not record.film or hashlib.sha256(thumbnail).hexdigest() != record.thumbnail:
            raise RecordError(f"{place} is not what its record says")
        tree.download(place / SEGMENT, bench / SEGMENT, sha256=record.film, size=record.size, progress=told)
        (bench / THUMBNAIL).write_bytes(thumbnail)
        (bench / SEGMENT_RECORD).write_bytes(content)

    def _begun(self, key: str) -> Path:
        """The private name of a segment on its way to the root."""
        return self._layout.segment(key).with_name(f".{self._node}-{key[:_DIGITS]}")

    def _send(self, key: str, record: SegmentRecord, bench: Path, told: Progress) -> None:
        """Bring a segment, whose film and thumbnail are in `bench`, to the root: under a private name, then renamed."""
        tree, target = self._store.tree, self._store.at(self._layout.segment(key))
        record.write(bench / SEGMENT_RECORD)
        place = self._store.at(self._begun(key))
        for folder in (place.parent.parent, place.parent, place):
            with suppress(AlreadyThere):
                tree.make_folder(folder)
        tree.upload(bench / f"{key}.mp4", place / SEGMENT, told, sha256=record.film)
        tree.upload(bench / f"{key}.jpg", place / THUMBNAIL, told)
        tree.upload(bench / SEGMENT_RECORD, place / SEGMENT_RECORD, told)
        if tree.move(place, target) is Moved.TAKEN:  # another node was faster
            tree.remove_tree(place)
        self._there |= {key}
