"""Mail through a real SMTP server: encrypted, logged in, and with nothing in it that a file's name put there."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from main_worker.alerts.channel import NotTaken
from main_worker.alerts.mail import Mail
from shared.domain.names import readable
from shared.records.alerts import Alert
from shared.settings import Alerts

AlertOf = Callable[..., Alert]


@dataclass
class Inbox:
    """Keeps every mail, or answers with `refusal`."""

    refusal: str = ""
    refuses_recipients: str = ""
    mails: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        if self.refuses_recipients:
            return self.refuses_recipients
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if not self.refusal:
            self.mails.append(envelope)
        return self.refusal or "250 OK"

    @property
    def messages(self) -> list[EmailMessage]:
        contents = [bytes(mail.content) for mail in self.mails if isinstance(mail.content, bytes)]
        found = [email.message_from_bytes(content, policy=email.policy.default) for content in contents]
        return [message for message in found if isinstance(message, EmailMessage)]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def serve(inbox: Inbox) -> Iterator[Callable[..., Alerts]]:
    """Starts the mail server and returns the settings that reach it."""
    started: list[Controller] = []

    def start(security: Literal["starttls", "tls", "none"] = "none", **options: Any) -> Alerts:
        with socket.socket() as free:  # the server cannot choose a port by itself
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
        controller.start()
        started.append(controller)
        return Alerts(
            mail_to=("anna@example.org", "ben@example.org"),
            mail_from="farm@example.org",
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_security=security,
        )

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key, that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*plain))
    return path


def context_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def with_login(name: str, password: str) -> dict[str, Any]:
    """Options of a server that knows this login."""

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
        return AuthResult(success=(login.login, login.password) == (name.encode(), password.encode()), handled=False)

    return {"authenticator": check}


def test_a_mail_arrives_with_everything_in_it(serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf) -> None:
    """Title in the subject, details in the text, the same id each time it is sent."""
    Mail(serve(), None).send(alert_of())
    (message,) = inbox.messages
    assert inbox.mails[0].rcpt_tos == ["anna@example.org", "ben@example.org"]
    assert message["Subject"] == "[reelmill] Failed fantasy/dragon: ffmpeg ended with status 1"
    assert message["From"] == "farm@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Reelmill-Event"] == "task_failed happened"
    content = message.get_content().replace("\r\n", "\n")
    assert "advice: Look into stderr.log.\n" in content
    assert "box:/srv/reelmill, 2026-11-20T18:03:44.000Z" in content


HOSTILE = "a\r\nBcc: everybody@example.org\r\n\r\n<b>\x1b[2J\u202egp.exe\udcff 竜の飛行"


def test_a_hostile_name_adds_no_header_and_no_control_character(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf
) -> None:
    """It is shown as what it is; letters of other scripts arrive as they are."""
    Mail(serve(), None).send(alert_of(title=readable(HOSTILE), details={"path": readable(HOSTILE)}))
    (message,) = inbox.messages
    assert message["Bcc"] is None
    assert message.defects == []
    shown = "a\\r\\nBcc: everybody@example.org\\r\\n\\r\\n<b>\\x1b[2J\\u202egp.exe\\udcff 竜の飛行"
    assert message["Subject"] == f"[reelmill] {shown}"
    assert f"path: {shown}\n" in message.get_content().replace("\r\n", "\n")


def test_the_connection_is_encrypted_before_the_password_is_told(
    serve: Callable[..., Alerts],
    inbox: Inbox,
    alert_of: AlertOf,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """STARTTLS, then the login, whose password is in a file; certificates of one's own are named by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = with_login("farm", "secret word")
    settings = serve(
        "starttls", tls_context=context_of(certificate), require_starttls=True, auth_required=True, **options
    )
    file = tmp_path / "password"
    file.write_text("secret word\n")
    settings = settings.model_copy(update={"smtp_user": "farm", "smtp_password_file": str(file)})
    Mail(settings, None).send(alert_of())
    assert len(inbox.mails) == 1


def test_tls_from_the_start_with_a_password_from_the_environment(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Port 465 of most servers."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = with_login("farm", "word")
    settings = serve("tls", ssl_context=context_of(certificate), auth_require_tls=False, **options)
    Mail(settings.model_copy(update={"smtp_user": "farm"}), "word").send(alert_of())
    assert len(inbox.mails) == 1


def test_a_server_that_nobody_vouches_for_gets_nothing(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf, certificate: Path
) -> None:
    """The certificate is checked, and the alert waits."""
    settings = serve("starttls", tls_context=context_of(certificate))
    with pytest.raises(NotTaken, match="certificate verify failed") as refused:
        Mail(settings, None).send(alert_of())
    assert not refused.value.is_final
    assert inbox.mails == []


def test_a_server_without_encryption_gets_no_password(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf
) -> None:
    """Where starttls is asked for, a server that does not offer it is not used."""
    settings = serve("none").model_copy(update={"smtp_security": "starttls", "smtp_user": "farm"})
    with pytest.raises(NotTaken, match="STARTTLS"):
        Mail(settings, "word").send(alert_of())


def test_a_wrong_password_can_be_put_right(serve: Callable[..., Alerts], alert_of: AlertOf, tmp_path: Path) -> None:
    """The file is read each time, so a failed login is tried again."""
    settings = serve(auth_require_tls=False, **with_login("farm", "right"))
    file = tmp_path / "password"
    mail = Mail(settings.model_copy(update={"smtp_user": "farm", "smtp_password_file": str(file)}), None)
    with pytest.raises(NotTaken, match=r"alerts.smtp_password_file = .*password cannot be read"):
        mail.send(alert_of())
    file.write_text("wrong")
    with pytest.raises(NotTaken, match="refused the login of farm: 535") as refused:
        mail.send(alert_of())
    assert not refused.value.is_final
    assert "wrong" not in str(refused.value)
    file.write_text("right\n")
    mail.send(alert_of())


def test_no_password_at_all_is_told(serve: Callable[..., Alerts], alert_of: AlertOf) -> None:
    """With both places where one can be."""
    settings = serve().model_copy(update={"smtp_user": "farm"})
    with pytest.raises(NotTaken, match="set REELMILL_SMTP_PASSWORD or alerts"):
        Mail(settings, None).send(alert_of())


@pytest.mark.parametrize(("reply", "is_final"), [("451 come back later", False), ("554 we do not want this", True)])
def test_a_refusal_is_tried_again_where_the_server_asks_for_it(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf, reply: str, is_final: bool
) -> None:
    """Replies from 500 on are for good (RFC 5321)."""
    inbox.refusal = reply
    with pytest.raises(NotTaken, match=reply) as refused:
        Mail(serve(), None).send(alert_of())
    assert refused.value.is_final is is_final


def test_recipients_that_the_server_does_not_know_are_named(
    serve: Callable[..., Alerts], inbox: Inbox, alert_of: AlertOf
) -> None:
    """The address in the configuration is wrong."""
    inbox.refuses_recipients = "550 no such user"
    with pytest.raises(NotTaken, match=r"refused anna@example\.org, ben@example\.org") as refused:
        Mail(serve(), None).send(alert_of())
    assert refused.value.is_final


def test_a_server_that_is_down_is_tried_again(serve: Callable[..., Alerts], alert_of: AlertOf) -> None:
    """Nothing is lost while it is restarted."""
    settings = serve().model_copy(update={"smtp_port": 1})
    with pytest.raises(NotTaken, match=r"the mail server 127\.0\.0\.1:1 cannot be used: .*refused") as refused:
        Mail(settings, None).send(alert_of())
    assert not refused.value.is_final
