"""Alerts as JSON to an address: for programs, and, by its ``text``, for Slack and what understands the same."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from main_worker.alerts.channel import NotTaken, text_of
from shared.domain.names import readable
from shared.records.alerts import Alert

_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 30.0  # a receiver that thinks longer gets the alert again
_LATER = frozenset({408, 425, 429})  # the statuses below 500 that ask to come back
_ERRORS = 400


@dataclass(frozen=True)
class Webhook:
    """POST to one address."""

    address: str
    answer_seconds: float = _ANSWER_SECONDS
    name = "webhook"

    def send(self, alert: Alert) -> None:
        """As :meth:`Channel.send`. A redirect is no success: a POST must arrive where it was sent to."""
        try:
            with requests.post(
                self.address,
                json=payload(alert),
                headers={"User-Agent": "reelmill"},
                timeout=(_CONNECT_SECONDS, self.answer_seconds),
                allow_redirects=False,
                stream=True,  # what it answers is nothing to us, however much it is
            ) as answer:
                status, target = answer.status_code, answer.headers.get("Location", "")
        except requests.RequestException as error:
            raise NotTaken(f"{self._host} cannot be reached: {self._why(error)}") from error
        if answer.is_redirect or answer.is_permanent_redirect:
            raise NotTaken(
                f"{self._host} sends the alert on to {readable(target)[:200]}; set alerts.webhook to that",
                is_final=True,
            )
        if status >= _ERRORS:
            is_final = status < 500 and status not in _LATER  # noqa: PLR2004 - HTTP's own line
            raise NotTaken(f"{self._host} answered with status {status}", is_final=is_final)

    @property
    def _host(self) -> str:
        """The address without its path, which often is a secret."""
        return f"the webhook at {urlsplit(self.address).hostname}"

    def _why(self, error: requests.RequestException) -> str:
        """A short reason: the library's own words hold the whole address."""
        match error:
            case requests.Timeout():
                return f"no answer within {self.answer_seconds:g} s"
            case requests.exceptions.SSLError():
                return "its certificate cannot be trusted"
            case requests.ConnectionError():
                return "no connection"
            case _:
                return type(error).__name__


def payload(alert: Alert) -> dict[str, object]:
    """The JSON of an alert; in `text`, names cannot call a channel or be a link (``<!here>``, ``<http…|…>``)."""
    text = text_of(alert).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text, **alert.model_dump(mode="json")}
