"""What a farm tells people by itself, and in which of its states a trouble is. Pure."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "video_finished",
    "task_failed",
    "drop_rejected",
    "node_dead",
    "node_set_aside",
    "queue_long",
    "error_rate",
    "low_disk",
    "no_encoder",
    "standstill",
    "ingest_paused",
]
"""The first three happen once; the others begin and, some time, are over."""

State = Literal["happened", "began", "over"]

KINDS: tuple[Kind, ...] = get_args(Kind)
