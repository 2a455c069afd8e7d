"""One web page fetched through a guard: public addresses only, bounded in size and in time."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from random import SystemRandom
from threading import Thread
from typing import Protocol
from urllib.parse import urljoin

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, SSLError
from requests_hardened import Config, Manager
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import HTTPError

from main_worker.links.addresses import fault_of, quoted
from main_worker.links.charset import looks_like_text
from main_worker.links.wire import Wire
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped

_TEXT_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain"})
_MOST_REDIRECTS = 10
_PIECE_BYTES = 8192
_POLL_SECONDS = 0.05
_LONGEST_LENGTH = 18
_JITTER = 0.25
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_OK = range(200, 300)
# What a name server says of a name; all else says only that it could not be asked, or did not know for now.
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.ENETDOWN})
_HEADERS = {
    "User-Agent": "Mozilla/5.0 (compatible; Reelmill)",
    "Accept": "text/html, application/xhtml+xml, text/plain;q=0.9",
    "Accept-Encoding": "gzip, deflate",
}


class LinkSettings(Protocol):
    """What fetching a link needs from the configuration.

    Attributes:
        allow_loopback: let links lead to this machine; no other private address is ever let through.
        timeout_seconds: limit for one try at an address: name, redirects, headers and body together.
        max_bytes: largest body, after decompression.
        retries: tries after the first one.
        retry_seconds: wait before the first of them; each further wait is twice as long.
        extract_seconds: limit for finding the story in one page.
        chunk_words: words of a chunk at most.
    """

    @property
    def allow_loopback(self) -> bool: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def retry_seconds(self) -> float: ...
    @property
    def extract_seconds(self) -> float: ...
    @property
    def chunk_words(self) -> int: ...


@dataclass(frozen=True)
class Page:
    """What a server answered with.

    Attributes:
        address: the one that was asked for.
        final_address: the one that answered, after redirects.
        content_type: the header as sent, None when missing.
        body: decompressed bytes.
    """

    address: str
    final_address: str
    content_type: str | None
    body: bytes


@dataclass(frozen=True)
class _Setback:
    """A failure that another try may cure; *reason* follows the quoted address.

    Attributes:
        is_ours: whether it is this machine that has no network, or nobody to ask for a name.
    """

    reason: str
    is_ours: bool = False


def fetch(address: str, settings: LinkSettings, stopping: Callable[[], bool]) -> Page:
    """Fetch the text page at *address*; *stopping* is asked often, from this thread only.

    Raises:
        DropRefused: ``link_refused`` when it or a redirect leads where links may not lead;
            ``link_failed`` when it cannot be had, retries included; ``link_too_large``;
            ``link_not_text`` when it is no HTML and no plain text.
        MachineTrouble: this machine has no network, so that nothing can be said of the address.
        Stopped: *stopping* turned true.
    """
    fault = fault_of(address)
    if fault is not None:
        raise _refusal(
            "link_refused",
            f"The address {quoted(address)} {fault.reason}.",
            "Use a public http:// or https:// address.",
        )
    setbacks: list[_Setback] = []
    while len(setbacks) <= settings.retries:
        if setbacks:
            _rest(_wait_seconds(len(setbacks) - 1, settings.retry_seconds), stopping)
        outcome = _try_once(address, settings, stopping)
        if isinstance(outcome, Page):
            return outcome
        setbacks.append(outcome)
    raise _given_up(address, setbacks)


def _given_up(address: str, setbacks: list[_Setback]) -> DropRefused | MachineTrouble:
    """Whose fault it is that no try succeeded: one that failed for want of a network says nothing of the address."""
    ours = next((setback for setback in setbacks if setback.is_ours), None)
    if ours:
        return MachineTrouble(f"the address {quoted(address)} {ours.reason}")
    tries = len(setbacks)
    tried = "tried once" if tries == 1 else f"tried {tries} times"
    return _refusal(
        "link_failed",
        f"The address {quoted(address)} {setbacks[-1].reason} ({tried}).",
        "Check that the address opens in a browser, then drop the link file again.",
        address=address,
        tries=tries,
    )


def _wait_seconds(failures: int, base_seconds: float) -> float:
    """Return the wait after so many earlier failures, a little random so that farms do not march in step."""
    return base_seconds * 2.0**failures * (1 + SystemRandom().uniform(0, _JITTER))


def _rest(seconds: float, stopping: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stopping():
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _POLL_SECONDS))
    raise Stopped("Stopped while waiting to fetch a link again.")


def _try_once(address: str, settings: LinkSettings, stopping: Callable[[], bool]) -> Page | _Setback:
    """Fetch in a thread of its own, because looking up a name and reading headers know no total limit."""
    wire = Wire()
    outcome: Future[Page | _Setback] = Future()
    deadline = time.monotonic() + settings.timeout_seconds

    def work() -> None:
        try:
            outcome.set_result(_download(address, settings, deadline, wire))
        except BaseException as error:  # noqa: BLE001 - raised again by outcome.result() below
            outcome.set_exception(error)

    if stopping():
        raise Stopped(f"Stopped before fetching {quoted(address)}.")
    Thread(target=work, name="link", daemon=True).start()
    while not wait([outcome], timeout=_POLL_SECONDS).done:
        if stopping():
            wire.cut()
            raise Stopped(f"Stopped while fetching {quoted(address)}.")
        if time.monotonic() >= deadline:
            wire.cut()
            within = f"within {settings.timeout_seconds:g} seconds"
            if not wire.has_dialled:
                return _Setback(f"cannot be looked up: no name server answered {within}", is_ours=True)
            return _Setback(f"did not answer in full {within}")
    return outcome.result()


def _download(address: str, settings: LinkSettings, deadline: float, wire: Wire) -> Page | _Setback:
    with _session(settings, wire) as session:
        place = address
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                with _ask(session, place, deadline) as answer:
                    target = session.get_redirect_target(answer)
                    if target is None:
                        return _read(address, answer, settings)
            except InvalidIPAddress as error:
                raise _bad_place(address, place, error) from error
            except (InvalidSchema, InvalidURL, MissingSchema, UnicodeError) as error:
                raise _failed(address, f"cannot be used ({error})") from error
            except (requests.RequestException, HTTPError, OSError) as error:
                return _setback(error)
            place = _followed(address, place, target)
    raise _failed(address, f"redirects more than {_MOST_REDIRECTS} times")


def _session(settings: LinkSettings, wire: Wire) -> requests.Session:
    config = Config(
        ip_filter_enable=True,
        ip_filter_allow_loopback_ips=settings.allow_loopback,
        never_redirect=True,  # _download follows, so that each step is judged and counted
        default_timeout=(settings.timeout_seconds, settings.timeout_seconds),
    )
    session: requests.Session = Manager(config).get_session()
    session.trust_env = False  # a proxy from the environment would resolve names behind the guard's back
    session.headers.update(_HEADERS)
    wire.tie(session)
    return session


def _ask(session: requests.Session, place: str, deadline: float) -> requests.Response:
    """Ask one server, past Session.send: that reads the whole body of a redirect, however long."""
    left = max(deadline - time.monotonic(), _POLL_SECONDS)
    request = session.prepare_request(requests.Request("GET", place))
    answer = session.get_adapter(place).send(request, stream=True, timeout=(left, left))
    session.cookies.update(answer.cookies)
    return answer


def _followed(address: str, place: str, target: str) -> str:
    try:
        following = urljoin(place, target)
    except ValueError:
        following = target
    fault = fault_of(following)
    if fault is not None:
        raise _refusal(
            "link_refused",
            f"The address {quoted(address)} redirects to {quoted(following)}, which {fault.reason}.",
            "Use the address of the story itself.",
            address=address,
        )
    return following


def _read(address: str, answer: requests.Response, settings: LinkSettings) -> Page | _Setback:
    status = answer.status_code
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        return _Setback(f"was answered with status {status}")
    if status not in _OK:
        raise _failed(address, f"was answered with status {status}", status=status)
    content_type = answer.headers.get("Content-Type")
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind and kind not in _TEXT_TYPES:
        raise _not_text(address, quoted(kind))
    body = _body(address, answer, settings.max_bytes)
    if not looks_like_text(body):
        raise _not_text(address, "data that is not text")
    return Page(address=address, final_address=answer.url, content_type=content_type, body=body)


def _body(address: str, answer: requests.Response, max_bytes: int) -> bytes:
    declared = answer.headers.get("Content-Length", "").strip()
    # So long a number is larger than any limit, and int() refuses very long ones.
    if declared.isdecimal() and (len(declared) > _LONGEST_LENGTH or int(declared) > max_bytes):
        raise _too_large(address, max_bytes)
    body = bytearray()
    for piece in answer.iter_content(_PIECE_BYTES):
        body += piece
        if len(body) > max_bytes:
            raise _too_large(address, max_bytes)
    return bytes(body)


def _setback(error: Exception) -> _Setback:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror) and cause.errno not in _NO_SUCH_NAME:
            return _Setback(f"cannot be looked up from this machine: {cause.strerror}", is_ours=True)
        if isinstance(cause, OSError) and cause.errno in _NO_NETWORK:
            return _Setback(f"cannot be reached from this machine: {cause.strerror}", is_ours=True)
    return _Setback(_reason(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: Exception) -> str:
    if isinstance(error, SSLError):
        return "has no valid certificate or no secure connection"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if "resolve" in str(error):
        return "cannot be reached: its host name is not known"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return "broke off its answer"


def _bad_place(address: str, place: str, error: InvalidIPAddress) -> DropRefused:
    found = error.args[0]
    network = "this machine itself (loopback)" if found.is_loopback else "a private or reserved network"
    detour = "" if place == address else f" redirects to {quoted(place)}, which"
    return _refusal(
        "link_refused",
        f"The address {quoted(address)}{detour} leads to {found}, which is {network}.",
        "Use a public address. Only loopback can be allowed, by links.allow_loopback in the configuration; "
        "other private addresses are never fetched.",
        address=address,
        ip=str(found),
    )


def _not_text(address: str, kind: str) -> DropRefused:
    return _refusal(
        "link_not_text",
        f"The address {quoted(address)} holds {kind}, and only HTML and plain text can be read.",
        "Use the address of a page with the story as text.",
        address=address,
    )


def _too_large(address: str, max_bytes: int) -> DropRefused:
    return _refusal(
        "link_too_large",
        f"The page at {quoted(address)} is larger than {max_bytes} bytes.",
        "Use the address of a single story, or raise links.max_bytes in the configuration.",
        address=address,
        max_bytes=max_bytes,
    )


def _failed(address: str, reason: str, **measured: object) -> DropRefused:
    return _refusal(
        "link_failed",
        f"The address {quoted(address)} {reason}.",
        "Check that the address opens in a browser, then correct the link file and drop it again.",
        address=address,
        **measured,
    )


def _refusal(code: str, sentence: str, advice: str, **measured: object) -> DropRefused:
    return DropRefused(Rejection(code=code, sentence=sentence, advice=advice, measured=measured))
