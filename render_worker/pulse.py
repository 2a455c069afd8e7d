"""The worker's pulse: a thread that keeps the lock file beating, watches the hold, and says what the node does."""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from render_worker.lanes.board import Board
from render_worker.pace import Pace
from render_worker.ways import Ways
from shared.records.node import NodeRecord
from shared.records.record import utc_now
from shared.store import Claim, Store
from shared.tree.tree import NoInformation
from shared.version import PROGRAM

_SECONDS = 1.0  # the contract: a holder checks its hold every second


@dataclass
class _Hold:
    """A held task: since when (monotonic seconds) no sign of life has got through, and whether it is lost."""

    claim: Claim
    shown_at: float
    is_lost: bool = False
    mutex: threading.Lock = field(default_factory=threading.Lock)


class Pulse:
    """Beats from :meth:`start` to :meth:`stop` for every task that is held; :meth:`lost` says which is ours no more.

    `tell` gets in words, every second, what the node's record says.
    """

    def __init__(
        self,
        store: Store,
        node: str,
        heartbeat_seconds: float,
        ways: Ways,
        pace: Pace,
        board: Board,
        ffmpeg: str,
        tell: Callable[[str], None],
        patience: float = 0.0,
    ) -> None:
        """`patience`: seconds for which a heartbeat may fail for want of an answer before the hold counts as lost."""
        self._store = store
        self._node = node
        self._heartbeat = heartbeat_seconds
        self._patience = patience
        self._ways = ways
        self._tell = tell
        self._pace = pace
        self._board = board
        self._ffmpeg = ffmpeg
        self._ended = threading.Event()
        self._held: dict[str, _Hold] = {}
        self._counter = 0
        self._thread = threading.Thread(target=self._beat_on, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and remove the node's record: a node that left is not a dead node."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # others see that it is gone as well
            self._store.tree.remove(self._store.at(self._store.layout.node_record(self._node)))

    def hold(self, claim: Claim) -> None:
        """Keep this claim alive from now on."""
        self._held[claim.token] = _Hold(claim, time.monotonic())

    def let_go(self, claim: Claim) -> None:
        """Stop beating for the claim, once it is published, failed or given back; a second call does nothing."""
        if hold := self._held.pop(claim.token, None):
            with hold.mutex:  # a beat that is on its way has ended
                pass

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that are held."""
        return frozenset(hold.claim.task_id for hold in tuple(self._held.values()))

    def lost(self, claim: Claim) -> bool:
        """Whether a held task was taken away, or its heartbeat could not be written; no task that is not held is."""
        hold = self._held.get(claim.token)
        return hold is not None and hold.is_lost

    def _beat_on(self) -> None:
        last_beat = time.monotonic()
        while not self._ended.wait(min(_SECONDS, self._heartbeat)):
            now = time.monotonic()
            beat_due = now - last_beat >= self._heartbeat
            last_beat = now if beat_due else last_beat
            has_link = True
            for hold in tuple(self._held.values()):
                has_link = self._check(hold, beat_due, has_link=has_link)
            with suppress(OSError):  # a record nobody can write is no reason to stop a render
                self._write_record()

    def _check(self, hold: _Hold, beat_due: bool, *, has_link: bool) -> bool:
        """Whether there was an answer; where there is no link, nobody waits for it once more for the next hold."""
        with hold.mutex:
            if hold.claim.token not in self._held or hold.is_lost:
                return has_link
            try:
                if has_link and not self._store.holds(hold.claim):
                    hold.is_lost = True
                elif has_link and beat_due:
                    hold.claim.sign.beat()
                    hold.shown_at = time.monotonic()
                is_known = has_link
            except NoInformation as error:
                is_known = False
                has_link = not error.everywhere  # else it is one file that cannot be read
            except OSError:
                hold.is_lost = is_known = True
            # A link that is down for a moment: nobody has taken anything from us yet.
            if not is_known and time.monotonic() - hold.shown_at >= self._patience:
                hold.is_lost = True
            return has_link

    def _write_record(self) -> None:
        doing, transfers = self._board.look()
        report = doing.report
        self._counter += 1
        record = NodeRecord(
            node=self._node,
            host=platform.node(),
            pid=os.getpid(),
            program=PROGRAM,
            ffmpeg=self._ffmpeg,
            state=doing.state.value,
            why=doing.why,
            profiles=self._ways.profiles,
            measured_fps=self._ways.measured,
            pace=self._pace.speed,
            clips=self._pace.clips,
            counter=self._counter,
            encoder=self._ways.usual.encoder,
            decoder=self._ways.usual.decoder,
            stepped_down=doing.stepped_down,
            task_id=doing.task_id,
            label=doing.label,
            phase=report.phase if report else None,
            percent=round(report.percent, 1) if report else None,
            fps=report.fps if report else None,
            speed=report.speed if report else None,
            eta_seconds=report.eta_seconds if report else None,
            transfers=transfers,
            free_bytes=shutil.disk_usage(self._store.layout.root).free,
            updated_at=utc_now(),
        )
        self._tell(record.words)
        place = self._store.at(self._store.layout.node_record(self._node))
        self._store.tree.replace(place, record.to_bytes(), durable=False)
