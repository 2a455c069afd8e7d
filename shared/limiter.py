"""The limiter that holds peaks down, with ffmpeg's `alimiter`: one setting wherever sounds are made or tried."""

from __future__ import annotations

from typing import Any


def limiter(limit_db: float) -> dict[str, Any]:
    """Its options; samples stay below `limit_db`, in dBFS. Fast enough for speech, slow enough not to be heard."""
    return {
        "limit": f"{limit_db:.3f}dB",
        "level": 0,  # else it makes what it limits as loud as it can
        "attack": 5,
        "release": 50,
        "latency": 1,  # else all of it comes late by its attack
    }


def spelled(limit_db: float) -> str:
    """The same as part of a filter graph."""
    return "alimiter=" + ":".join(f"{key}={value}" for key, value in limiter(limit_db).items())
