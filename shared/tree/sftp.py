"""A tree behind an SFTP server. What cannot be known from an answer is looked at before it is decided.

A server says no more than "Failure" to a name that is taken, a folder that is not empty and a disk that is full; and a
link may break after a request was carried out and before its answer came. Both are doubt, and end the same way: look.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from shared.files import private_name
from shared.lifesign import boot_id
from shared.records.lock import LockRecord
from shared.tree.bandwidth import Bandwidth
from shared.tree.carrying import Sink, receive, send
from shared.tree.far_end import FarEnd
from shared.tree.far_sign import SIGN_BYTES, FarSign
from shared.tree.link import Link
from shared.tree.refusals import in_words, told
from shared.tree.session import FSYNC, HARD_LINK, How, Session
from shared.tree.tree import (
    BLOCK,
    MOST_BYTES,
    AlreadyThere,
    Carried,
    Entry,
    Moved,
    NoInformation,
    NotThere,
    Progress,
    Sign,
    TreeTrouble,
    Unreachable,
    inside,
)

T = TypeVar("T")

_AT_ONCE = 16  # files that are read together: open at the same time, on a server that counts them
_NEW = How.WRITE | How.CREATE | How.TRUNCATE
_PAUSE_SECONDS = 0.05  # between tries of a request whose answer was lost and which has not happened


class SftpTree:
    """The root that a link leads to. Safe for several threads."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._root = link.remote.folder
        self._bandwidth = Bandwidth(link.remote.bytes_per_second)

    def __str__(self) -> str:
        return str(self._link.remote)

    # -- looking ---------------------------------------------------------------------------------

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        at = self._at(folder)
        with told("list", folder, asking=True):
            found = self._link.ask(lambda session: session.entries(at), f"listing {folder}")
        return [Entry(name, stat.S_ISDIR(mode)) for name, mode in found]

    def is_folder(self, path: PurePosixPath) -> bool:
        return stat.S_ISDIR(self._mode(path) or 0)

    def is_there(self, path: PurePosixPath) -> bool:
        return self._mode(path, follow=False) is not None

    def size(self, path: PurePosixPath) -> int:
        at = self._at(path)
        with told("look at", path, asking=True):
            return self._link.ask(lambda session: session.stat(at), f"looking at {path}").st_size or 0

    def read(self, path: PurePosixPath) -> bytes:
        at = self._at(path)

        def request(session: Session) -> bytes:
            content = bytearray()
            with session.opened(at, How.READ) as handle:
                for block in session.read_from(handle, 0):
                    content += block
                    if len(content) > MOST_BYTES:
                        raise TreeTrouble(f"{path} is larger than {MOST_BYTES} bytes: it is not read whole")
            return bytes(content)

        with told("read", path, asking=True):
            return self._link.ask(request, f"reading {path}")

    def read_each(self, paths: Sequence[PurePosixPath]) -> list[bytes | OSError]:
        found: list[bytes | OSError] = []
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            found += self._read_some(some, [self._at(path) for path in some])
        return found

    def is_dead_here(self, path: PurePosixPath, content: bytes | None) -> bool:  # noqa: ARG002
        """Never: this machine's kernel does not know who holds a far file."""
        return False

    # -- changing --------------------------------------------------------------------------------

    def create(self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None) -> None:
        at = self._at(path)
        temporary = str(private_name(Path(self._at(by / path.name) if by else at)))

        def request(session: Session) -> None:
            if not self._link_new(session, temporary, at, content):
                _write(session, at, content, How.WRITE | How.CREATE | How.EXCLUSIVE)

        def judge(trouble: OSError) -> bool | None:
            found = self._read_or_none(path)
            if found is not None:
                return isinstance(trouble, NoInformation) and found == content
            return None

        with told("create", path):
            try:
                mine = self._decide(request, judge, f"creating {path}")
            finally:
                with suppress(OSError):  # a private name, which nobody reads and nobody waits for
                    self._link.once(lambda session: _remove_if_there(session, temporary), "removing it", until=0.0)
            if mine is False:
                raise AlreadyThere(f"Cannot create {path}: the name is taken")
            self._settle(at)

    def replace(
        self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None, *, durable: bool = True
    ) -> None:
        at = self._at(path)
        temporary = str(private_name(Path(self._at(by / path.name) if by else at)))

        def request(session: Session) -> None:
            try:
                _write(session, temporary, content, _NEW, durable=durable)
                session.posix_rename(temporary, at)
            except OSError:
                _remove_if_there(session, temporary)
                raise
            if durable:
                _settle_folder(session, str(PurePosixPath(at).parent))

        def judge(trouble: OSError) -> bool | None:
            if isinstance(trouble, FileNotFoundError):
                return None
            return True if self._read_or_none(path) == content else None

        with told("write", path):  # doing it twice is doing it once
            self._decide(request, judge, f"writing {path}")

    def extend(self, path: PurePosixPath, offset: int, content: bytes) -> None:
        at = self._at(path)

        def request(session: Session) -> None:
            with session.opened(at, How.WRITE | How.CREATE) as handle:
                session.write(handle, content, offset)
                session.fsync(handle)

        with told("write", path):
            self._link.ask(request, f"writing {path}")

    def move(self, source: PurePosixPath, target: PurePosixPath, *, durable: bool = True) -> Moved:
        """As every tree; without `durable` the new name waits for its folder to be settled."""
        old, new = self._at(source), self._at(target)
        doubted = False

        def request(session: Session) -> Moved:
            session.rename(old, new)
            return Moved.DONE

        def judge(trouble: OSError) -> Moved | None:
            nonlocal doubted
            # "No such file" is a clear answer, unless an earlier request may have been carried out after all.
            doubted = doubted or not isinstance(trouble, FileNotFoundError)
            there = self.is_there(source), self.is_there(target)
            if there == (True, False):
                return None
            if there == (True, True):
                return Moved.TAKEN
            return Moved.PERHAPS if there == (False, True) and doubted else Moved.GONE

        with told("move something to", target):
            moved = self._decide(request, judge, f"moving {source} to {target}") or Moved.DONE
            if moved is Moved.DONE and durable:
                self._settle(new, old)
        return moved

    def make_folder(self, path: PurePosixPath, *, durable: bool = True) -> None:
        at = self._at(path)

        def judge(trouble: OSError) -> bool | None:
            if isinstance(trouble, NoInformation):
                return True if self.is_folder(path) else None
            return False if self.is_there(path) else None

        with told("make", path):
            if self._decide(lambda session: session.mkdir(at), judge, f"making {path}") is False:
                raise AlreadyThere(f"Cannot make {path}: the name is taken")
            if durable:
                self._settle(at)

    def settle(self, folder: PurePosixPath) -> None:
        """The names in a folder; the content of what was carried there is on the disk already."""
        at = self._at(folder)

        def request(session: Session) -> None:
            if FSYNC not in session.extensions:
                session.stat(at)  # all there is to be asked
            _settle_folder(session, at)

        with told("write", folder):
            self._link.ask(request, f"making names in {folder} durable")

    def remove(self, path: PurePosixPath) -> bool:
        at = self._at(path)

        def judge(trouble: OSError) -> bool | None:
            if self.is_there(path):
                return None
            return not isinstance(trouble, FileNotFoundError)

        with told("remove", path):
            return self._decide(lambda session: session.remove(at), judge, f"removing {path}") is not False

    def remove_tree(self, path: PurePosixPath) -> None:
        at = self._at(path)
        with told("remove", path):
            self._link.ask(lambda session: _remove_all(session, at), f"removing {path}")

    def hold(self, path: PurePosixPath, node: str, token: str, by: PurePosixPath | None = None) -> Sign:
        # No flock is held and no device known, so that nobody on the server takes the holder for dead too early.
        record = LockRecord(node=node, token=token, boot=boot_id(), pid=os.getpid(), device=None, counter=1)
        self.create(path, record.to_bytes().ljust(SIGN_BYTES), by)
        return FarSign(self, self._link, self._at(path), path, record)

    # -- carrying --------------------------------------------------------------------------------

    def upload(
        self,
        source: Path,
        target: PurePosixPath,
        progress: Progress | None = None,
        sha256: str | None = None,
        *,
        durable: bool = True,
    ) -> Carried:
        inside(target)
        far = FarEnd(self, self._link, self._bandwidth, self._at, partial(self.move, durable=durable))
        with told("carry a file to", target):
            return send(far, source, target, progress, sha256)

    def download(
        self, source: PurePosixPath, target: Path, *, sha256: str, size: int, progress: Progress | None = None
    ) -> None:
        at = self._at(source)

        def fetch(offset: int, sink: Sink) -> None:
            def request(session: Session) -> None:
                with session.opened(at, How.READ) as handle:
                    for block in session.read_from(handle, offset, size):
                        sink(block)
                        self._bandwidth.take(len(block))

            with told("read", source, asking=True):
                self._link.once(request, f"fetching {source}")

        receive(fetch, target, sha256=sha256, size=size, progress=progress)

    # -- steps -----------------------------------------------------------------------------------

    def _at(self, path: PurePosixPath) -> str:
        return str(self._root / inside(path))

    def _read_some(self, paths: Sequence[PurePosixPath], places: Sequence[str]) -> list[bytes | OSError]:
        try:
            found = self._link.ask(lambda session: session.read_each(places), f"reading {paths[0]} and others")
        except Unreachable:
            raise
        except NoInformation as error:
            return [error] * len(paths)
        return [in_words(path, one) for path, one in zip(paths, found, strict=True)]

    def _mode(self, path: PurePosixPath, *, follow: bool = True) -> int | None:
        """The kind and rights of what has a name, or None."""
        at = self._at(path)

        def request(session: Session) -> int:
            return (session.stat(at) if follow else session.lstat(at)).st_mode or 0

        try:
            with told("look at", path, asking=True):
                return self._link.ask(request, f"looking at {path}")
        except NotThere:
            return None

    def _read_or_none(self, path: PurePosixPath) -> bytes | None:
        try:
            return self.read(path)
        except NotThere:
            return None

    def _decide(self, request: Callable[[Session], T], judge: Callable[[OSError], T | None], doing: str) -> T | None:
        """Send a request; where it was refused or its answer was lost, have `judge` look what has become of it.

        `judge` gives the answer, or None: it has not happened. Then a refusal is one, and a lost request is sent again.
        """
        until = time.monotonic() + self._link.patience.link
        while True:
            try:
                return self._link.once(request, doing)
            except Unreachable:
                raise
            except OSError as error:
                answer = judge(error)
                if answer is not None:
                    return answer
                if not isinstance(error, NoInformation) or time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _settle(self, *paths: str) -> None:
        """Make names durable that were made or moved; a folder that has gone on meanwhile needs it no more."""

        def request(session: Session) -> None:
            for folder in dict.fromkeys(PurePosixPath(path).parent for path in paths):
                with suppress(FileNotFoundError):
                    _settle_folder(session, str(folder))

        self._link.ask(request, "making names durable")

    def _link_new(self, session: Session, temporary: str, at: str, content: bytes) -> bool:
        """Write a file aside and give it a second name; False, and nothing is there, where links cannot be had."""
        if HARD_LINK not in session.extensions:
            return False
        _write(session, temporary, content, _NEW)
        try:
            session.hard_link(temporary, at)
        except FileNotFoundError:
            raise
        except OSError:  # the name is taken, or the far filesystem has no links
            if _is_there(session, at):
                raise
            return False
        return True


