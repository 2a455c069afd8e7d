"""The log: one line per event, in words first, then a stable event name and ids as ``key=value``."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from shared.settings import Log

Logger = structlog.stdlib.BoundLogger

_ROOT = "reelmill"
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
_NAMES = {"warning": "WARN", "critical": "ERROR", "exception": "ERROR"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:/%@,")


def open_log(component: str, settings: Log) -> Logger:
    """Set up logging to standard error for this process and return its logger.

    Args:
        component: ``main_worker`` or ``render_worker``, the third field of every line.
    """
    root = logging.getLogger(_ROOT)
    root.handlers = []
    _write_to(logging.StreamHandler(sys.stderr))
    root.propagate = False
    root.setLevel(_LEVELS[settings.level])
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            _as_json if settings.format == "json" else _as_line,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logger: Logger = structlog.get_logger(_ROOT, component=component)
    return logger


def log_to_file(settings: Log, path: Path) -> None:
    """Write the log to a rotated file as well, if the configuration wants files. One process per file."""
    if not settings.file:
        return
    _write_to(
        logging.handlers.RotatingFileHandler(
            path, maxBytes=settings.max_bytes, backupCount=settings.keep, encoding="utf-8", errors="backslashreplace"
        )
    )


class _Finished(logging.Formatter):
    """What arrives is a whole line; logging itself would add the trace of a fault once more, with nothing made safe."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()


def _write_to(handler: logging.Handler) -> None:
    handler.setFormatter(_Finished())
    logging.getLogger(_ROOT).addHandler(handler)


def line(fields: MutableMapping[str, Any]) -> str:
    """One text line: ``TIME LEVEL COMPONENT "MESSAGE" key=value …``; nothing in it can break the line.

    The trace of a fault follows on lines of its own, set in so that none of them can pass for an event.
    """
    rest = dict(fields)
    head = [str(rest.pop(name, "-")) for name in ("timestamp", "level", "component")]
    message = json.dumps(_visible(str(rest.pop("message", ""))), ensure_ascii=False)
    pairs = [f"{key}={_value(value)}" for key, value in rest.items() if value is not None and key != "exception"]
    text = " ".join([*head, message, *pairs])
    trace = str(rest.get("exception") or "").splitlines()
    return "".join([text, *(f"\n    {_visible(part)}" for part in trace)])


def _stamp(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    fields["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields["level"] = _NAMES.get(str(fields["level"]), str(fields["level"]).upper())
    fields["message"] = fields.pop("event", "")
    if "name" in fields:  # callers give the stable event name as `name=`, structlog owns the word `event`
        fields["event"] = fields.pop("name")
    return fields


def _as_line(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> str:
    return line(fields)


def _as_json(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> str:
    return json.dumps(fields, default=str, ensure_ascii=True)


def _value(value: object) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else _visible(str(value))
    return text if text and all(char in _PLAIN for char in text) else json.dumps(text, ensure_ascii=False)


def _visible(text: str) -> str:
    """Control characters, line separators and lone surrogates of hostile names, made harmless."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
