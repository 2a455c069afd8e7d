"""Alerts as e-mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from main_worker.alerts.channel import NotTaken, text_of
from shared.domain.names import readable
from shared.records.alerts import Alert
from shared.settings import Alerts

PASSWORD_VARIABLE = "REELMILL_SMTP_PASSWORD"  # noqa: S105 - the name of one
_SECONDS = 30.0  # for each answer of the server; a mail that waits longer is sent again
_LONGEST_SUBJECT = 150
_PERMANENT = 500  # replies from here on (RFC 5321): the same mail will be refused again


@dataclass(frozen=True)
class Mail:
    """Mail through one server; `password` is used where no file is named."""

    settings: Alerts
    password: str | None
    name = "mail"

    def send(self, alert: Alert) -> None:
        """As :meth:`Channel.send`. A login that fails is tried again: the password's file may be put right."""
        message = mail_of(alert, self.settings)
        try:
            with self._connected() as server:
                if self.settings.smtp_user:
                    server.login(self.settings.smtp_user, self._password())
                server.send_message(message, self.settings.mail_from, self.settings.mail_to)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            refused = ", ".join(error.recipients)
            raise NotTaken(f"{self._host} refused {refused}", is_final=min(codes) >= _PERMANENT) from error
        except smtplib.SMTPAuthenticationError as error:
            raise NotTaken(f"{self._host} refused the login of {self.settings.smtp_user}: {_said(error)}") from error
        except smtplib.SMTPResponseException as error:
            is_final = error.smtp_code >= _PERMANENT
            raise NotTaken(f"{self._host} refused the mail: {_said(error)}", is_final=is_final) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotTaken(f"{self._host} cannot be used: {readable(str(error))[:200]}") from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, port, security = self.settings.smtp_host, self.settings.smtp_port, self.settings.smtp_security
        trusted = ssl.create_default_context()
        if security == "tls":
            with smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=trusted) as server:
                yield server
            return
        with smtplib.SMTP(host, port, timeout=_SECONDS) as server:
            if security == "starttls":
                server.starttls(context=trusted)
            yield server

    def _password(self) -> str:
        path = self.settings.smtp_password_file
        if not path:
            if self.password is None:
                raise NotTaken(f"there is no password: set {PASSWORD_VARIABLE} or alerts.smtp_password_file")
            return self.password
        try:
            return Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotTaken(f"alerts.smtp_password_file = {path} cannot be read: {error}") from error

    @property
    def _host(self) -> str:
        return f"the mail server {self.settings.smtp_host}:{self.settings.smtp_port}"


def mail_of(alert: Alert, settings: Alerts) -> EmailMessage:
    """The mail of an alert. No name in it can add a header: an alert's lines have no line breaks."""
    message = EmailMessage()
    message["Subject"] = f"[reelmill] {alert.title}"[:_LONGEST_SUBJECT]
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(alert.id, settings.mail_from.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # no holiday answers (RFC 3834)
    message["X-Reelmill-Event"] = f"{alert.kind} {alert.state}"
    message.set_content(f"{text_of(alert)}\n\n{alert.farm}, {alert.when}\n")
    return message


def _said(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{error.smtp_code} {readable(words)[:200]}"
