"""How the files of a task come to the node that renders it, and how what it makes gets back.

On a mounted root both are where they shall be. A root behind a link has a double of its folders in a home of the node's
own: inputs are fetched into a cache by their content and linked into the double of the task's folder, and what was
rendered there is uploaded into the attempt's folder on the root, checked file by file, before it is published. What
does not get there is kept, and delivered when the task is claimed again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from render_worker.inputs import InputCache
from render_worker.kept import Kept
from render_worker.render import InputMissing
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout, parse_attempt_dir
from shared.domain.task import TaskState
from shared.files import remove_tree
from shared.records.render import RenderRecord
from shared.store import Claim, Store
from shared.tree.tree import MOST_BYTES, NotThere

Told = Callable[[int, int], None]
"""Called with the bytes of a task that have been carried and those there are in all; it may raise, to end that."""


class Undelivered(ReelmillError):
    """A video is made, and cannot be carried to the root; it is kept where it is."""


class Hauling(Protocol):
    """Brings what a task needs, and delivers what was made of it."""

    library: tuple[Path, ...]
    """Folders to which the links of a task may lead."""

    is_far: bool
    """Whether it takes time, so that it is worth to bring a task's files before its turn."""

    @property
    def kept(self) -> frozenset[str]:
        """The tasks whose video is made and was not delivered."""

    def bring(self, claim: Claim, told: Told) -> int:
        """Have everything that a task reads on this machine, in the task's folder; returns the bytes that came for it.

        Raises:
            InputMissing: the root has not got it.
            MachineTrouble: it did not come.
            Stopped: as `told` raises it.
        """

    def deliver(self, claim: Claim, told: Told) -> int:
        """Have the finished attempt complete on the root, so that it can be published; what is there is gone on with.

        Returns the bytes it has.

        Raises:
            MachineTrouble: it did not get there.
            FileNotFoundError: the attempt is not there any more.
            Stopped: as `told` raises it.
        """

    def keep(self, claim: Claim) -> None:
        """Keep the finished attempt on this machine, for another claim of the same task."""

    def restore(self, claim: Claim) -> RenderRecord | None:
        """Make what was kept of a task the result of this attempt; None where there is none, or it is damaged."""

    def tidy(self) -> None:
        """Drop what was kept and nobody will ask for any more."""

    def explain(self, claim: Claim) -> None:
        """Have what the tools said of an attempt on the root, for whoever asks why it failed."""

    def let_go(self, claim: Claim) -> None:
        """Nothing of the task is needed here any more."""


class Mounted:
    """A root that is a folder of this machine: everything is in its place."""

    is_far = False
    kept: frozenset[str] = frozenset()

    def __init__(self, layout: Layout) -> None:
        self.library: tuple[Path, ...] = (layout.scanned, layout.assets)

    def bring(self, claim: Claim, told: Told) -> int:  # noqa: ARG002
        return 0

    def deliver(self, claim: Claim, told: Told) -> int:  # noqa: ARG002
        return 0

    def keep(self, claim: Claim) -> None: ...

    def restore(self, claim: Claim) -> None: ...

    def tidy(self) -> None: ...

    def explain(self, claim: Claim) -> None: ...

    def let_go(self, claim: Claim) -> None: ...


class Far:
    """A root behind a link."""

    is_far = True

    def __init__(self, store: Store, inputs: InputCache, folder: Path, kept: Kept) -> None:
        self.library: tuple[Path, ...] = (folder,)
        self._store = store
        self._layout = store.layout
        self._inputs = inputs
        self._kept = kept
        self._held: dict[str, ExitStack] = {}

    @property
    def kept(self) -> frozenset[str]:
        return self._kept.ids

    def adopt(self) -> None:
        """Keep what killed workers of this home had finished, and clear away the rest of what they left."""
        for task in list(self._layout.state(TaskState.PROCESSING).iterdir()):
            with suppress(FileNotFoundError, NotADirectoryError, BlockingIOError), _held(task):
                for attempt in list(task.iterdir()):
                    if parse_attempt_dir(attempt.name):
                        self._kept.keep(task.name, attempt)
                remove_tree(task)

    def tidy(self) -> None:
        """Drop what was kept of tasks that are finished or gone."""
        self._kept.tidy(self._store.find)

    def bring(self, claim: Claim, told: Told) -> int:
        task = self._layout.task(TaskState.PROCESSING, claim.task_id)
        self._begin(claim)
        inputs = self._held[claim.token].enter_context(self._inputs.inputs())
        wanted = claim.metadata.inputs
        whole, done, came = sum(one.size for one in wanted.values()), 0, 0
        for name, one in wanted.items():
            so_far = _SoFar(done, whole, told)
            try:
                path = inputs.fetch(self._store.tree, self._store.at(task / name), one.sha256, one.size, so_far)
            except NotThere as error:
                raise InputMissing(f"{name} ({one.path}) is not there: {error}") from error
            (task / name).symlink_to(path)
            done += one.size
            came += so_far.done
            told(done, whole)
        return came

    def deliver(self, claim: Claim, told: Told) -> int:
        files = [path for path in sorted(claim.folder.iterdir()) if path.is_file()]
        whole, done = sum(path.stat().st_size for path in files), 0
        told(0, whole)
        for path in files:
            # Publishing settles the folder: a name at a time would cost as many answers more.
            self._store.tree.upload(path, self._store.at(path), _SoFar(done, whole, told), durable=False)
            done += path.stat().st_size
        return whole

    def keep(self, claim: Claim) -> None:
        self._kept.keep(claim.task_id, claim.folder)

    def restore(self, claim: Claim) -> RenderRecord | None:
        if claim.task_id not in self._kept.ids:
            return None
        self._begin(claim)
        return self._kept.restore(claim)

    def explain(self, claim: Claim) -> None:
        said = self._layout.attempt_stderr(claim.task_id, claim.attempt)
        with suppress(FileNotFoundError), said.open("rb") as stream:
            content = stream.read(MOST_BYTES)
            self._store.tree.replace(self._store.at(said), content, by=self._store.at(self._layout.drafts))

    def let_go(self, claim: Claim) -> None:
        if held := self._held.pop(claim.token, None):
            held.close()
        if claim.folder.parent.exists():
            remove_tree(claim.folder.parent)

    def _begin(self, claim: Claim) -> None:
        """Make the double of the task's folder."""
        remove_tree(claim.folder.parent)  # what a crash left
        claim.folder.mkdir(parents=True)
        self._layout.attempts(TaskState.PROCESSING, claim.task_id).mkdir()  # for what the tools say
        held = self._held[claim.token] = ExitStack()
        held.enter_context(_held(claim.folder.parent))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process, as long as it lives.

    Raises:
        BlockingIOError: another process does.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class _SoFar:
    """Progress of one file as that of all."""

    def __init__(self, before: int, whole: int, told: Told) -> None:
        self._before = before
        self._whole = whole
        self._told = told
        self.done = 0

    def __call__(self, done: int, _: int) -> None:
        self.done = done
        self._told(self._before + done, self._whole)
