"""What every way of telling people has in common."""

from __future__ import annotations

from typing import Protocol

from shared.domain.errors import ReelmillError
from shared.records.alerts import Alert


class NotTaken(ReelmillError):
    """A receiver did not take an alert; `is_final` where it will never take this one."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Channel(Protocol):
    """One way of telling people."""

    @property
    def name(self) -> str:
        """What the log and ``.farm/alerts.json`` call it."""
        ...

    def send(self, alert: Alert) -> None:
        """Tell it; may take as long as the channel's own limits allow.

        Raises:
            NotTaken: it was not told.
        """
        ...


def text_of(alert: Alert) -> str:
    """An alert as text: its title, and a line for each detail."""
    return "\n".join([alert.title, *(f"{key}: {value}" for key, value in alert.details.items())])
