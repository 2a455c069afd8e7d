"""A lock file behind an SFTP server, as its holder has it."""

from __future__ import annotations

from pathlib import PurePosixPath

from shared.records.lock import LockRecord
from shared.records.record import RecordError
from shared.tree.link import Link
from shared.tree.refusals import told
from shared.tree.session import How, Session
from shared.tree.tree import NotThere, Tree

SIGN_BYTES = 512  # as in shared/lifesign.py: one write of a fixed width


class FarSign:
    """A lock file on the server, known again by its token."""

    def __init__(self, tree: Tree, link: Link, at: str, path: PurePosixPath, record: LockRecord) -> None:
        self._tree = tree
        self._link = link
        self._at = at
        self._path = path
        self._record = record
        self._released = False

    def beat(self) -> None:
        if self._released:
            raise NotThere(f"{self._path} was released")
        record = self._record.changed(counter=self._record.counter + 1)

        def request(session: Session) -> None:
            with session.opened(self._at, How.READ | How.WRITE) as handle:
                self._check(b"".join(session.read_from(handle, 0)))
                session.write(handle, record.to_bytes().ljust(SIGN_BYTES))

        with told("show life in", self._path):
            self._link.ask(request, f"showing life in {self._path}")
        self._record = record

    def abandon(self) -> None:
        self._released = True

    def release(self) -> None:
        if self._released:
            return
        self._released = True
        try:
            self._check(self._tree.read(self._path))
        except NotThere:
            return
        self._tree.remove(self._path)

    def _check(self, content: bytes) -> None:
        try:
            token = LockRecord.from_bytes(content, str(self._path)).token
        except RecordError as error:
            raise NotThere(f"{self._path} is not this worker's any more: {error}") from error
        if token != self._record.token:
            raise NotThere(f"{self._path} is not this worker's any more, but has the token {token}")
