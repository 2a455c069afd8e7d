"""Takes ready drops through examination, several at a time, and files or rejects them, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from main_worker.examination import Content, Examined, Examiner
from main_worker.filing import DropChanged, Filing, check_unchanged
from main_worker.intake import Ready
from main_worker.quarantine import reject
from shared.domain.drop import Drop, Misplaced
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.files import as_machine_trouble
from shared.log import Logger

_TROUBLE_SECONDS = 10.0  # a full disk or a lost mount does not mend itself faster than this


@dataclass(frozen=True)
class _Job:
    ready: Ready
    drop: Drop
    future: Future[Examined]


class Ingest:
    """The drops of one root that are being worked on."""

    def __init__(
        self,
        layout: Layout,
        filing: Filing,
        examiner: Examiner,
        workers: int,
        log: Logger,
        done: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._filing = filing
        self._examiner = examiner
        self._log = log
        self._done = done
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="examine")
        self._jobs: dict[PurePosixPath, _Job] = {}
        self._resting: dict[PurePosixPath, float] = {}
        self.trouble: str | None = None

    def close(self) -> None:
        """Wait for the examinations under way; they end soon once the examiner is told to stop."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def checking(self) -> tuple[PurePosixPath, ...]:
        return tuple(self._jobs)

    def resting(self, now: float) -> tuple[PurePosixPath, ...]:
        """Drops that wait out the machine's trouble."""
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        if not self._resting and self.trouble:
            self.trouble = None
        return tuple(self._resting)

    def take(self, ready: Ready, now: float) -> None:
        """Begin work on a ready drop, unless it is in work or waiting out trouble."""
        if ready.relative in self._jobs or self._resting.get(ready.relative, now) > now:
            return
        if isinstance(ready.drop, Misplaced):
            self._guarded(ready, now, lambda: self._reject(ready, ready.drop.rejection))  # type: ignore[union-attr]
            return
        drop = ready.drop

        def known(content: Content) -> None:
            self._filing.refuse_duplicate(ready, drop, content)

        future = self._pool.submit(self._examiner.examine, ready, drop, known)
        future.add_done_callback(lambda _: self._done())
        self._jobs[ready.relative] = _Job(ready, drop, future)

    def finish(self, now: float) -> None:
        """File or reject every drop whose examination has ended."""
        for name, job in list(self._jobs.items()):
            if job.future.done():
                del self._jobs[name]
                self._guarded(job.ready, now, lambda job=job: self._conclude(job))  # type: ignore[misc]

    def _conclude(self, job: _Job) -> None:
        try:
            paths = self._filing.file(job.ready, job.drop, job.future.result())
        except DropRefused as refused:
            self._reject(job.ready, refused.rejection)
            return
        came = readable(str(self._layout.relative(job.ready.path)))
        for path in paths:
            self._log.info(
                f"Moved file {came} → {self._layout.relative(path)}",
                name="file_scanned",
                kind=job.drop.kind.value,
                evidence=job.ready.evidence,
            )

    def _reject(self, ready: Ready, rejection: Rejection) -> None:
        came = readable(str(self._layout.relative(ready.path)))
        check_unchanged(ready)  # the verdict is about these bytes and no others
        path = reject(self._layout, ready, rejection)
        self._log.warning(
            f"Rejected {came} → {self._layout.relative(path)}: {rejection.sentence} {rejection.advice}",
            name="file_rejected",
            code=rejection.code,
        )

    def _guarded(self, ready: Ready, now: float, work: Callable[[], None]) -> None:
        """Do a step that may meet the machine's trouble: then the drop stays where it is and is tried again."""
        try:
            work()
        except Stopped:
            pass
        except DropChanged as changed:
            self._log.info(str(changed), name="file_changed")
        except (MachineTrouble, OSError) as error:
            if _is_gone(ready.path):
                self._log.info(f"{readable(str(ready.relative))} was taken out of raw/ again", name="file_changed")
                return
            trouble = as_machine_trouble(error, "cannot take it in") if isinstance(error, OSError) else error
            self._resting[ready.relative] = now + _TROUBLE_SECONDS
            if self.trouble != str(trouble):
                self.trouble = str(trouble)
                self._log.error(
                    f"{readable(str(ready.relative))} stays in raw/ and is tried again: {trouble}",
                    name="ingest_trouble",
                )


def _is_gone(path: Path) -> bool:
    """Whether a drop is certainly not there any more; any other failure to look is the machine's trouble."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
