"""JSON in which every name from outside is harmless: what no person could see, or could be misled by, is spelt out."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse

from shared.domain.names import readable


class PlainJSON(JSONResponse):
    """The answers of the API. A name that is no UTF-8, which the disk may hold, would otherwise fail a whole answer."""

    def render(self, content: Any) -> bytes:
        return plain_text(content).encode()


def plain_text(value: Any) -> str:
    """A value (as ``model_dump(mode="json")`` gives it) as one line of JSON."""
    return json.dumps(_harmless(value), ensure_ascii=False, separators=(",", ":"))


def _harmless(value: Any) -> Any:
    """Control characters, marks that turn writing round and torn encodings become words such as ``\\x1b``."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable(str(key)): _harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    return value
