"""How the files of a task come to the node that renders it, and how what it makes gets back.

On a mounted root both are where they shall be. A root behind a link has a double of its folders in a home of the node's
own: inputs are fetched into a cache by their content and linked into the double of the task's folder, and what was
rendered there is uploaded into the attempt's folder on the root, checked file by file, before it is published.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from render_worker.inputs import InputCache
from render_worker.progress import Report
from render_worker.render import InputMissing
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.files import remove_tree
from shared.store import Claim, Store
from shared.tree.tree import MOST_BYTES, NotThere, Progress

OnReport = Callable[[Report], None]


class Hauling(Protocol):
    """Brings what a task needs, and delivers what was made of it."""

    library: tuple[Path, ...]
    """Folders to which the links of a task may lead."""

    def bring(self, claim: Claim, on_report: OnReport) -> None:
        """Have everything that a task reads on this machine, in the task's folder.

        Raises:
            InputMissing: the root has not got it.
            MachineTrouble: it did not come.
            Stopped: as `on_report` raises it.
        """

    def deliver(self, claim: Claim, on_report: OnReport) -> None:
        """Have the finished attempt complete on the root, so that it can be published.

        Raises:
            MachineTrouble: it did not get there.
            FileNotFoundError: the attempt is not there any more.
            Stopped: as `on_report` raises it.
        """

    def explain(self, claim: Claim) -> None:
        """Have what the tools said of an attempt on the root, for whoever asks why it failed."""

    def let_go(self, claim: Claim) -> None:
        """Nothing of the task is needed here any more."""


class Mounted:
    """A root that is a folder of this machine: everything is in its place."""

    def __init__(self, layout: Layout) -> None:
        self.library: tuple[Path, ...] = (layout.scanned, layout.assets)

    def bring(self, claim: Claim, on_report: OnReport) -> None: ...

    def deliver(self, claim: Claim, on_report: OnReport) -> None: ...

    def explain(self, claim: Claim) -> None: ...

    def let_go(self, claim: Claim) -> None: ...


class Far:
    """A root behind a link."""

    def __init__(self, store: Store, inputs: InputCache, folder: Path) -> None:
        self.library: tuple[Path, ...] = (folder,)
        self._store = store
        self._layout = store.layout
        self._inputs = inputs
        self._held: dict[str, ExitStack] = {}

    def bring(self, claim: Claim, on_report: OnReport) -> None:
        task = self._layout.task(TaskState.PROCESSING, claim.task_id)
        remove_tree(task)  # what a crash left
        claim.folder.mkdir(parents=True)
        self._layout.attempts(TaskState.PROCESSING, claim.task_id).mkdir()  # for what the tools say
        held = self._held[claim.task_id] = ExitStack()
        inputs = held.enter_context(self._inputs.inputs())
        wanted = claim.metadata.inputs
        whole, done = sum(one.size for one in wanted.values()), 0
        for name, one in wanted.items():
            try:
                told = _told("fetching", done, whole, on_report)
                path = inputs.fetch(self._store.tree, self._store.at(task / name), one.sha256, one.size, told)
            except NotThere as error:
                raise InputMissing(f"{name} ({one.path}) is not there: {error}") from error
            (task / name).symlink_to(path)
            done += one.size
            told(0, 0)

    def deliver(self, claim: Claim, on_report: OnReport) -> None:
        files = [path for path in sorted(claim.folder.iterdir()) if path.is_file()]
        whole, done = sum(path.stat().st_size for path in files), 0
        for path in files:
            self._store.tree.upload(path, self._store.at(path), _told("uploading", done, whole, on_report))
            done += path.stat().st_size

    def explain(self, claim: Claim) -> None:
        said = self._layout.attempt_stderr(claim.task_id, claim.attempt)
        with suppress(FileNotFoundError), said.open("rb") as stream:
            content = stream.read(MOST_BYTES)
            self._store.tree.replace(self._store.at(said), content, by=self._store.at(self._layout.drafts))

    def let_go(self, claim: Claim) -> None:
        if held := self._held.pop(claim.task_id, None):
            held.close()
        remove_tree(self._layout.task(TaskState.PROCESSING, claim.task_id))


def _told(phase: str, before: int, whole: int, on_report: OnReport) -> Progress:
    """Progress of one file as that of all; whoever hears of it may end it by raising."""

    def tell(done: int, _: int) -> None:
        on_report(Report(phase, 100 * (before + done) / max(1, whole), 0.0, 0.0, None))

    return tell
