"""Files carried whole between this machine and a tree: gone on with after a break, checked where they arrive.

A file on its way has a private name, made of its own and of its hash, so that whoever carries the same file next finds
what is there already. It gets its name when its size and SHA-256 are right.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from filelock import lock_descriptor

from shared.files import as_machine_trouble, is_there, rename_new
from shared.tree.tree import (
    BLOCK,
    AlreadyThere,
    Carried,
    Damaged,
    Moved,
    NoInformation,
    NotThere,
    Progress,
    TreeTrouble,
    Unreachable,
)

_TRIES = 2  # what was begun by somebody else, or before a power loss, may be wrong: begun anew, it is not
_FRUITLESS = 3  # breaks in a row without one byte more, each of a link that had come back
_READ_BYTES = 1 << 20
_LOOK_SECONDS = 0.05  # between looks whether somebody else has finished the same file

Sink = Callable[[bytes], None]
AnyPath = TypeVar("AnyPath", Path, PurePosixPath)


class FarEnd(Protocol):
    """Where an upload goes. Every method may raise NoInformation."""

    def length(self, path: PurePosixPath) -> int | None:
        """The bytes of a file, or None where there is none."""

    def append(self, path: PurePosixPath, offset: int, blocks: Iterator[bytes], arrived: Callable[[int], None]) -> None:
        """Write blocks at the end of a file, which is made; `arrived` hears up to which offset they have been taken."""

    def sha256(self, path: PurePosixPath, size: int, looked: Callable[[], None]) -> str:
        """The hash of a file, of what is stored there, durably; `looked` is called meanwhile, may raise to end it."""

    def remove(self, path: PurePosixPath) -> bool: ...

    def move(self, source: PurePosixPath, target: PurePosixPath) -> Moved: ...


def unfinished(path: AnyPath, sha256: str) -> AnyPath:
    """The private name of a file on its way to `path`."""
    return path.with_name(f".{path.name[:100]}.{sha256[:8]}.tmp")


def send(
    far: FarEnd, source: Path, target: PurePosixPath, progress: Progress | None = None, sha256: str | None = None
) -> Carried:
    """Carry a file of this machine to a far name that must be free; see :meth:`shared.tree.tree.Tree.upload`."""
    with _own_trouble(f"Cannot read {source}"):
        size = source.stat().st_size
        digest = sha256 or sha256_of(source)
    carried = Carried(size, digest)

    def looked() -> None:
        if progress:
            progress(size, size)

    if _is_same(far, target, carried, looked):
        return carried
    partial = unfinished(target, digest)
    for _ in range(_TRIES):
        _fill(far, source, partial, size, progress)
        if far.sha256(partial, size, looked) == digest:
            moved = far.move(partial, target)
            if moved is Moved.DONE or _is_same(far, target, carried, looked):
                return carried
            raise NotThere(f"{target} was taken away while it was carried")
        far.remove(partial)
    raise Damaged(f"{source} does not arrive at {target} as it is: check that nobody changes it, and the far disk")


def receive(
    fetch: Callable[[int, Sink], None], target: Path, *, sha256: str, size: int, progress: Progress | None = None
) -> None:
    """Carry what `fetch` gives (from an offset, into a sink) to a name of this machine that must be free.

    Two that carry the same file to one place, threads or processes, wait for each other; the second finds it there.
    """
    partial = unfinished(target, sha256)
    try:
        with _held(partial, target) as handle:
            try:
                for _ in range(_TRIES):
                    if _read_in(fetch, handle, size, progress) == sha256:
                        os.fsync(handle)
                        rename_new(partial, target)
                        return
                    os.ftruncate(handle, 0)
            except NotThere:
                partial.unlink()
                raise
            partial.unlink()
    except FileExistsError as error:
        raise AlreadyThere(f"{target} is there already") from error
    except (NotThere, TreeTrouble):
        raise
    except OSError as error:
        trouble = as_machine_trouble(error, f"Cannot write {target}")
        raise TreeTrouble(str(trouble), everywhere=trouble.everywhere) from error
    raise Damaged(f"What arrives for {target} is not the file of {size} bytes and SHA-256 {sha256} that was asked for")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file of this machine."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def blocks_of(path: Path, offset: int, until: int) -> Iterator[bytes]:
    """What a file of this machine holds between two offsets, in blocks for the wire."""
    with _own_trouble(f"Cannot read {path}"):
        stream = path.open("rb")
    with stream:
        while offset < until:
            with _own_trouble(f"Cannot read {path}"):
                stream.seek(offset)
                block = stream.read(min(BLOCK, until - offset))
            if not block:
                return
            offset += len(block)
            yield block


# -- steps ---------------------------------------------------------------------------------------


def _is_same(far: FarEnd, path: PurePosixPath, carried: Carried, looked: Callable[[], None]) -> bool:
    """Whether the file is there already.

    Raises:
        AlreadyThere: another one is.
    """
    length = far.length(path)
    if length is None:
        return False
    if length != carried.size or far.sha256(path, length, looked) != carried.sha256:
        raise AlreadyThere(f"{path} is there already and is another file")
    return True


def _fill(far: FarEnd, source: Path, partial: PurePosixPath, size: int, progress: Progress | None) -> None:
    """Carry what is still missing."""
    breaks, best = 0, -1

    def arrived(offset: int) -> None:
        if progress:
            progress(offset, size)

    at = far.length(partial)
    while at != size:
        if at is not None and at > size:
            far.remove(partial)
            at = None
        breaks, best = (0, at or 0) if (at or 0) > best else (breaks + 1, best)
        try:
            far.append(partial, at or 0, blocks_of(source, at or 0, size), arrived)
        except NoInformation as error:
            if breaks >= _FRUITLESS or isinstance(error, Unreachable):
                raise
            at = far.length(partial)
        else:
            return  # whether all of it has arrived is seen when it is checked


def _read_in(fetch: Callable[[int, Sink], None], handle: int, size: int, progress: Progress | None) -> str | None:
    """Carry what is still missing into an open file; the SHA-256 of it all, or None if it has not this size."""
    digest = hashlib.sha256()
    at = 0
    while block := os.pread(handle, _READ_BYTES, at):
        digest.update(block)
        at += len(block)

    def sink(block: bytes) -> None:
        nonlocal at
        if at + len(block) > size:
            raise _TooMuch
        with _own_trouble("Cannot write what arrives"):
            os.pwrite(handle, block, at)
        digest.update(block)
        at += len(block)
        if progress:
            progress(at, size)

    breaks = 0
    while at < size:
        before = at
        try:
            fetch(at, sink)
        except _TooMuch:
            return None
        except NoInformation as error:
            breaks = 0 if at > before else breaks + 1
            if breaks > _FRUITLESS or isinstance(error, Unreachable):
                raise
        else:
            break
    return digest.hexdigest() if at == size else None


class _TooMuch(Exception):
    """The far file goes on where it should end."""


@contextmanager
def _own_trouble(doing: str) -> Iterator[None]:
    """Tell this machine's own errors from those of a server, which are OSErrors too."""
    try:
        yield
    except OSError as error:
        trouble = as_machine_trouble(error, doing)
        raise TreeTrouble(str(trouble), everywhere=trouble.everywhere) from error


@contextmanager
def _held(partial: Path, target: Path) -> Iterator[int]:
    """The open partial file, in which nobody else writes meanwhile.

    Raises:
        FileExistsError: the target is there, perhaps since somebody else has just finished it.
    """
    while True:
        if is_there(target):
            raise FileExistsError
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            # Whoever holds it is alive: the kernel lets go for the dead. He may keep it under its final name.
            while is_named(handle, partial):
                if lock_descriptor(handle, blocking=False) and is_named(handle, partial):
                    yield handle
                    return
                time.sleep(_LOOK_SECONDS)
        finally:
            os.close(handle)


def is_named(handle: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
