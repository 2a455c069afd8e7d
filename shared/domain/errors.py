"""One root for every error this project raises on purpose; each says what, where, which value and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class ReelmillError(Exception):
    """The root of all errors raised on purpose. Its text is a whole sentence an operator can act on."""


class RootError(ReelmillError):
    """The project root is missing, is not one, or is already in use."""


class IllegalTransition(ReelmillError):
    """A task was asked to make a move that its state does not allow."""


class ToolError(ReelmillError):
    """A tool this farm needs (ffmpeg, MediaInfo) is missing or did not run at all: the machine's fault."""


class MachineTrouble(ReelmillError):
    """The machine, not the input, is at fault (disk full, I/O error): try again later, reject nothing.

    Attributes:
        everywhere: whether it would meet every other file as well, so that all work had better pause.
    """

    def __init__(self, message: str, *, everywhere: bool = False) -> None:
        super().__init__(message)
        self.everywhere = everywhere


class ToolKilled(MachineTrouble):
    """A tool was killed from outside: by the system for lack of memory, by a driver, or by somebody."""


class ToolInDoubt(MachineTrouble):
    """A tool failed to read, or stood still. It is the machine's word against the file's: broken files can do that."""


class Stopped(ReelmillError):
    """Work was ended because somebody asked for it."""


@dataclass(frozen=True)
class Rejection:
    """Why a drop was refused, in words for the person who dropped it.

    Attributes:
        code: stable word for programs, such as ``truncated``.
        sentence: one plain sentence that says what is wrong.
        advice: what to do about it.
        measured: the figures behind the sentence (seconds, bytes, names).
    """

    code: str
    sentence: str
    advice: str
    measured: Mapping[str, object] = field(default_factory=dict)


class DropRefused(ReelmillError):
    """Raised while a drop is examined, carrying the :class:`Rejection` that will be written beside it."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.code}: {rejection.sentence} {rejection.advice}")
        self.rejection = rejection
