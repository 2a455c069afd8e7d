"""What a farm tells people by itself, and in which of its states a trouble is. Pure."""

from __future__ import annotations

from typing import Literal, get_args

Happening = Literal["video_finished", "task_failed", "drop_rejected"]
"""What happens once."""

Lasting = Literal[
    "node_dead", "node_set_aside", "queue_long", "error_rate", "low_disk", "no_encoder", "standstill", "ingest_paused"
]
"""What begins and, some time, is over."""

Kind = Happening | Lasting
State = Literal["happened", "began", "over"]

KINDS: tuple[Kind, ...] = (*get_args(Happening), *get_args(Lasting))
