"""What the farm asks of the tree it works on, whatever carries it; `docs/sftp.md` tells of the far kind.

Paths are relative to the root, with forward slashes. Three answers are kept apart, since what follows from them
differs: it is there, it is not there (:class:`NotThere`), and nobody can tell (:class:`NoInformation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Protocol

from shared.domain.errors import MachineTrouble, ReelmillError

MOST_BYTES = 64 << 20  # of what is read whole; records and logs are far smaller
BLOCK = 32768  # bytes that are carried at a time: what every SFTP server takes in one request

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and those there are in all; it may raise, to end a transfer."""


class NotThere(ReelmillError, FileNotFoundError):
    """There is nothing of this name, as whoever keeps the files says."""


class AlreadyThere(ReelmillError, FileExistsError):
    """The name that had to be free is taken."""


class OutsideRoot(ReelmillError, ValueError):
    """A path that does not lead to a place within the root."""


class TreeTrouble(MachineTrouble, OSError):
    """It was refused or failed, for now: a full disk, missing rights. The tree is as it was."""


class NoInformation(TreeTrouble):
    """The link or the disk gave no answer: nothing can be concluded, and what was asked for may have happened."""


class Unreachable(NoInformation):
    """There was no link for as long as one waits for it."""


class Damaged(TreeTrouble):
    """What arrived is not what was to be carried."""


class Moved(Enum):
    """What came of a move."""

    DONE = "moved"
    GONE = "there was nothing to move"
    TAKEN = "the new name is taken; nothing was moved"
    PERHAPS = "the old name is gone and the new one is there, but whose move that was cannot be told from the names"


@dataclass(frozen=True)
class Entry:
    """One name in a folder; a link is no folder, wherever it leads."""

    name: str
    is_folder: bool


@dataclass(frozen=True)
class Carried:
    """A file that was carried whole, and checked where it arrived."""

    size: int
    sha256: str


class Sign(Protocol):
    """A lock file held by this process, as a sign of life."""

    def beat(self) -> None:
        """Show life once more.

        Raises:
            NoInformation: it could not be shown now; nobody else has the lock file for all that is known.
            FileNotFoundError: it is not this holder's any more, who must stop.
            OSError: it could not be written.
        """

    def abandon(self) -> None:
        """Let go but leave the lock file."""

    def release(self) -> None:
        """Remove the lock file, if it is still ours, and let go; a second call does nothing."""


