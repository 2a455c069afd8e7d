"""Link files: one web address per line, read and checked without touching the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from shared.domain.errors import DropRefused, Rejection

MOST_ADDRESSES = 100
LONGEST_ADDRESS = 2048
"""Characters; longer ones are refused by many servers and are more likely a pasted text than an address."""

BAD_LINK_FILE = "bad_link_file"
LINK_REFUSED = "link_refused"

_SHOWN_PROBLEMS = 10
_SHOWN_CHARACTERS = 80
_LINE_END = re.compile(r"\r\n|\r|\n")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.IGNORECASE | re.DOTALL)
_USERINFO = re.compile(r"//[^/?#]*@")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one address.

    Attributes:
        code: ``bad_link_file`` for what is no address at all, ``link_refused`` for one that may not be used.
        reason: half a sentence that follows the quoted address.
    """

    code: str
    reason: str


def quoted(value: str) -> str:
    """Return *value* in quotes, made fit for a report: no secrets, no invisible characters, not endless."""
    masked = _USERINFO.sub("//***@", value)
    if len(masked) > _SHOWN_CHARACTERS:
        masked = masked[:_SHOWN_CHARACTERS] + "…"
    return "'" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in masked) + "'"


def fault_of(address: str) -> Fault | None:
    """Return why *address* cannot be fetched, or None for a usable http(s) address.

    Only its spelling is judged here; where the name leads is checked when it is fetched.
    """
    if len(address) > LONGEST_ADDRESS:
        return Fault(BAD_LINK_FILE, f"is longer than {LONGEST_ADDRESS} characters")
    # Parsers disagree about blanks and backslashes, and a guard must see the host that the client will see.
    if not address.isprintable() or any(c.isspace() or c == "\\" for c in address):
        return Fault(BAD_LINK_FILE, "is not a web address")
    scheme = _scheme(address)
    if scheme is None:
        return Fault(BAD_LINK_FILE, "is not a web address: it does not begin with http:// or https://")
    if scheme not in {"http", "https"}:
        return Fault(LINK_REFUSED, f"uses {scheme}:, and only http and https are fetched")
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return Fault(BAD_LINK_FILE, "is not a web address: its host or port cannot be read")
    return _authority_fault(parts)


def _scheme(address: str) -> str | None:
    found = _SCHEME.fullmatch(address)
    if found is None:
        return None
    scheme, rest = found[1].lower(), found[2]
    # example.com:8080/page and C:/page look like schemes and are none.
    if "." in scheme or len(scheme) == 1 or rest[:1].isdigit():
        return None
    return scheme


def _authority_fault(parts: SplitResult) -> Fault | None:
    if "@" in parts.netloc:
        return Fault(LINK_REFUSED, "carries a user name or password")
    if not parts.hostname:
        return Fault(LINK_REFUSED, "names no host")
    return None


def parse_link_file(data: bytes) -> tuple[str, ...]:
    """Return the addresses of a link file in order, each once.

    Blank lines and lines that start with ``#`` are skipped.

    Raises:
        DropRefused: ``bad_link_file`` when the file is not UTF-8 text, holds no address or more than
            100, or a line is no address; ``link_refused`` when all its faults are addresses that may
            not be fetched. All faults of the file are named in the one message.
    """
    lines = _lines(data)
    found: dict[str, None] = {}
    faults: list[tuple[int, str, Fault]] = []
    for number, line in lines:
        fault = fault_of(line)
        if fault is None:
            found.setdefault(line)
        else:
            faults.append((number, line, fault))
    problems = [f"line {number}, {quoted(line)}, {fault.reason}" for number, line, fault in faults]
    if len(found) > MOST_ADDRESSES:
        problems.append(f"it holds {len(found)} addresses, more than {MOST_ADDRESSES}")
    if not lines:
        problems.append("it holds no address")
    if problems:
        refused_only = len(faults) == len(problems) and all(f.code == LINK_REFUSED for _, _, f in faults)
        raise _refused(LINK_REFUSED if refused_only else BAD_LINK_FILE, problems, len(found))
    return tuple(found)


def _lines(data: bytes) -> list[tuple[int, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 text (byte {error.start + 1} does not fit)"
        raise _refused(BAD_LINK_FILE, [problem], 0) from error
    if "\0" in text:
        raise _refused(BAD_LINK_FILE, ["it is not text (it holds zero bytes)"], 0)
    lines = ((number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _refused(code: str, problems: list[str], addresses: int) -> DropRefused:
    shown = problems[:_SHOWN_PROBLEMS]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return DropRefused(
        Rejection(
            code=code,
            sentence=f"The link file cannot be used: {'; '.join(shown)}.",
            advice="Write one public http:// or https:// address per line, as plain UTF-8 text, "
            f"at most {MOST_ADDRESSES} of them, without user names or passwords.",
            measured={"problems": len(problems), "addresses": addresses},
        )
    )
