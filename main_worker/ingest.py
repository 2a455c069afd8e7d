"""Takes ready drops through examination, several at a time, and files or rejects them, one at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from main_worker.arrival.ready import DropChanged, Ready
from main_worker.arrival.unfinished import HEAD_BYTES, looks_unfinished
from main_worker.checks.examination import Content, Examined, Examiner
from main_worker.shelves.carrying import bring, bring_made
from main_worker.shelves.filing import Filing
from main_worker.shelves.quarantine import reject
from main_worker.troubles import HOPELESS_TRIES, LONG_REST_SECONDS, REST_SECONDS, Trouble, Troubles
from main_worker.turns import Lane, lane_of, next_lane
from shared.config import Config
from shared.domain.drop import Drop, Misplaced
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped, ToolError, ToolInDoubt
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.files import as_machine_trouble, is_folder, is_there
from shared.log import Logger
from shared.mountpoints import mount_of


@dataclass(frozen=True)
class _Verdict:
    """What an examination came to.

    Attributes:
        copy: the drop's copy, where one rename of the drop itself will not bring it to its place.
        may_grow: it was refused for what the rest of an unfinished copy would mend.
    """

    found: Examined | Rejection
    copy: Path | None = None
    may_grow: bool = False

    @property
    def staged(self) -> list[Path]:
        """What was made on the way; it may have been put in its place by now."""
        made = self.found.made if isinstance(self.found, Examined) else None
        return [path for path in (self.copy, made[0] if made else None) if path is not None]

    @property
    def takes_room(self) -> bool:
        return any(map(is_there, self.staged))

    def discard(self) -> None:
        """Remove what was made on the way."""
        for path in self.staged:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Job:
    """One examination, and when it was begun (monotonic seconds)."""

    ready: Ready
    future: Future[_Verdict]
    begun: float

    def is_stale(self, pause: Trouble | None) -> bool:
        """Whether it failed for a trouble of everybody's, as of before the pause that is over now."""
        if pause is None or self.begun >= pause.until:
            return False
        error = self.future.exception()
        return isinstance(error, (MachineTrouble, OSError)) and _trouble_of(error).everywhere


@dataclass(frozen=True)
class _Held:
    """A refusal that waits, because the drop may be a copy that has stalled."""

    ready: Ready
    rejection: Rejection
    until: float


@dataclass(frozen=True)
class _Kept:
    """An examination that is done, of a drop that met trouble at its last step."""

    ready: Ready
    verdict: _Verdict

    def is_of(self, ready: Ready) -> bool:
        """Whether it holds for a drop that has proved to be complete once more."""
        return self.ready.identity == ready.identity and ready.sha256 in (None, self.ready.sha256)


