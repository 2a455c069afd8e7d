"""Delivery against a real receiver that is down, slow or in trouble: in order, again and again, and nobody waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from main_worker.alerts.delivery import Delivery
from main_worker.alerts.webhook import Webhook
from shared.log import open_log
from shared.records.alerts import Alert
from shared.settings import Log

if TYPE_CHECKING:
    from tests.main_worker.alerts.conftest import Receiver

AlertOf = Callable[..., Alert]


@contextmanager
def delivering(receiver: Receiver, *waiting: Alert, patience: float = 5.0) -> Iterator[Delivery]:
    log = open_log("main_worker", Log(file=False, level="DEBUG"))
    delivery = Delivery(Webhook(receiver.address), 0.1, log, waiting)
    delivery.start()
    yield delivery
    delivery.close(patience)


def test_alerts_arrive_in_their_order(receiver: Receiver, alert_of: AlertOf) -> None:
    """First what an earlier worker could not deliver."""
    with delivering(receiver, alert_of(about="0")) as delivery:
        for number in range(1, 20):
            delivery.put(alert_of(about=f"{number}"))
    assert [body["about"] for body in receiver.bodies] == [f"{number}" for number in range(20)]
    assert delivery.waiting == ()


def test_a_receiver_in_trouble_gets_the_same_alert_until_it_takes_it(
    receiver: Receiver, alert_of: AlertOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """With growing pauses; the log says it once, not at every try."""
    receiver.answers = [500, 503, 500, 200]
    with delivering(receiver) as delivery:
        delivery.put(alert_of(about="first"))
        delivery.put(alert_of(about="second"))
        receiver.until(lambda: not delivery.waiting)
    assert [body["about"] for body in receiver.bodies] == ["first"] * 4 + ["second"]
    assert len({body["id"] for body in receiver.bodies}) == 1
    said = capsys.readouterr().err
    assert said.count("event=alert_late") == 1
    assert "the webhook at 127.0.0.1 answered with status 500" in said


def test_what_will_never_be_taken_is_left_and_told(
    receiver: Receiver, alert_of: AlertOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others must not wait for it."""
    receiver.answers = [404, 200]
    with delivering(receiver) as delivery:
        delivery.put(alert_of(about="first"))
        delivery.put(alert_of(about="second"))
    assert [body["about"] for body in receiver.bodies] == ["first", "second"]
    assert "event=alert_lost" in capsys.readouterr().err


def test_nobody_waits_for_a_slow_receiver(
    receiver: Receiver, alert_of: AlertOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue is bounded: the newest stay, and the log says of each that was dropped."""
    receiver.delay = 60
    with delivering(receiver, patience=0) as delivery:
        started = time.monotonic()
        for number in range(250):
            delivery.put(alert_of(about=f"{number}"))
        assert time.monotonic() - started < 5
    assert len(delivery.waiting) == 200
    assert delivery.waiting[-1].about == "249"
    said = capsys.readouterr().err
    assert said.count("event=alert_lost") == 50
    assert "more than 200 alerts wait for it" in said


def test_what_is_not_taken_is_there_for_the_next_process(receiver: Receiver, alert_of: AlertOf) -> None:
    """Closing waits for a moment, not for ever."""
    receiver.answers = [500]
    with delivering(receiver, patience=0.3) as delivery:
        delivery.put(alert_of(about="first"))
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert [alert.about for alert in delivery.waiting] == ["first"]
