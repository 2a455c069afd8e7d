"""The connection to an SFTP server: one for all threads, a channel for each; made again when it breaks."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from paramiko import AuthenticationException, BadHostKeyException, SSHClient, SSHException
from paramiko.sftp import SFTPError
from paramiko.ssh_exception import PasswordRequiredException
from paramiko.transport import Transport

from shared.domain.backoff import wait_before
from shared.tree.hosts import LinkRefused, Refusal, Strangers
from shared.tree.remote import Remote
from shared.tree.session import Broken, Session
from shared.tree.tree import NoInformation, Unreachable

T = TypeVar("T")

_UNHEARD = logging.NullHandler()  # what paramiko logs, with tracebacks, is raised as well, and told in words
_CUT_SHORT = ("timeout", "transport shut down")  # paramiko's words for a link that broke while a key was shown
_SHORTEST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_DYING_SECONDS = 0.2  # what paramiko takes at most to end a connection that broke


@dataclass(frozen=True)
class Patience:
    """How long what may take, in seconds.

    The usual lease is 90 s, and a heartbeat has to get through within it: the worst case is an answer that does not
    come (15), a link that does not come back for as long as is waited for it (30), one last connection (10), and its
    answer (15).

    Attributes:
        connect: making a connection, from the name of the host to the SFTP channel.
        reply: an answer: three times what a network filesystem behind the server may stand still for a moment.
        link: for a broken link to come back, before a call gives up.
        keep_alive: between signs of life on a link without work, so that no firewall forgets it (they take minutes).
    """

    connect: float = 10.0
    reply: float = 15.0
    link: float = 30.0
    keep_alive: float = 15.0


class Link:
    """What carries requests to one server. Safe for several threads."""

    def __init__(self, remote: Remote, patience: Patience = Patience()) -> None:
        self.remote = remote
        self.patience = patience
        self._mutex = threading.Lock()
        self._client: SSHClient | None = None
        self._of_thread = threading.local()
        self._closed = False
        logging.getLogger("paramiko").addHandler(_UNHEARD)

    def ask(self, request: Callable[[Session], T], doing: str) -> T:
        """Have a request answered that may be repeated, over a new connection if the link breaks.

        Raises:
            Unreachable: there was no link.
            NoInformation: there was none that lasted for the answer.
            LinkRefused: the server is a stranger, or does not let us in.
            OSError: the server refused.
        """
        patience = self.patience.link + time.monotonic()
        while True:
            try:
                return self.once(request, doing, patience)
            except NoInformation as error:
                if isinstance(error, Unreachable) or time.monotonic() >= patience:
                    raise

    def once(self, request: Callable[[Session], T], doing: str, until: float | None = None) -> T:
        """Send a request that must not be repeated unseen, once there is a link (until then: monotonic seconds).

        Raises:
            Unreachable: there was no link; it was not sent.
            NoInformation: the link broke; it may have been carried out.
            LinkRefused, OSError: as for :meth:`ask`.
        """
        client, session = self._session(doing, self.patience.link + time.monotonic() if until is None else until)
        try:
            return request(session)
        except (Broken, SFTPError, SSHException, EOFError) as error:
            self._drop(client)
            raise NoInformation(
                f"The link to {self.remote} broke while {doing} ({error}): whether it happened is not known",
                everywhere=True,
            ) from error
        except Exception:
            raise
        except BaseException:  # interrupted, perhaps in the middle of an answer
            self._drop(client)
            raise

    @contextmanager
    def watched(self) -> Iterator[Callable[[], None]]:
        """End the link if a transfer does not call what it gets for as long as an answer may take.

        Where nobody empties its socket, paramiko waits for ever to write to it, whatever the channel's limit is.
        """
        client, ended, last = self._client, threading.Event(), time.monotonic()

        def mark() -> None:
            nonlocal last
            last = time.monotonic()

        def watch() -> None:
            while not ended.wait(min(1.0, self.patience.reply / 4)):
                if time.monotonic() - last > self.patience.reply:
                    self._drop(client)
                    return

        thread = threading.Thread(target=watch, name="watch", daemon=True)
        thread.start()
        try:
            yield mark
        finally:
            ended.set()

    def close(self) -> None:
        """End the connection; later requests fail."""
        self._closed = True
        with self._mutex:
            client, self._client = self._client, None
        if client:
            client.close()

    # -- steps -----------------------------------------------------------------------------------

    def _session(self, doing: str, until: float) -> tuple[SSHClient, Session]:
        """A channel of this thread over the living connection, which is made if there is none."""
        tries = 0
        while True:
            try:
                client = self._connection()
                return client, self._channel(client)
            except (OSError, EOFError, SSHException, Broken) as error:
                if isinstance(error, LinkRefused):
                    raise
                tries += 1
                chance = random.random()  # noqa: S311 - spreads nodes out, keeps no secret
                wait = wait_before(tries, chance, shortest=_SHORTEST_WAIT, longest=_LONGEST_WAIT)
                if self._closed or time.monotonic() + wait >= until:
                    raise Unreachable(
                        f"{self.remote} cannot be reached for {doing} ({error or type(error).__name__}), after "
                        f"{tries} tries. Check the network and the server; it is tried again by itself",
                        everywhere=True,
                    ) from error
                time.sleep(wait)

    def _connection(self) -> SSHClient:
        with self._mutex:
            if self._closed:
                raise Broken("the link was closed")
            if self._client is None or not _is_alive(self._client):
                self._client = self._connect()
            return self._client

    def _connect(self) -> SSHClient:
        remote, seconds = self.remote, self.patience.connect
        client = SSHClient()
        client.set_missing_host_key_policy(Strangers(remote.known_hosts, trust_first=remote.trust_first))
        try:
            if remote.known_hosts.exists() or not remote.trust_first:
                client.load_host_keys(str(remote.known_hosts))
            with _ended_after(seconds, client.close):
                client.connect(
                    remote.host,
                    remote.port,
                    remote.user,
                    key_filename=str(remote.key) if remote.key else None,
                    allow_agent=remote.key is None,
                    look_for_keys=False,
                    timeout=seconds,
                    banner_timeout=seconds,
                    auth_timeout=seconds,
                    channel_timeout=seconds,
                )
            transport = _transport(client)
            transport.set_keepalive(max(1, int(self.patience.keep_alive)))
            # Else a small request of one thread waits until that of another has been acknowledged (Nagle).
            if isinstance(transport.sock, socket.socket):
                transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException as error:
            client.close()
            refusal = self._refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        return client

    def _refusal(self, error: BaseException) -> LinkRefused | None:
        """The same error in words, where waiting does not help."""
        remote = self.remote
        shown = remote.key or "the agent's keys"
        if isinstance(error, BadHostKeyException):
            return LinkRefused(
                Refusal.OTHER_KEY,
                f"{remote.host} shows another host key than {remote.known_hosts} has for it. Either the server was set "
                f"up anew (then: ssh-keygen -f {remote.known_hosts} -R {remote.known_as}), or it is not that server",
            )
        if isinstance(error, PasswordRequiredException):
            words = f"The key {shown} has a passphrase: load it into an agent and leave the key unset"
            return LinkRefused(Refusal.LOCKED_KEY, words)
        if isinstance(error, AuthenticationException) and not any(word in str(error) for word in _CUT_SHORT):
            return LinkRefused(
                Refusal.NOT_LET_IN,
                f"{remote} does not let {shown} in ({error}): add the public key to the user's authorized_keys there",
            )
        if isinstance(error, OSError) and error.filename in (str(remote.known_hosts), str(remote.key)):
            absent = Refusal.NO_KEY if error.filename == str(remote.key) else Refusal.STRANGER
            why = absent if isinstance(error, FileNotFoundError) else Refusal.UNREADABLE
            return LinkRefused(why, f"Cannot read {error.filename}: {error.strerror}")
        if isinstance(error, SSHException) and "No authentication methods" in str(error):
            words = f"There is no key to show to {remote}: name one, or start an agent that has one"
            return LinkRefused(Refusal.NO_KEY, words)
        return None

    def _channel(self, client: SSHClient) -> Session:
        """The SFTP channel of this thread; one of a connection that was dropped is forgotten."""
        kept: tuple[SSHClient, Session] | None = getattr(self._of_thread, "kept", None)
        if kept and kept[0] is client and not kept[1].sock.closed:
            return kept[1]
        try:
            with _ended_after(self.patience.connect, lambda: self._drop(client)):  # paramiko waits for it for ever
                channel = _transport(client).open_session(timeout=self.patience.connect)
                channel.settimeout(self.patience.reply)
                channel.invoke_subsystem("sftp")
                session = Session(channel)
        except (OSError, EOFError, SSHException, Broken) as error:
            is_closed = isinstance(error, SSHException) and "Channel closed" in str(error)
            if is_closed:  # by the server; or with the link, of which paramiko tells channels before it is known here
                time.sleep(_DYING_SECONDS)
            living = _is_alive(client)
            self._drop(client)
            if living and is_closed:
                raise LinkRefused(
                    Refusal.NO_SFTP,
                    f"{self.remote} lets us in, but has no SFTP for us: its sshd_config needs a line such as "
                    "Subsystem sftp internal-sftp (docs/sftp.md)",
                ) from error
            raise
        self._of_thread.kept = (client, session)
        return session

    def _drop(self, client: SSHClient | None) -> None:
        """Forget a connection that cannot be relied on any more: what is on its way would answer the next request."""
        with self._mutex:
            if self._client is client:
                self._client = None
        if client:
            client.close()


@contextmanager
def _ended_after(seconds: float, end: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _transport(client: SSHClient) -> Transport:
    transport = client.get_transport()
    if transport is None:
        raise Broken("the link was closed")
    return transport


def _is_alive(client: SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()
