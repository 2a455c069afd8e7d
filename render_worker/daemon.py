"""The render worker: what it consists of, how it begins, and how it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from render_worker.choosing import Choosing
from render_worker.duty import Duty
from render_worker.fitting import Fitting
from render_worker.hauling import Hauling
from render_worker.health import Health
from render_worker.idle import Ahead
from render_worker.lanes.board import Board
from render_worker.lanes.care import Care
from render_worker.lanes.delivering import Delivering
from render_worker.lanes.lane import Lane
from render_worker.lanes.making import Making
from render_worker.lanes.resting import Resting
from render_worker.lanes.slot import Slot
from render_worker.lanes.station import Station
from render_worker.lanes.taking import Taking
from render_worker.logbook import Logbook
from render_worker.pace import Pace
from render_worker.pulse import Pulse
from render_worker.room import Room
from render_worker.segments.sharing import MOST_OFFERED, Sharing
from render_worker.ways import Ways
from render_worker.worklog import Worklog
from shared.config import Config
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg
from shared.log import Logger
from shared.nodes import Nodes
from shared.notify import Notifier
from shared.recovery import Caps, Recovery
from shared.segments import SegmentCache
from shared.store import Claim, Store

_ORDERS_SECONDS = 1.0  # what operators order takes effect within seconds
_MOST_WAIT = 1.0  # a lane in trouble must not be noticed much later


class _Ordered(Lane):
    """Reads what operators order, so that nobody else has to wait for a link to know it."""

    def __init__(self, duty: Duty, stop: threading.Event) -> None:
        super().__init__("orders", stop)
        self._duty = duty

    def turn(self) -> float:
        self._duty.look()
        return _ORDERS_SECONDS


class RenderWorker:
    """One render worker process: it takes the next task, makes the one before and delivers the one before that."""

    def __init__(
        self,
        config: Config,
        layout: Layout,
        node: str,
        lease_seconds: float,
        ffmpeg: Ffmpeg,
        ways: Ways,
        log: Logger,
        systemd: Notifier,
        *,
        store: Store,
        hauling: Hauling,
        self_test: Callable[[], bool],
    ) -> None:
        self._config = config
        self._node = node
        self._ffmpeg = ffmpeg
        self._ways = ways
        self._log = log
        self._systemd = systemd
        self._stop = stop = threading.Event()
        worker, pace, board, worklog = config.worker, Pace(), Board(), Worklog(time.monotonic)
        self._logbook = Logbook(worklog, store, node, log)
        at = Station(
            node=node,
            store=store,
            hauling=hauling,
            health=Health(store, node, time.monotonic),
            resting=Resting(node, board, log),
            board=board,
            worklog=worklog,
            log=log,
            stop=stop,
        )
        # A third of the lease is left for others to see that this node has stopped before they take its task.
        patience = lease_seconds * 2 / 3 - worker.heartbeat_seconds
        self._pulse = Pulse(
            store, node, worker.heartbeat_seconds, ways, pace, board, ffmpeg.version, systemd.doing, patience
        )
        offered: deque[str] = deque(maxlen=MOST_OFFERED)
        self._cache = SegmentCache(layout, node, worker.cache_bytes, offered.append)
        shares = hauling.is_far and config.remote.share_segments
        sharing = Sharing(store, node, self._cache, offered) if shares else None
        self._room = Room(layout, self._cache, worker.min_free_bytes, log)
        self._duty = Duty(store, node, log)
        nodes = Nodes(layout, lease_seconds, tree=store.tree)
        caps = Caps(worker.max_attempts, worker.max_starts)
        care = Care(at, caps, self._pulse, self._duty, nodes)
        self._fetched: Slot[Claim] = Slot()
        self._delivering = Delivering(at, care, pace, sharing)
        self._taking = Taking(
            at,
            care,
            choosing=Choosing(store, node, Fitting(config, layout, ffmpeg, ways, self._cache, self._room), nodes, log),
            duty=self._duty,
            room=self._room,
            poll_seconds=worker.poll_seconds,
            self_test=self_test,
            fetched=self._fetched,
            delivering=self._delivering,
            sharing=sharing,
        )
        self._making = Making(
            at,
            care,
            config,
            ffmpeg=ffmpeg,
            ways=ways,
            cache=self._cache,
            ahead=Ahead(config, layout, self._cache, ffmpeg, ways, node, log, stopping=self._is_wanted),
            alive=self._alive,
            delivering=self._delivering,
        )
        self._silence = (systemd.watchdog_seconds or 0.0) / 2  # the other half is for whoever looks at the lanes
        self._lanes = (self._taking, self._delivering, _Ordered(self._duty, stop))
        observed = Nodes(layout, lease_seconds, tree=store.tree)
        recovery = Recovery(store, caps, lease_seconds, log, time.monotonic, observed)
        self._watch = threading.Thread(target=recovery.keep_watch, args=(stop,), name="watch")

    def stop(self) -> None:
        """Ask the worker to end soon; safe to call from a signal handler."""
        self._stop.set()
        self._systemd.stopping()

    def run(self) -> None:
        """Work until :meth:`stop`; what is in hand then goes back to the queue."""
        self._log.info(
            f"Render worker {self._node} is ready: {self._ways.usual}, {self._ffmpeg.version}",
            name="worker_started",
            node=self._node,
        )
        self._cache.tidy()
        self._duty.begin()
        self._duty.look()
        self._pulse.start()
        self._systemd.ready()
        for thread in (self._watch, self._logbook, *self._lanes):
            thread.start()
        try:
            self._make()
        finally:
            self._stop.set()
            for thread in (self._watch, *self._lanes):
                thread.join()
            self._taking.give_back()
            self._delivering.last()
            self._logbook.stop()
            self._pulse.stop()
            self._log.info(f"Render worker {self._node} has stopped", name="worker_stopped", node=self._node)
        for lane in self._lanes:
            if lane.fault:
                raise lane.fault

    def _make(self) -> None:
        """Render what is fetched, one after the other; conform clips while nothing is."""
        wait = min(self._config.worker.poll_seconds, _MOST_WAIT)
        while not self._stop.is_set():
            if claim := self._fetched.take(wait):
                self._making.make(claim)
            elif self._may_work_ahead():
                self._making.make_ahead(time.monotonic())
            self._alive()

    def _may_work_ahead(self) -> bool:
        return self._config.worker.conform_when_idle and self._taking.may_work and self._room.has_plenty

    def _is_wanted(self) -> bool:
        """Whether there is something better to do than conforming ahead of need."""
        self._alive()
        return self._stop.is_set() or not self._taking.may_work or self._fetched.thing is not None

    def _alive(self) -> None:
        """Tell systemd that all moves on: a lane that is stuck must not be hidden by one that is not."""
        if all(lane.moves(self._silence) for lane in self._lanes):
            self._systemd.alive()