def _write(session: Session, at: str, content: bytes, how: How, *, durable: bool = True) -> None:
    if len(content) <= BLOCK:
        session.write_whole(at, how, content, durable=durable)
        return
    with session.opened(at, how) as handle:
        session.write(handle, content)
        if durable:
            session.fsync(handle)


def _settle_folder(session: Session, folder: str) -> None:
    """Make the names in a folder durable. OpenSSH opens folders as files; what cannot, leaves that to its disk."""
    if FSYNC not in session.extensions:
        return
    try:
        session.write_whole(folder, How.READ)
    except FileNotFoundError:
        raise
    except OSError:
        return


def _is_there(session: Session, at: str) -> bool:
    try:
        session.lstat(at)
    except FileNotFoundError:
        return False
    return True


def _remove_if_there(session: Session, at: str) -> None:
    with suppress(FileNotFoundError):
        session.remove(at)


def _remove_all(session: Session, at: str) -> None:
    """Delete something, links as such; what goes meanwhile is fine."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(session.lstat(at).st_mode or 0):
            session.remove(at)
            return
        _remove_folder(session, at)


def _remove_folder(session: Session, at: str) -> None:
    with suppress(FileNotFoundError):
        files = []
        for name, mode in session.entries(at):
            if stat.S_ISDIR(mode):
                _remove_folder(session, f"{at}/{name}")
            else:
                files.append(f"{at}/{name}")
        session.remove_all(files)
        session.rmdir(at)