class Tree(Protocol):
    """A project root. Every method may raise :class:`NoInformation`, :class:`TreeTrouble` and :class:`OutsideRoot`."""

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        """What lies in a folder, in no order.

        Raises:
            NotThere: there is no such folder.
        """

    def is_folder(self, path: PurePosixPath) -> bool:
        """Whether there is a folder, or a link to one."""

    def is_there(self, path: PurePosixPath) -> bool:
        """Whether there is something of this name, be it a link that leads nowhere."""

    def size(self, path: PurePosixPath) -> int:
        """The bytes of a file.

        Raises:
            NotThere: there is no such file.
        """

    def read(self, path: PurePosixPath) -> bytes:
        """The content of a file of at most :data:`MOST_BYTES`.

        Raises:
            NotThere: there is no such file.
            TreeTrouble: it is larger.
        """

    def read_each(self, paths: Sequence[PurePosixPath]) -> list[bytes | OSError]:
        """The contents of several files, in their order; for one that cannot be read, the error of :meth:`read`.

        Over a long line this takes hardly longer than reading one.

        Raises:
            Unreachable: there was no link; nothing is known of any.
        """

    def create(self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None) -> None:
        """Create a file that must not exist yet, durably; a reader finds it whole (without hard links: or growing).

        It is made under a private name first: in the folder `by`, where its own may be moved away at any moment.

        Where the reply was lost, what lies there tells: the same content is taken for this call's, so it should hold
        a token that nobody else writes.

        Raises:
            AlreadyThere: somebody else created it first.
            NotThere: its folder does not exist.
        """

    def replace(
        self, path: PurePosixPath, content: bytes, by: PurePosixPath | None = None, *, durable: bool = True
    ) -> None:
        """Create or replace a file so that a reader sees the old or the new content, whole; `by` as for :meth:`create`.

        `durable` waits for the far disk; without, a power loss may take it: for what is rewritten all the time.

        Raises:
            NotThere: its folder does not exist.
        """

    def extend(self, path: PurePosixPath, offset: int, content: bytes) -> None:
        """Write behind what a file holds, durably, and make the file where there is none.

        For a file with one writer, who knows its length `offset`: where an answer was lost the same can be written
        once more. A reader may meet a part of it.

        Raises:
            NotThere: its folder does not exist.
        """

    def move(self, source: PurePosixPath, target: PurePosixPath) -> Moved:
        """Give a file or folder a name that must be free, by one rename; nothing is ever replaced.

        After :attr:`Moved.PERHAPS`, which only a lost or false answer brings, what lies under the new name decides,
        by a token in it. Without one it must count as somebody else's.

        Raises:
            NotThere: the folder of the new name does not exist.
        """

    def make_folder(self, path: PurePosixPath, *, durable: bool = True) -> None:
        """Make one folder. Where the reply was lost, a folder that is there is taken for this call's.

        `durable` waits for the disk; that also holds for what else was made beside it without waiting.

        Raises:
            AlreadyThere: there is something of this name.
            NotThere: the folder it should lie in does not exist.
        """

    def settle(self, folder: PurePosixPath) -> None:
        """Bring what was written into a folder past this seam to the disk, and the names in it.

        Raises:
            NotThere: there is no such folder.
        """

    def remove(self, path: PurePosixPath) -> bool:
        """Remove a file or link; False if there was none."""

    def remove_tree(self, path: PurePosixPath) -> None:
        """Delete a file or folder that nobody needs any more; one that is gone already is fine. Links are not followed.

        A holder of the name may still write into it: rename it out of sight first.
        """

    def hold(self, path: PurePosixPath, node: str, token: str, by: PurePosixPath | None = None) -> Sign:
        """Make a lock file and hold it.

        Args:
            by: the folder for its private name, where it is made under one (see :meth:`create`).

        Raises:
            AlreadyThere: there is one already, alive or not.
            NotThere: its folder does not exist.
        """

    def is_dead_here(self, path: PurePosixPath, content: bytes | None) -> bool:
        """Whether this machine's kernel knows that the holder of a lock file is gone; False where it cannot know."""

    def upload(
        self,
        source: Path,
        target: PurePosixPath,
        progress: Progress | None = None,
        sha256: str | None = None,
        *,
        durable: bool = True,
    ) -> Carried:
        """Carry a file of this machine to a name that must be free, durably; what was begun before is gone on with.

        Without `durable` its name is so only when its folder is settled: for several files of one folder.

        Its size and SHA-256 (counted here unless given) are checked at the far end before it gets its name. A file
        that is there already and is the same counts as carried.

        Raises:
            AlreadyThere: another file has the name.
            NotThere: its folder does not exist.
            Damaged: it does not arrive as it was sent, twice.
        """

    def download(
        self, source: PurePosixPath, target: Path, *, sha256: str, size: int, progress: Progress | None = None
    ) -> None:
        """Carry a file to a name on this machine that must be free, durably; what was begun before is gone on with.

        Raises:
            AlreadyThere: the name is taken.
            NotThere: there is no such file.
            Damaged: it is not of this size and SHA-256, twice.
        """


def inside(path: PurePosixPath) -> PurePosixPath:
    """A path that leads to a place within the root, by its words.

    Raises:
        OutsideRoot: it does not.
    """
    if path.is_absolute() or ".." in path.parts or "\0" in str(path) or not path.parts:
        raise OutsideRoot(f"{str(path)!r} is not a path within the project root; give one relative to it, without ..")
    return path