class Ingest:
    """The drops of one root that are being worked on. Its methods are called by one thread.

    `most` examinations are under way, or ended and not concluded yet, at any time.
    """

    def __init__(
        self,
        config: Config,
        layout: Layout,
        filing: Filing,
        examiner: Examiner,
        executor: Executor,
        most: int,
        log: Logger,
        done: Callable[[], None],
    ) -> None:
        self._config = config
        self._layout = layout
        self._filing = filing
        self._examiner = examiner
        self._executor = executor
        self._most = most
        self._log = log
        self._done = done
        self._queue: dict[Lane, dict[PurePosixPath, Ready]] = {}
        self._turns = list(Lane)  # the one that was served longest ago first
        self._jobs: dict[PurePosixPath, _Job] = {}
        self._held: dict[PurePosixPath, _Held] = {}
        self._kept: dict[PurePosixPath, _Kept] = {}
        self.again: set[PurePosixPath] = set()
        """Drops that were in work and have to be looked at again, since they changed or the machine was in the way."""
        self.troubles = Troubles()
        self.version = 0
        """Grows, from one offer to the next, with every change of what is arriving: there may be a hundred thousand."""

    @property
    def is_working(self) -> bool:
        return bool(self._jobs or self._queue)

    def close(self) -> None:
        """Wait for the examinations under way; they end soon once the examiner is told to stop."""
        self._executor.shutdown(cancel_futures=True)

    @property
    def arriving(self) -> tuple[PurePosixPath, ...]:
        """Drops that are on their way into the library, as far as anybody knows yet."""
        return (*self._jobs, *(name for queue in self._queue.values() for name in queue))

    def states(self, now: float) -> dict[PurePosixPath, str]:
        """Every drop that has proved to be complete and is still in ``raw/``, with what is being done about it."""
        states = dict.fromkeys(self._jobs, "checking")
        states |= {name: f"put off: {why}" for name, why in self.troubles.drops.items()}
        for name, held in self._held.items():
            left = max(0.0, held.until - now)
            states[name] = f"looks unfinished; refused in {left:.0f} s if it stays so: {held.rejection.sentence}"
        states |= dict.fromkeys(self.again - states.keys(), "to be looked at again")
        for queue in self._queue.values():
            states |= {name: states.get(name, "queued") for name in queue}
        return states

    def offer(self, ready: Iterable[Ready], now: float) -> float | None:
        """Take note of every drop that is complete as of now; returns when one that is held is due (monotonic)."""
        self._queue = {}
        self.again.clear()
        found = {drop.relative: drop for drop in ready}
        self._held = {name: held for name, held in self._held.items() if _is_same(held.ready, found.get(name))}
        # What met trouble comes after what did not: one drop too large for the disk must not hold up all that fit.
        for name, drop in sorted(found.items(), key=lambda item: (self.troubles.tries(item[0]), item[1].first_seen)):
            held = self._held.get(name)
            if name in self._jobs or self.troubles.rests(name, now) or (held and now < held.until):
                continue
            self._queue.setdefault(Lane.TRIFLES if held else lane_of(drop.drop), {})[name] = drop
        return min((held.until for held in self._held.values() if held.until > now), default=None)

    def forget_all_but(self, present: Collection[PurePosixPath]) -> None:
        """Drop the troubles of drops that are not in raw/ any more."""
        self.troubles.forget_all_but(present)
        for name in self._kept.keys() - set(present):
            self._discard(self._kept.pop(name).verdict)

    def turn(self, now: float) -> None:
        """Begin what may begin, then file or reject every drop whose examination has ended."""
        pause = self.troubles.pause
        if pause and now < pause.until:
            return
        most = 1 if pause else self._most
        self._begin(most, now)
        for name, job in list(self._jobs.items()):
            if not job.future.done():
                continue
            del self._jobs[name]
            self.version += 1
            if job.is_stale(pause):
                self.again.add(name)  # how things stand now, one fresh examination tells
                continue
            self._conclude(job, now)
            if self.troubles.pause and now < self.troubles.pause.until:
                return
            self._begin(most, now)  # no examiner waits while others' drops are filed
        if not (self.is_working or self.troubles.holds_back):
            self._resume()  # nothing is left that it could hold up

    # -- beginning -------------------------------------------------------------------------------

    def _begin(self, most: int, now: float) -> None:
        while len(self._jobs) < most:
            running = [self._lane(job) for job in self._jobs.values() if not job.future.done()]
            waiting = (lane for lane in self._turns if self._queue.get(lane))
            lane = next_lane(waiting, running, self._config.ingest.workers)
            if lane is None:
                return
            self._turns.remove(lane)
            self._turns.append(lane)
            name = next(iter(self._queue[lane]))
            self._start(self._queue[lane].pop(name), now)
            if not self._queue[lane]:
                del self._queue[lane]

    def _lane(self, job: _Job) -> Lane:
        return Lane.TRIFLES if job.ready.relative in self._held else lane_of(job.ready.drop)

    def _start(self, ready: Ready, now: float) -> None:
        kept = self._kept.pop(ready.relative, None)
        future: Future[_Verdict] = Future()
        if kept and kept.is_of(ready):
            future.set_result(kept.verdict)
        else:
            if kept:
                self._discard(kept.verdict)
            patient = not ready.certain and now < self._patience_ends(ready)
            future = self._executor.submit(self._examine, ready, self._held.get(ready.relative), patient)
        self._jobs[ready.relative] = _Job(ready, future, now)
        future.add_done_callback(lambda _: self._done())

    def _patience_ends(self, ready: Ready) -> float:
        return ready.unchanged_since + self._config.ingest.unfinished_seconds

    def _examine(self, ready: Ready, held: _Held | None, patient: bool) -> _Verdict:
        """What is done beside the main thread: everything that takes long.

        Args:
            patient: whether it is not refused yet for what the rest of an unfinished copy would mend.
        """
        drop = ready.drop
        _check_folder(ready.path.parent)
        if held:
            return self._refused(ready, held.rejection)
        if isinstance(drop, Misplaced):
            return self._refused(ready, drop.rejection)

        def known(content: Content) -> None:
            self._filing.refuse_duplicate(ready, drop, content)

        try:
            examined = self._examiner.examine(ready, drop, known)
        except DropRefused as refused:
            if patient and self._may_grow(ready, drop, refused.rejection):
                return _Verdict(refused.rejection, may_grow=True)
            return self._refused(ready, refused.rejection)
        shelf = self._filing.folder(drop, examined)
        if examined.made:
            return _Verdict(self._brought(examined, *examined.made, shelf))
        return _Verdict(examined, self._bring(ready, shelf, examined.dropped.sha256))

    def _may_grow(self, ready: Ready, drop: Drop, rejection: Rejection) -> bool:
        with ready.open() as stream:
            return looks_unfinished(drop.kind, rejection.code, stream.read(HEAD_BYTES))

    def _refused(self, ready: Ready, rejection: Rejection) -> _Verdict:
        is_file = stat.S_ISREG(ready.path.lstat().st_mode)
        return _Verdict(rejection, self._bring(ready, self._layout.invalid, None) if is_file else None)

    def _bring(self, ready: Ready, shelf: Path, sha256: str | None) -> Path | None:
        group, stopping = self._config.files.group, self._examiner.cage.stopping
        return bring(ready, self._layout.staging, self._landing(shelf), group, sha256, stopping)

    def _brought(self, examined: Examined, staged: Path, made: Content, shelf: Path) -> Examined:
        near = bring_made(staged, self._landing(shelf), self._examiner.cage.stopping)
        return replace(examined, made=(near, made))

    def _landing(self, shelf: Path) -> Path:
        """The topmost folder of a shelf's filesystem: unlike a category, nobody deletes it while a copy lies there."""
        folders = (shelf, *shelf.parents)
        nearest = next(filter(is_folder, folders))
        mount = mount_of(nearest)
        top = self._layout.scanned if self._layout.scanned in folders else shelf
        within = folders[: folders.index(top) + 1]
        same = (folder for folder in reversed(within) if is_folder(folder) and mount_of(folder) == mount)
        return next(same, nearest)

    # -- concluding ------------------------------------------------------------------------------

    def _conclude(self, job: _Job, now: float) -> None:
        """Settle what becomes of a drop; the machine's own trouble leaves it in raw/, to be tried again."""
        ready, verdict = job.ready, None
        try:
            verdict = job.future.result()
            if self._hold(ready, verdict, now):
                return
            self._settle(ready, verdict)
        except Stopped:
            return
        except DropChanged as changed:
            self.again.add(ready.relative)
            self._log.info(readable(str(changed)), name="file_changed")
        except (MachineTrouble, ToolError, OSError) as error:
            pauses = self._meet(ready, error, now, is_examined=verdict is not None)
            if verdict and self._keep(job, verdict, pauses=pauses):
                return
        except Exception:  # noqa: BLE001
            # One drop must not stop all others, whatever it made us stumble over.
            self._log.exception(f"Stumbled over {readable(str(ready.relative))}", name="fault")
            self._put_off(ready, now, "the program stumbled over it; the log has the details, please report them")
        else:
            self._held.pop(ready.relative, None)
            self.troubles.clear(ready.relative)
            self._resume()
        if verdict:
            self._discard(verdict)

    def _keep(self, job: _Job, verdict: _Verdict, *, pauses: bool) -> bool:
        """Keep an examination that is done, so that only its end is tried again; False where there is no room."""
        name = job.ready.relative
        if pauses:
            self._jobs[name] = job
        elif verdict.takes_room and len(self._kept) >= self._most:
            return False
        else:
            self._kept[name] = _Kept(job.ready, verdict)
        return True

    def _discard(self, verdict: _Verdict) -> None:
        try:
            verdict.discard()
        except OSError as error:  # it is nobody's but ours, and the next start clears the folder
            self._log.warning(str(as_machine_trouble(error, "cannot remove a copy")), name="leftover")

    def _hold(self, ready: Ready, verdict: _Verdict, now: float) -> bool:
        if not (verdict.may_grow and isinstance(verdict.found, Rejection)):
            return False
        until = self._patience_ends(ready)
        self._held[ready.relative] = _Held(ready, verdict.found, until)
        self._log.info(
            f"{readable(str(ready.relative))} looks unfinished and is refused in {max(0.0, until - now):.0f} s "
            f"unless it changes: {verdict.found.sentence}",
            name="file_unfinished",
            code=verdict.found.code,
        )
        return True

    def _settle(self, ready: Ready, verdict: _Verdict) -> None:
        if isinstance(verdict.found, Rejection):
            self._reject(ready, verdict.found, verdict.copy)
            return
        assert isinstance(ready.drop, Drop)  # noqa: S101 - for the type checker: only drops are examined
        try:
            paths = self._filing.file(ready, ready.drop, verdict.found, verdict.copy)
        except DropRefused as refused:
            self._reject(ready, refused.rejection, verdict.copy)
            return
        came = readable(str(self._layout.relative(ready.path)))
        for path in paths:
            self._log.info(
                f"Moved file {came} → {self._layout.relative(path)}",
                name="file_scanned",
                kind=ready.drop.kind.value,
                evidence=ready.evidence,
            )

    def _reject(self, ready: Ready, rejection: Rejection, copy: Path | None) -> None:
        came = readable(str(self._layout.relative(ready.path)))
        ready.check_unchanged()  # the verdict is about these bytes and no others
        path = reject(self._layout, ready, rejection, copy)
        self._log.warning(
            f"Rejected {came} → {self._layout.relative(path)}: {rejection.sentence} {rejection.advice}",
            name="file_rejected",
            code=rejection.code,
        )

    # -- troubles --------------------------------------------------------------------------------

    def _meet(
        self, ready: Ready, error: MachineTrouble | ToolError | OSError, now: float, *, is_examined: bool
    ) -> bool:
        """Take note of the machine's trouble; whether it is one that pauses everything."""
        if _is_gone(ready.path):
            self._log.warning(f"{readable(str(ready.relative))} is not in raw/ any more: {error}", name="file_changed")
            return False
        trouble = error if isinstance(error, ToolError) else _trouble_of(error)
        if not (isinstance(trouble, MachineTrouble) and trouble.everywhere):
            self._put_off(ready, now, str(trouble), LONG_REST_SECONDS if is_examined else REST_SECONDS)
            if isinstance(trouble, ToolInDoubt) and self.troubles.tries(ready.relative) >= HOPELESS_TRIES:
                self._held[ready.relative] = _Held(ready, _no_fault_of_the_disk(trouble), now)
            return False
        self.again.add(ready.relative)
        self.troubles.put_off(ready.relative, str(trouble), now)  # others go first when it is over
        if self.troubles.stop_all(str(trouble), now):
            self._log.error(f"Ingest is paused and goes on by itself: {trouble}", name="ingest_paused")
        return True

    def _put_off(self, ready: Ready, now: float, why: str, longest: float = REST_SECONDS) -> None:
        if self.troubles.put_off(ready.relative, why, now, longest):
            self._log.error(
                f"{readable(str(ready.relative))} stays in raw/ and is tried again: {why}", name="ingest_trouble"
            )

    def _resume(self) -> None:
        if self.troubles.resume():
            self._log.info("Ingest goes on", name="ingest_resumed")


def _trouble_of(error: MachineTrouble | OSError) -> MachineTrouble:
    return error if isinstance(error, MachineTrouble) else as_machine_trouble(error, "cannot take it in")


def _no_fault_of_the_disk(trouble: ToolInDoubt) -> Rejection:
    sentence = f"It makes ffmpeg fail each time, though every byte of it can be read: {trouble}."
    return Rejection("unreadable", sentence, "Export it again.", {"tries": HOPELESS_TRIES})


def _check_folder(folder: Path) -> None:
    """Raise MachineTrouble where nothing can be taken out of a folder: then every examination would be in vain."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MachineTrouble(
            f"nothing can be taken out of {folder}, which belongs to user {folder.stat().st_uid} and does not let this "
            f"worker write; its owner can allow it with chmod g+rwx, see docs/sharing.md"
        )


def _is_same(held: Ready, now: Ready | None) -> bool:
    return now is not None and (held.identity, held.sha256, held.certain) == (now.identity, now.sha256, now.certain)


def _is_gone(path: Path) -> bool:
    """Whether a drop is certainly not there any more; any other failure to look is the machine's trouble."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
