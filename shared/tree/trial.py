"""Whether a server keeps what the farm relies on, tried out in a folder of its own before any work is done there.

Some servers replace a file on a plain rename, some make a folder that is there already, some say "failed" and have
done it. With such a one two nodes would render one task, or one would lose another's output.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.tree.link import Link
from shared.tree.session import FSYNC, HARD_LINK, HASH, POSIX_RENAME, How, Session
from shared.tree.sftp import SftpTree
from shared.tree.tree import NoInformation, NotThere, TreeTrouble

T = TypeVar("T")

_FARM = PurePosixPath(Layout(Path()).farm)
_ROUNDS = 20  # of two that race; a server that looks first and acts then loses within a few
_STALE_SECONDS = 10.0  # longer than any attribute cache of a network filesystem is by default for a folder's names
_NEW = How.WRITE | How.CREATE | How.TRUNCATE
_OLD_TEXT, _NEW_TEXT, _LAST_TEXT = b"old" * 1000, b"new" * 1000, b"last" * 1000


class UnfitServer(RootError):
    """A server with which nodes could harm each other; the text says how, and what to do."""


class NotARoot(UnfitServer):
    """There is no project root at its folder."""


@dataclass(frozen=True)
class Findings:
    """What a server that is fit for the farm offers.

    Attributes:
        stale_seconds: until a second session saw in a listing what a first had made.
        answer_seconds: how long a small request takes, there and back (the middle of several).
        durable: whether files can be made to survive a power loss (fsync@openssh.com).
        links: whether a file can be created whole and exclusively (hardlink@openssh.com); else it is seen growing.
        hashes: whether the server can count a hash (check-file); else uploads are read back.
    """

    stale_seconds: float
    answer_seconds: float
    durable: bool
    links: bool
    hashes: bool


@dataclass(frozen=True)
class Look:
    """What was found at a server.

    Attributes:
        troubles: of each thing that must hold, what is wrong with it, if anything.
        offers: where nothing is wrong.
    """

    troubles: Mapping[str, str | None]
    offers: Findings | None


def try_out(link: Link, node: str) -> Findings:
    """Make sure that the server a link leads to is fit for the farm.

    Raises:
        UnfitServer: it could harm the farm.
        NotARoot, NoInformation, TreeTrouble: as :func:`look_at`.
    """
    found = look_at(link, node)
    if found.offers is None:
        raise UnfitServer(
            f"{link.remote} cannot be used for a farm: {'; '.join(filter(None, found.troubles.values()))}. Use "
            "OpenSSH's sftp-server or internal-sftp (docs/sftp.md), or mount the folder instead"
        )
    return found.offers


def look_at(link: Link, node: str) -> Look:
    """Try out the server a link leads to, in a folder of the node's own under ``.farm/`` that is removed again.

    Raises:
        NotARoot: there is no project root at its folder.
        NoInformation: the link broke meanwhile.
        TreeTrouble: it refuses what every node has to do, such as writing.
    """
    tree = SftpTree(link)
    if not tree.is_folder(_FARM):
        raise NotARoot(
            f"{link.remote} is not a project root: there is no folder {_FARM} in {link.remote.folder}. Give the folder "
            "that holds raw/, tasks/ and output/, as this user sees it (within a chroot of OpenSSH's it may be /)"
        )
    folder = _FARM / f"probe-{node}"
    trial = _Trial(link, str(link.remote.folder / folder))
    unclear = trial.says_what_is_missing()
    if unclear:
        return Look({"absence told": unclear}, None)
    tree.remove_tree(folder)  # what a crash left of an earlier trial
    tree.make_folder(folder)
    try:
        troubles = {name: check() for name, check in trial.checks()}
        return Look({"absence told": None, **troubles}, None if any(troubles.values()) else trial.offers())
    finally:
        with suppress(TreeTrouble, NotThere):  # the next trial removes it, and what was found matters more
            tree.remove_tree(folder)


class _Trial:
    """One look at a server, from two sessions."""

    def __init__(self, link: Link, folder: str) -> None:
        self._link = link
        self._folder = folder
        self._stale_seconds = 0.0

    def says_what_is_missing(self) -> str | None:
        """What is not there must be called so: else "not there" and "no answer" cannot be told apart, here neither."""
        try:
            self._ask(lambda session: session.lstat(self._path("never-made")))
        except FileNotFoundError:
            return None
        except NoInformation:
            raise
        except OSError as error:
            return f'of a file that is not there it says "{error}" instead of "no such file"'
        return "it shows a file that was never made"

    def offers(self) -> Findings:
        extensions = self._link.ask(lambda session: session.extensions, "asking what it can do")
        return Findings(
            stale_seconds=self._stale_seconds,
            answer_seconds=self._answer(),
            durable=FSYNC in extensions,
            links=HARD_LINK in extensions,
            hashes=HASH in extensions,
        )

    def checks(self) -> tuple[tuple[str, Callable[[], str | None]], ...]:
        return (
            ("exclusive creation", self._create),
            ("new folders", self._make_folder),
            ("never replacing", self._file_rename),
            ("first output wins", self._folder_rename),
            ("one of two wins", self._one_winner),
            ("records replaced", self._replacing),
            ("fresh listings", self._freshness),
        )

    # -- what must hold --------------------------------------------------------------------------

    def _create(self) -> str | None:
        path = self._path("created")
        self._put(path, _OLD_TEXT, How.WRITE | How.CREATE | How.EXCLUSIVE)
        if self._does(lambda session: _put(session, path, _NEW_TEXT, How.WRITE | How.CREATE | How.EXCLUSIVE)):
            return "it creates a file exclusively that is there already"
        if self._get(path) != _OLD_TEXT:
            return "it refuses to create a file that is there already, and changes it"
        return None

    def _make_folder(self) -> str | None:
        path = self._path("folder")
        self._make(path)
        if self._does(lambda session: session.mkdir(path)):
            return "it makes a folder that is there already"
        return None

    def _file_rename(self) -> str | None:
        old, new = self._path("file-old"), self._path("file-new")
        self._put(old, _OLD_TEXT, _NEW)
        self._put(new, _NEW_TEXT, _NEW)
        said = self._does(lambda session: session.rename(old, new))
        if self._get(new) != _NEW_TEXT or not self._has(old):
            return f"a plain rename replaces a file that is there{'' if said else ', and says that it failed'}"
        if said:
            return "it says that it renamed a file onto another, which it did not"
        free = self._path("file-free")
        return self._clear_rename(old, free, "file")

    def _folder_rename(self) -> str | None:
        old, full = self._path("folder-old"), self._path("folder-full")
        for path in (old, full):
            self._make(path)
        self._put(f"{full}/kept", _OLD_TEXT, _NEW)
        self._put(f"{old}/mine", _NEW_TEXT, _NEW)
        said = self._does(lambda session: session.rename(old, full))
        if not self._has(f"{full}/kept") or not self._has(f"{old}/mine"):
            return f"it renames a folder onto one that is not empty{'' if said else ', and says that it failed'}"
        if said:
            return "it says that it renamed a folder onto another, which it did not"
        return self._clear_rename(old, self._path("folder-free"), "folder")

    def _clear_rename(self, old: str, free: str, kind: str) -> str | None:
        """A rename that nothing speaks against has to be done, and to be called so."""
        said = self._does(lambda session: session.rename(old, free))
        done = self._has(free) and not self._has(old)
        if said and not done:
            return f"it says that it renamed a {kind}, which it did not"
        if done and not said:
            return f"it says that it could not rename a {kind}, which it did"
        return None if said else f"it does not rename a {kind}"

    def _one_winner(self) -> str | None:
        """Two sessions want the same at the same moment; exactly one may get it."""
        with ThreadPoolExecutor(2) as pool:
            for turn in range(_ROUNDS):
                create, home, away = (self._path(f"{word}-{turn}") for word in ("race", "home", "away"))
                self._make(home)
                start = threading.Barrier(2)

                def create_it(start: threading.Barrier = start, path: str = create) -> bool:
                    start.wait()
                    return self._does(lambda session: _put(session, path, b"", How.WRITE | How.CREATE | How.EXCLUSIVE))

                def move_it(start: threading.Barrier = start, home: str = home, away: str = away) -> bool:
                    start.wait()
                    return self._does(lambda session: session.rename(home, away))

                for race, doing in ((create_it, "create one file"), (move_it, "move one folder")):
                    won = sum(pool.map(lambda run: run(), (race, race)))
                    if won != 1:
                        return f"when two sessions {doing} at the same moment, {won} of them are told that they did"
        return None

    def _replacing(self) -> str | None:
        extensions = self._ask(lambda session: session.extensions)
        if POSIX_RENAME not in extensions:
            return f"it does not offer {POSIX_RENAME}, without which no record can be replaced safely"
        path = self._path("record")
        self._put(path, _OLD_TEXT, _NEW)
        ended = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(self._watch, path, ended)
            try:
                for turn in range(_ROUNDS):
                    temporary = self._path(f"record-{turn}")
                    self._put(temporary, _LAST_TEXT if turn == _ROUNDS - 1 else (_NEW_TEXT, _OLD_TEXT)[turn % 2], _NEW)
                    self._replace(temporary, path)
            finally:
                ended.set()
            seen = reader.result()
        if self._get(path) != _LAST_TEXT:
            return f"{POSIX_RENAME} does not replace a file"
        return seen

    def _freshness(self) -> str | None:
        """A second session must list soon what a first has made; it has listed the folder before."""
        path, name = self._path("seen"), "seen"

        def lists(session: Session) -> bool:
            return name in session.listdir(self._folder)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._ask, lists).result()
            self._put(path, b"", _NEW)
            start = time.monotonic()
            while not pool.submit(self._ask, lists).result():
                if time.monotonic() - start > _STALE_SECONDS:
                    return f"after {_STALE_SECONDS:g} s a listing does not show what another session made"
                time.sleep(0.05)
            self._stale_seconds = time.monotonic() - start
        return None

    # -- what is measured ------------------------------------------------------------------------

    def _answer(self) -> float:
        taken = []
        for _ in range(5):
            start = time.monotonic()
            self._ask(lambda session: session.stat(self._folder))
            taken.append(time.monotonic() - start)
        return sorted(taken)[2]

    def _watch(self, path: str, ended: threading.Event) -> str | None:
        """Read a file that is being replaced, all the time; what was wrong with it, if anything."""
        while not ended.is_set():
            try:
                if self._get(path) not in (_OLD_TEXT, _NEW_TEXT, _LAST_TEXT):
                    return f"{POSIX_RENAME} lets a reader see half a file"
            except FileNotFoundError:
                return f"{POSIX_RENAME} lets a file be missing for a moment"
        return None

    # -- steps -----------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _ask(self, request: Callable[[Session], T]) -> T:
        return self._link.once(request, "trying out the server")

    def _does(self, request: Callable[[Session], object]) -> bool:
        """Whether the server says that it did something."""
        try:
            self._ask(request)
        except NoInformation:
            raise
        except OSError:
            return False
        return True

    def _make(self, folder: str) -> None:
        self._ask(lambda session: session.mkdir(folder))

    def _replace(self, temporary: str, path: str) -> None:
        self._ask(lambda session: session.posix_rename(temporary, path))

    def _put(self, path: str, content: bytes, how: How) -> None:
        self._ask(lambda session: _put(session, path, content, how))

    def _get(self, path: str) -> bytes:
        def request(session: Session) -> bytes:
            with session.opened(path, How.READ) as handle:
                return b"".join(session.read_from(handle, 0))

        return self._ask(request)

    def _has(self, path: str) -> bool:
        try:
            self._ask(lambda session: session.lstat(path))
        except FileNotFoundError:
            return False
        return True


def _put(session: Session, path: str, content: bytes, how: How) -> None:
    with session.opened(path, how) as handle:
        session.write(handle, content)
