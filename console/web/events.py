"""What the stream tells, as server-sent events: the farm, or since when and why it cannot be told."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from console.options import in_words
from console.web.plain import plain_text
from shared.domain.errors import ReelmillError
from shared.records.record import utc_now

ALIVE = "event: alive\ndata: {}\n\n"  # an event, and no comment: browsers tell pages nothing of comments
_HANGS = "nothing answers there, as with a network mount whose server has gone"


class Events:
    """Looks at a farm; remembers since when that fails.

    Args:
        look: tells the farm; its `OSError` and `ReelmillError` mean that nobody can.
    """

    def __init__(self, look: Callable[[], BaseModel]) -> None:
        self._look = look
        self._begun = utc_now()
        self._failing_since: str | None = None

    def now(self) -> str:
        """The farm, or why it cannot be told. The same words as long as nothing changes."""
        self._begun = utc_now()
        try:
            view = self._look()
        except (OSError, ReelmillError) as error:
            return self._unreachable(in_words(error))
        self._failing_since = None
        return f"data: {plain_text(view.model_dump(mode='json', by_alias=True))}\n\n"

    def late(self) -> str:
        """What to tell where a look that began does not end, which may be never; from any thread."""
        return self._unreachable(_HANGS)

    def _unreachable(self, why: str) -> str:
        self._failing_since = self._failing_since or self._begun
        return f"event: unreachable\ndata: {plain_text({'why': why, 'since': self._failing_since})}\n\n"
