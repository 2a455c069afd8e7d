"""Who may ask for what: names of this server, the token, other sites, and how much and how slowly one may send.

What changes anything needs the token in a header, which no other site can send: that is the whole defence against
forged requests. What only looks needs it as soon as others than this machine can reach the server; a browser's pictures
and videos, which send no header, then show a cookie that was given for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.domain.errors import RootError
from shared.files import create_exclusive
from shared.log import Logger

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "reelmill-look"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = ("/static/", "/favicon.ico")  # what says nothing of the farm
_MOST_BODY = 64 * 1024
_BODY_SECONDS = 10.0  # what is sent here is a few words
_TOKEN_BYTES = 32

# Nothing from elsewhere, no script but the page's own file, no frame around it, and no text that becomes markup.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def cookie_of(token: str) -> str:
    """What a browser shows with pictures and videos. It lets one look and no more, and does not tell the token.

    Cookies go to every port of a host, so that other servers on this machine get to see it.
    """
    return hmac.new(token.encode(), COOKIE.encode(), hashlib.sha256).hexdigest()


def read_token(path: Path) -> str:
    """The token of a root, made at the first start; only its owner may read the file.

    Raises:
        RootError: somebody else may read it, or it is empty.
    """
    before = os.umask(0o077)
    try:
        create_exclusive(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode())
    except FileExistsError:
        pass
    finally:
        os.umask(before)
    if path.stat().st_mode & 0o077:
        raise RootError(f"{path} can be read by others: delete it, and a new token is made (mode 0600)")
    token = path.read_text("ascii").strip()
    if not token:
        raise RootError(f"{path} is empty: delete it, and a new token is made")
    return token


@dataclass(frozen=True)
class Guard:
    """Stands in front of the application.

    Attributes:
        names: what this server may be called, without a port: a page of another name is not ours.
        is_open: whether others than this machine can reach it.
    """

    app: App
    token: str = field(repr=False)
    names: frozenset[str]
    is_open: bool
    log: Logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _refuse(send, *refusal)
            return
        try:
            await self.app(scope, _limited(receive), _with_headers(send))
        except Exception as error:  # told by 500 already; the server goes on
            told = "Ended a request by a fault of the program; please report it with these lines"
            self.log.error(told, name="fault", exc_info=error)

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str] | None:
        """Why a request is refused: a status and words, or None."""
        host = _name_of(headers.get(b"host", ""))
        if host not in self.names and not _is_address(host):
            return 421, "This server is not called so; name it in web.names"
        origin = headers.get(b"origin")
        if origin and urlsplit(origin).netloc != headers.get(b"host"):
            return 403, "A page of another site may not ask for this"
        if not headers.get(b"content-length", "0").isdigit() or int(headers.get(b"content-length", "0")) > _MOST_BODY:
            return 413, f"At most {_MOST_BODY} bytes may be sent"
        if scope["method"] not in _SAFE:
            return None if self._shows_token(headers) else (401, "This needs the token (.farm/web-token)")
        if self.is_open and not scope["path"].startswith(_OPEN) and scope["path"] != "/":
            known = self._shows_token(headers) or self._shows_cookie(headers)
            return None if known else (401, "This needs the token (.farm/web-token)")
        return None

    def _shows_token(self, headers: dict[bytes, str]) -> bool:
        kind, _, shown = headers.get(b"authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self.token.encode())

    def _shows_cookie(self, headers: dict[bytes, str]) -> bool:
        try:
            found = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), cookie_of(self.token).encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(host: str) -> str:
    """A host header without its port."""
    return urlsplit(f"//{host}").hostname or "" if host.isprintable() and "@" not in host else ""


def _is_address(host: str) -> bool:
    """Whether it is an address: other sites can give their names to this server, but not another's address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _limited(receive: Receive) -> Receive:
    """Ends a request whose body comes too slowly or is too long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _BODY_SECONDS
    got, whole = 0, False

    async def limited() -> Message:
        nonlocal got, whole
        if whole:  # from here on it only tells when the client has gone
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - loop.time()))
        except TimeoutError:
            return {"type": "http.disconnect"}
        got += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        return {"type": "http.disconnect"} if got > _MOST_BODY else message

    return limited


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            more = [(name, value) for name, value in HEADERS if name not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return adding


async def _refuse(send: Send, status: int, words: str) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *HEADERS]
    if status == 401:  # noqa: PLR2004 - it has to say how one may enter
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
