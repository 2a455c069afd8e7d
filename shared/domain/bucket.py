"""A token bucket: how long bytes must wait so that, on average, no more than so many go in a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bucket:
    """What may be spent at once (bytes; negative: owed), and when that was so (seconds of the caller's clock)."""

    level: float
    at: float


def spend(bucket: Bucket, now: float, amount: int, rate: float, burst: float) -> tuple[Bucket, float]:
    """Take `amount` bytes out, at `rate` bytes per second; returns what is left and how many seconds to wait first.

    Taking more than there is makes a debt, which later ones wait for as well: a block larger than `burst` passes too.
    """
    level = min(burst, bucket.level + max(0.0, now - bucket.at) * rate) - amount
    return Bucket(level, max(now, bucket.at)), max(0.0, -level / rate)
