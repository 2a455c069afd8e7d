"""Looks at the farm now and then, and tells people what they would want to know; nothing else waits for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from main_worker.alerts.channel import Channel
from main_worker.alerts.deciding import Limits, Memory, decide
from main_worker.alerts.delivery import Delivery
from main_worker.alerts.hook import Hook
from main_worker.alerts.mail import PASSWORD_VARIABLE, Mail
from main_worker.alerts.viewing import Viewing
from main_worker.alerts.webhook import Webhook
from main_worker.alerts.wording import Wording
from shared.domain.layout import Layout
from shared.files import as_machine_trouble, write_hint
from shared.log import Logger
from shared.nodes import Nodes
from shared.records.alerts import Alert, AlertsRecord, Told, Undelivered
from shared.records.record import RecordError, utc_now
from shared.settings import Alerts

_SHARE = 20  # the part of the time that looking may take, where output/ is large or slow
_NOTE_SECONDS = 1.0  # what was told within it is told again after a kill: with the same id
_LAST_SECONDS = 5.0  # for what is under way when the worker ends; the rest is told after the next start


class Alarm:
    """One main worker's alerts. `is_wanted` is false where nobody is to be told."""

    def __init__(self, settings: Alerts, layout: Layout, nodes: Nodes, log: Logger) -> None:
        self._settings = settings
        self._layout = layout
        self._log = log
        self._limits = Limits(
            queue=settings.queue_limit,
            error_share=settings.error_share,
            error_tasks=settings.error_tasks,
            free_bytes=settings.free_bytes,
            standstill_seconds=settings.standstill_minutes * 60,
        )
        self._channels = _channels(settings, os.environ.pop(PASSWORD_VARIABLE, None))  # no child is to see it
        self._nodes = nodes
        self._said = ""

    @property
    def is_wanted(self) -> bool:
        return bool(self._channels and self._settings.events)

    def keep_watch(self, ended: threading.Event) -> None:
        """Look and tell until `ended`, and once more then; meant for a thread of its own."""
        if not self.is_wanted:
            return
        record = self._remembered()
        looking = _Looking(self._settings, self._layout, self._nodes, self._limits, record, time.monotonic())
        deliveries = [self._delivery(channel, record) for channel in self._channels]
        for delivery in deliveries:
            delivery.start()
        while True:
            is_last = ended.is_set()
            started = time.monotonic()
            self._look(looking, deliveries)
            if is_last:
                break
            now = time.monotonic()
            next_look = now + max(self._settings.look_seconds, _SHARE * (now - started))
            while not ended.is_set() and (left := next_look - time.monotonic()) > 0:
                ended.wait(min(left, _NOTE_SECONDS))
                self._write(looking, deliveries)
        until = time.monotonic() + _LAST_SECONDS
        for delivery in deliveries:
            delivery.close(max(0.0, until - time.monotonic()))
        self._write(looking, deliveries)

    def _delivery(self, channel: Channel, record: AlertsRecord) -> Delivery:
        waiting = [item.alert for item in record.undelivered if item.channel == channel.name]
        return Delivery(channel, self._settings.retry_seconds, self._log, waiting)

    def _look(self, looking: _Looking, deliveries: Iterable[Delivery]) -> None:
        try:
            alerts = looking.look(time.monotonic())
        except OSError as error:
            self._complain(str(as_machine_trouble(error, "cannot see whether there is something to tell")))
            return
        except Exception:  # noqa: BLE001
            # Records can be edited in ways nobody thought of, and that must not end all telling.
            self._log.exception("Stumbled while looking for something to tell", name="fault")
            return
        for alert in alerts:
            for delivery in deliveries:
                delivery.put(alert)
        self._write(looking, deliveries)

    def _write(self, looking: _Looking, deliveries: Iterable[Delivery]) -> None:
        undelivered = [Undelivered(channel=item.name, alert=alert) for item in deliveries for alert in item.waiting]
        record = looking.record.changed(undelivered=tuple(undelivered))
        if record == looking.written:
            return
        try:
            write_hint(self._layout.alerts, record.to_bytes())
            looking.written = record
        except OSError as error:
            self._complain(str(as_machine_trouble(error, "cannot note which alerts were told")))

    def _remembered(self) -> AlertsRecord:
        try:
            return AlertsRecord.read(self._layout.alerts)
        except FileNotFoundError:
            return AlertsRecord()
        except (OSError, RecordError) as error:
            self._complain(f"What was told before is not known any more, and some of it may be told again: {error}")
            return AlertsRecord()

    def _complain(self, trouble: str) -> None:
        if trouble != self._said:
            self._said = trouble
            self._log.warning(trouble, name="alerts_trouble")


class _Looking:
    """From the farm's folders to alerts, look by look."""

    def __init__(
        self, settings: Alerts, layout: Layout, nodes: Nodes, limits: Limits, record: AlertsRecord, now: float
    ) -> None:
        self._events = frozenset(settings.events)
        self._limits = limits
        self._viewing = Viewing(layout, nodes, record.marks)
        self._wording = Wording(layout, settings.link_base)
        self._marks = record.marks
        self._since = {(told.kind, told.about): told.since for told in record.told}
        self._memory = Memory(told=frozenset(self._since), recent=record.recent, began_at=now)
        self.written = record

    def look(self, now: float) -> list[Alert]:
        """What is to be told now."""
        view = self._viewing.look()
        if self._memory.view is None:
            self._memory = replace(self._memory, view=self._viewing.earlier(view, self._marks))
        self._memory, news = decide(self._memory, view, self._limits, now)
        when = utc_now()
        self._since = {key: self._since.get(key, when) for key in sorted(self._memory.told)}
        return self._wording.alerts([item for item in news if item.kind in self._events], when)

    @property
    def record(self) -> AlertsRecord:
        """What the next main worker has to know."""
        told = tuple(Told(kind=kind, about=about, since=since) for (kind, about), since in self._since.items())
        return AlertsRecord(told=told, recent=self._memory.recent, marks=dict(self._viewing.marks))


def _channels(settings: Alerts, password: str | None) -> list[Channel]:
    channels: list[Channel] = []
    if settings.webhook:
        channels.append(Webhook(settings.webhook))
    if settings.mail_to:
        channels.append(Mail(settings, password))
    if settings.command:
        channels.append(Hook(settings.command, settings.command_seconds))
    return channels
