"""The end of an upload that lies behind an SFTP server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from shared.tree.bandwidth import Bandwidth
from shared.tree.link import Link
from shared.tree.session import How, Session
from shared.tree.tree import Moved, NotThere, Tree


class FarEnd:
    """The far end of an upload over a link."""

    def __init__(
        self,
        tree: Tree,
        link: Link,
        bandwidth: Bandwidth,
        at: Callable[[PurePosixPath], str],
        move: Callable[[PurePosixPath, PurePosixPath], Moved],
    ) -> None:
        self._tree = tree
        self._link = link
        self._bandwidth = bandwidth
        self._at = at
        self.move = move
        self.remove = tree.remove

    def length(self, path: PurePosixPath) -> int | None:
        try:
            return self._tree.size(path)
        except NotThere:
            return None

    def append(self, path: PurePosixPath, offset: int, blocks: Iterator[bytes], arrived: Callable[[int], None]) -> None:
        at = self._at(path)

        def paced(mark: Callable[[], None]) -> Iterator[bytes]:
            for block in blocks:
                self._bandwidth.take(len(block))
                mark()
                yield block

        def request(session: Session) -> None:
            with session.opened(at, How.WRITE | How.CREATE) as handle, self._link.watched() as mark:
                for until in session.write_from(handle, offset, paced(mark)):
                    mark()
                    arrived(until)

        self._link.once(request, f"carrying a file to {path}")

    def sha256(self, path: PurePosixPath, size: int, looked: Callable[[], None]) -> str:
        """As the server counts it, or of what comes back from it."""
        at = self._at(path)

        def request(session: Session) -> str:
            with session.opened(at, How.READ) as handle:
                session.fsync(handle, size)
                counted = session.sha256(handle, size)
                if counted:
                    return counted
                digest = hashlib.sha256()
                for block in session.read_from(handle, 0, size):
                    digest.update(block)
                    self._bandwidth.take(len(block))
                    looked()
                return digest.hexdigest()

        return self._link.ask(request, f"checking {path}")
