"""Where a far tree lies and who one is there. No password, ever: a key, or an agent that has one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from shared.domain.errors import ReelmillError

_PORT = 22
_FORM = "write it as sftp://USER@HOST:PORT/FOLDER, such as sftp://node@farm.example/srv/reelmill"


class BadAddress(ReelmillError, ValueError):
    """An address of a far root that cannot be used."""


@dataclass(frozen=True)
class Remote:
    """A root behind an SFTP server.

    Attributes:
        key: private key to show, without a passphrase; None asks the agent (``SSH_AUTH_SOCK``).
        known_hosts: file of host keys in OpenSSH's form.
        trust_first: whether a host that is not in it is believed once, and its key added to it.
        bytes_per_second: of all that is carried to and from it; None carries as fast as it goes.
    """

    host: str
    user: str
    folder: PurePosixPath
    known_hosts: Path
    port: int = _PORT
    key: Path | None = None
    trust_first: bool = False
    bytes_per_second: int | None = None

    @classmethod
    def at(
        cls,
        address: str,
        *,
        known_hosts: Path,
        key: Path | None = None,
        trust_first: bool = False,
        bytes_per_second: int | None = None,
    ) -> Remote:
        """The root at an address such as ``sftp://node@farm.example:2222/srv/reelmill``.

        Raises:
            BadAddress: it is not one, or has a password in it.
        """
        try:
            parts = urlsplit(address)
            port = parts.port or _PORT
        except ValueError as error:
            raise BadAddress(f"{address!r} is not an address: {error}; {_FORM}") from error
        if parts.password is not None:
            raise BadAddress(f"The address of {parts.hostname} has a password in it: use a key, and take it out")
        if parts.scheme != "sftp" or not parts.hostname or not parts.username or parts.query or parts.fragment:
            raise BadAddress(f"{address!r} is not the address of a root: {_FORM}")
        folder = PurePosixPath(re.sub("^/+", "/", unquote(parts.path)) or "/")
        return cls(
            host=parts.hostname,
            user=unquote(parts.username),
            folder=folder,
            known_hosts=known_hosts,
            port=port,
            key=key,
            trust_first=trust_first,
            bytes_per_second=bytes_per_second,
        )

    @property
    def known_as(self) -> str:
        """The host, as `known_hosts` names it."""
        return self.host if self.port == _PORT else f"[{self.host}]:{self.port}"

    def __str__(self) -> str:
        place = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{self.user}@{place}{'' if self.port == _PORT else f':{self.port}'}{self.folder}"
