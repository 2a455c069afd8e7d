"""Takes ready drops through examination, several at a time, and files or rejects them, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from main_worker.examination import Content, Examined, Examiner
from main_worker.filing import Filing
from main_worker.quarantine import reject
from main_worker.ready import DropChanged, Ready
from shared.domain.drop import Drop, Kind, Misplaced
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped, ToolError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.files import as_machine_trouble
from shared.log import Logger

_TROUBLE_SECONDS = 5.0  # a full disk or a lost mount does not mend itself faster than this
_MOST_TROUBLE_SECONDS = 60.0
_HOPELESS_TRIES = 3


@dataclass(frozen=True)
class _Job:
    ready: Ready
    drop: Drop
    future: Future[Examined]


@dataclass(frozen=True)
class _Trouble:
    """Why a drop was put off, how often, and until when (monotonic seconds)."""

    why: str
    tries: int
    until: float


class Ingest:
    """The drops of one root that are being worked on."""

    def __init__(
        self, layout: Layout, filing: Filing, examiner: Examiner, workers: int, log: Logger, done: Callable[[], None]
    ) -> None:
        self._layout = layout
        self._filing = filing
        self._examiner = examiner
        self._log = log
        self._done = done
        self._checking = ThreadPoolExecutor(workers, thread_name_prefix="check")
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="fetch")  # slow servers must not hold up media
        self._jobs: dict[PurePosixPath, _Job] = {}
        self._troubles: dict[PurePosixPath, _Trouble] = {}

    def close(self) -> None:
        """Wait for the examinations under way; they end soon once the examiner is told to stop."""
        for pool in (self._checking, self._fetching):
            pool.shutdown(cancel_futures=True)

    @property
    def checking(self) -> tuple[PurePosixPath, ...]:
        return tuple(self._jobs)

    @property
    def trouble(self) -> str | None:
        """What keeps drops in raw/ through no fault of theirs, as last seen."""
        return next((trouble.why for trouble in reversed(self._troubles.values())), None)

    def put_off(self) -> dict[PurePosixPath, str]:
        """Drops that are tried again later, each with the reason."""
        return {name: trouble.why for name, trouble in self._troubles.items()}

    def is_hopeless(self) -> bool:
        """Whether every drop that was put off has failed several times, so that waiting for it here is no use."""
        return all(trouble.tries >= _HOPELESS_TRIES for trouble in self._troubles.values())

    def take(self, ready: Ready, now: float) -> None:
        """Begin work on a ready drop, unless it is in work or was put off."""
        if ready.relative in self._jobs:
            return
        trouble = self._troubles.get(ready.relative)
        if trouble and now < trouble.until:
            return
        if isinstance(ready.drop, Misplaced):
            rejection = ready.drop.rejection
            self._guarded(ready, now, lambda: self._reject(ready, rejection))
            return
        drop = ready.drop

        def known(content: Content) -> None:
            self._filing.refuse_duplicate(ready, drop, content)

        pool = self._fetching if drop.kind is Kind.LINK else self._checking
        future = pool.submit(self._examiner.examine, ready, drop, known)
        future.add_done_callback(lambda _: self._done())
        self._jobs[ready.relative] = _Job(ready, drop, future)

    def forget_all_but(self, present: Collection[PurePosixPath]) -> None:
        """Drop the troubles of drops that are not in raw/ any more."""
        self._troubles = {name: trouble for name, trouble in self._troubles.items() if name in present}

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
        ready.check_unchanged()  # the verdict is about these bytes and no others
        path = reject(self._layout, ready, rejection)
        self._log.warning(
            f"Rejected {came} → {self._layout.relative(path)}: {rejection.sentence} {rejection.advice}",
            name="file_rejected",
            code=rejection.code,
        )

    def _guarded(self, ready: Ready, now: float, work: Callable[[], None]) -> None:
        """Do a step that may go wrong through no fault of the drop: then it stays in raw/ and is tried again."""
        try:
            work()
        except Stopped:
            return
        except DropChanged as changed:
            self._log.info(readable(str(changed)), name="file_changed")
        except (MachineTrouble, ToolError, OSError) as error:
            if _is_gone(ready.path):
                self._log.warning(
                    f"{readable(str(ready.relative))} is not in raw/ any more: {error}", name="file_changed"
                )
                return
            trouble = as_machine_trouble(error, "cannot take it in") if isinstance(error, OSError) else error
            self._put_off(ready, now, str(trouble))
        except Exception:  # noqa: BLE001
            # One drop must not stop all others, whatever it made us stumble over.
            self._log.exception(f"Stumbled over {readable(str(ready.relative))}", name="fault")
            self._put_off(ready, now, "the program stumbled over it; the log has the details, please report them")
        else:
            self._troubles.pop(ready.relative, None)

    def _put_off(self, ready: Ready, now: float, why: str) -> None:
        before = self._troubles.get(ready.relative)
        tries = before.tries + 1 if before else 1
        wait = min(_TROUBLE_SECONDS * 2 ** (tries - 1), _MOST_TROUBLE_SECONDS)
        self._troubles[ready.relative] = _Trouble(why, tries, now + wait)
        if before is None or before.why != why:
            self._log.error(
                f"{readable(str(ready.relative))} stays in raw/ and is tried again: {why}", name="ingest_trouble"
            )


def _is_gone(path: Path) -> bool:
    """Whether a drop is certainly not there any more; any other failure to look is the machine's trouble."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
