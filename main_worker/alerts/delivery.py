"""Delivers alerts by one channel, in order and again until they are taken, without anybody waiting for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable

from main_worker.alerts.channel import Channel, NotTaken
from shared.domain.backoff import wait_before
from shared.log import Logger
from shared.records.alerts import Alert

_MOST = 200  # alerts that wait; a receiver that is away for days gets the newest
_MOST_SECONDS = 600.0  # between two tries
_GIVE_UP_SECONDS = 86_400.0  # what nobody took for a day is not news any more


class Delivery:
    """One channel's queue, and the thread that empties it from :meth:`start` to :meth:`close`."""

    def __init__(self, channel: Channel, retry_seconds: float, log: Logger, waiting: Iterable[Alert] = ()) -> None:
        self._channel = channel
        self._retry_seconds = retry_seconds
        self._log = log
        self._queue = deque(waiting)
        self._mutex = threading.Lock()
        self._come = threading.Event()
        self._ended = threading.Event()
        self._empty = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"alerts-{channel.name}", daemon=True)

    @property
    def name(self) -> str:
        return self._channel.name

    @property
    def waiting(self) -> tuple[Alert, ...]:
        """What has not been taken yet."""
        with self._mutex:
            return tuple(self._queue)

    def start(self) -> None:
        self._thread.start()

    def put(self, alert: Alert) -> None:
        """Have an alert delivered; the oldest goes where too many wait."""
        with self._mutex:
            self._queue.append(alert)
            dropped = self._queue.popleft() if len(self._queue) > _MOST else None
            self._empty.clear()
        self._come.set()
        if dropped:
            self._lost(dropped, f"more than {_MOST} alerts wait for it")

    def close(self, patience: float) -> None:
        """Give what waits some seconds more; what is left can be delivered by the next process."""
        self._come.set()
        self._empty.wait(patience)
        self._ended.set()
        self._come.set()

    def _work(self) -> None:
        while not self._ended.is_set():
            self._come.clear()
            alert = self._first()
            if alert is None:
                self._empty.set()
                self._come.wait()
            elif self._deliver(alert):
                with self._mutex:
                    if self._queue and self._queue[0] is alert:
                        self._queue.popleft()

    def _first(self) -> Alert | None:
        with self._mutex:
            return self._queue[0] if self._queue else None

    def _deliver(self, alert: Alert) -> bool:
        """Try until it is taken or given up; False where this ends before."""
        began, tries = time.monotonic(), 0
        while not self._ended.is_set():
            try:
                self._channel.send(alert)
            except NotTaken as error:
                if error.is_final or time.monotonic() - began > _GIVE_UP_SECONDS:
                    self._lost(alert, str(error))
                    return True
                tries += 1
                if tries == 1:
                    self._log.warning(f"An alert waits, {self.name}: {error}", name="alert_late", about=alert.title)
            except Exception:  # noqa: BLE001
                # A fault in telling must not end all telling; this one is told in the log.
                self._log.exception(f"Stumbled over an alert, {self.name}", name="fault", about=alert.title)
                return True
            else:
                self._log.debug(f"Told by {self.name}: {alert.title}", name="alert_told")
                return True
            # No chance in it: there is one main worker, so nobody comes back together with it.
            self._ended.wait(wait_before(tries, 1.0, shortest=self._retry_seconds, longest=_MOST_SECONDS))
        return False

    def _lost(self, alert: Alert, why: str) -> None:
        self._log.error(f"An alert was not delivered, {self.name}: {why}", name="alert_lost", about=alert.title)
