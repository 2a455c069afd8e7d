"""The webhook against a real HTTP server: what arrives, and what becomes of every answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from main_worker.alerts.channel import NotTaken
from main_worker.alerts.webhook import Webhook
from shared.records.alerts import Alert

if TYPE_CHECKING:
    from tests.main_worker.alerts.conftest import Receiver

AlertOf = Callable[..., Alert]


def test_an_alert_arrives_as_json_with_a_text_for_chats(receiver: Receiver, alert_of: AlertOf) -> None:
    """Programs read the fields, Slack shows the text."""
    alert = alert_of()
    Webhook(receiver.address).send(alert)
    ((method, path, body),) = receiver.requests
    assert (method, path) == ("POST", "/hooks/secret")
    text = "Failed fantasy/dragon: ffmpeg ended with status 1\nadvice: Look into stderr.log.\npath: trash/failed/3c1a"
    assert body == {"text": text, **alert.model_dump(mode="json")}


def test_a_name_cannot_call_everybody_in_a_chat(receiver: Receiver, alert_of: AlertOf) -> None:
    """Slack takes <!channel> for a call and <http…|…> for a link."""
    Webhook(receiver.address).send(alert_of(title="Rejected <!channel> & <http://evil|here>"))
    (body,) = receiver.bodies
    assert body["text"].startswith("Rejected &lt;!channel&gt; &amp; &lt;http://evil|here&gt;\n")
    assert body["title"] == "Rejected <!channel> & <http://evil|here>"


@pytest.mark.parametrize(
    ("status", "is_final"), [(500, False), (503, False), (429, False), (408, False), (404, True), (410, True)]
)
def test_an_error_is_tried_again_where_that_may_help(
    receiver: Receiver, alert_of: AlertOf, status: int, is_final: bool
) -> None:
    """A wrong address stays wrong; a server in trouble gets well. No word holds the secret in the address."""
    receiver.answers = [status]
    with pytest.raises(NotTaken, match=f"the webhook at 127.0.0.1 answered with status {status}") as refused:
        Webhook(receiver.address).send(alert_of())
    assert refused.value.is_final is is_final
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_told(receiver: Receiver, alert_of: AlertOf, status: int) -> None:
    """Followed, a POST would become a GET that succeeds and tells nobody."""
    receiver.answers, receiver.location = [status], f"http://127.0.0.1:{receiver.port}/elsewhere"
    with pytest.raises(NotTaken, match=r"/elsewhere; set alerts\.webhook to that") as refused:
        Webhook(receiver.address).send(alert_of())
    assert refused.value.is_final
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_down_is_tried_again(alert_of: AlertOf) -> None:
    """Nobody listens on the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(NotTaken, match="cannot be reached: no connection") as refused:
        Webhook(f"http://127.0.0.1:{port}/secret").send(alert_of())
    assert not refused.value.is_final
    assert "secret" not in str(refused.value)


def test_a_receiver_that_does_not_answer_is_left(receiver: Receiver, alert_of: AlertOf) -> None:
    """After its time, which says how long; the alert will come again."""
    receiver.delay = 30
    started = time.monotonic()
    with pytest.raises(NotTaken, match=r"no answer within 0\.3 s") as refused:
        Webhook(receiver.address, answer_seconds=0.3).send(alert_of())
    assert not refused.value.is_final
    assert time.monotonic() - started < 10
