"""A tree on a mounted filesystem: `shared/files.py`, in the words of the seam."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from shared.files import (
    as_machine_trouble,
    create_exclusive,
    fsync_path,
    is_folder,
    is_there,
    remove_tree,
    rename_new,
    write_atomic,
    write_hint,
)
from shared.lifesign import LifeSign, died_here
from shared.tree.carrying import Sink, receive, send, sha256_of
from shared.tree.tree import (
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

_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})
# A mount whose server does not answer: what is behind a name cannot be told.
_SILENT = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.EHOSTUNREACH}
    | {errno.ETIMEDOUT, errno.ECONNABORTED, errno.ECONNRESET}
)
_READ_BYTES = 1 << 20


class LocalTree:
    """The root at a path of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    # -- looking ---------------------------------------------------------------------------------

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        try:
            with _told("list", folder), os.scandir(self._at(folder)) as found:
                return [Entry(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        except NotThere as error:
            if isinstance(error.__cause__, NotADirectoryError) and self._at(folder).is_file():
                # Nobody must take that for a folder that holds nothing.
                raise TreeTrouble(f"Cannot list {folder}: it is not a folder") from None
            raise

    def is_folder(self, path: PurePosixPath) -> bool:
        with _told("look at", path):
            return is_folder(self._at(path))

    def is_there(self, path: PurePosixPath) -> bool:
        with _told("look at", path):
            return is_there(self._at(path))

    def size(self, path: PurePosixPath) -> int:
        with _told("look at", path):
            return self._at(path).stat().st_size

    def read(self, path: PurePosixPath) -> bytes:
        with _told("read", path), self._at(path).open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise TreeTrouble(f"{path} is larger than {MOST_BYTES} bytes: it is not read whole")
            return stream.read()

    def is_dead_here(self, path: PurePosixPath, content: bytes | None) -> bool:
        return died_here(self._at(path), content)

    # -- changing --------------------------------------------------------------------------------

    def create(self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None) -> None:
        with _told("create", path):
            create_exclusive(self._at(path), content, by=self._at(by) if by else None)

    def replace(
        self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None, *, durable: bool = True
    ) -> None:
        with _told("write", path):
            if durable:
                write_atomic(self._at(path), content, by=self._at(by) if by else None)
            else:
                write_hint(self._at(path), content)

    def extend(self, path: PurePosixPath, offset: int, content: bytes) -> None:
        with _told("write", path):
            handle = os.open(self._at(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            with os.fdopen(handle, "wb") as stream:
                stream.seek(offset)
                stream.write(content)
                stream.flush()
                os.fsync(handle)

    def move(self, source: PurePosixPath, target: PurePosixPath) -> Moved:
        old, new = self._at(source), self._at(target)
        with _told("move something to", target):
            try:
                rename_new(old, new)
            except FileNotFoundError:
                if not is_folder(new.parent):
                    raise
                return Moved.GONE  # though by now there may be something of the old name again
            except OSError as error:
                if error.errno in _TAKEN or is_there(new):
                    return Moved.TAKEN
                raise
            with suppress(FileNotFoundError):  # the folder it came from may itself have gone on
                fsync_path(old.parent)
        return Moved.DONE

    def make_folder(self, path: PurePosixPath, *, durable: bool = True) -> None:
        with _told("make", path):
            self._at(path).mkdir()
            if durable:
                fsync_path(self._at(path).parent)

    def read_each(self, paths: Sequence[PurePosixPath]) -> list[bytes | OSError]:
        return [self._read_or_error(path) for path in paths]

    def settle(self, folder: PurePosixPath) -> None:
        with _told("write", folder):
            for entry in self._at(folder).iterdir():
                if not entry.is_symlink():
                    fsync_path(entry)
            fsync_path(self._at(folder))

    def remove(self, path: PurePosixPath) -> bool:
        with _told("remove", path):
            try:
                self._at(path).unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def remove_tree(self, path: PurePosixPath) -> None:
        with _told("remove", path):
            remove_tree(self._at(path))

    def hold(self, path: PurePosixPath, node: str, token: str, by: PurePosixPath | None = None) -> Sign:  # noqa: ARG002
        with _told("create", path):
            return LifeSign.create(self._at(path), node, token)

    # -- carrying --------------------------------------------------------------------------------

    def upload(
        self,
        source: Path,
        target: PurePosixPath,
        progress: Progress | None = None,
        sha256: str | None = None,
        *,
        durable: bool = True,  # noqa: ARG002 - waits for no far disk
    ) -> Carried:
        return send(_Beside(self, self._at), source, inside(target), progress, sha256)

    def download(
        self, source: PurePosixPath, target: Path, *, sha256: str, size: int, progress: Progress | None = None
    ) -> None:
        def fetch(offset: int, sink: Sink) -> None:
            with _told("read", source), self._at(source).open("rb") as stream:
                stream.seek(offset)
                while block := stream.read(_READ_BYTES):
                    sink(block)

        receive(fetch, target, sha256=sha256, size=size, progress=progress)

    def _read_or_error(self, path: PurePosixPath) -> bytes | OSError:
        try:
            return self.read(path)
        except Unreachable:
            raise
        except OSError as error:
            return error

    def _at(self, path: PurePosixPath) -> Path:
        return self._root / inside(path)


class _Beside:
    """The far end of an upload that goes no further than to another folder of this machine."""

    def __init__(self, tree: LocalTree, at: Callable[[PurePosixPath], Path]) -> None:
        self._tree = tree
        self._path = at
        self.remove = tree.remove
        self.move = tree.move

    def length(self, path: PurePosixPath) -> int | None:
        try:
            return self._tree.size(path)
        except NotThere:
            return None

    def append(self, path: PurePosixPath, offset: int, blocks: Iterator[bytes], arrived: Callable[[int], None]) -> None:
        with _told("write", path):
            handle = os.open(self._path(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            for block in blocks:
                with _told("write", path):
                    offset += os.pwrite(handle, block, offset)
                arrived(offset)
        finally:
            os.close(handle)

    def sha256(self, path: PurePosixPath, size: int, looked: Callable[[], None]) -> str:  # noqa: ARG002
        with _told("read", path):
            fsync_path(self._path(path))
            return sha256_of(self._path(path))


@contextmanager
def _told(doing: str, path: PurePosixPath) -> Iterator[None]:
    """The errors of a filesystem in the words of the seam."""
    try:
        yield
    except (NotThere, AlreadyThere, TreeTrouble):
        raise
    except FileNotFoundError as error:
        raise NotThere(f"Cannot {doing} {path}: it, or the folder it should lie in, is not there") from error
    except NotADirectoryError as error:
        raise NotThere(f"Cannot {doing} {path}: what should be a folder on the way is a file") from error
    except FileExistsError as error:
        raise AlreadyThere(f"Cannot {doing} {path}: the name is taken") from error
    except OSError as error:
        trouble = as_machine_trouble(error, f"Cannot {doing} {path}")
        kind = NoInformation if error.errno in _SILENT else TreeTrouble
        raise kind(str(trouble), everywhere=trouble.everywhere) from error
