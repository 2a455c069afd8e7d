"""From one shot to the next, as filters: at once, through black, or one over the other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import ffmpeg

from shared.domain.plan import Transition


class Take(NamedTuple):
    """One shot: its pictures, how many there are, and how many of them are in the transition from the one before."""

    stream: Any
    frames: int
    enters: int


def joined(takes: Sequence[Take], transition: Transition, rate: Fraction) -> Any:
    """All shots, one after the other; exactly the sum of their frames, less those that show two of them."""
    if transition.kind == "fade":
        takes = _faded(takes)
    if not transition.shared or not any(take.enters for take in takes):
        return _concatenated([take.stream for take in takes])
    film = takes[0]
    for take in takes[1:]:
        both = film.frames + take.frames
        if take.enters:
            film = Take(_crossfaded(film, take, rate), both - take.enters, 0)
        else:
            film = Take(_concatenated([film.stream, take.stream]), both, 0)
    return film.stream


def _concatenated(streams: Sequence[Any]) -> Any:
    return ffmpeg.filter(list(streams), "concat", n=len(streams), v=1, a=0) if len(streams) > 1 else streams[0]


def _crossfaded(before: Take, after: Take, rate: Fraction) -> Any:
    """`xfade` counts in the time base of its inputs, which has to be that of the frames so that none is lost."""
    streams = [take.stream.filter("fps", str(rate)) for take in (before, after)]
    begins, lasts = (f"{float(frames / rate):.6f}" for frames in (before.frames - after.enters, after.enters))
    return ffmpeg.filter(streams, "xfade", transition="fade", duration=lasts, offset=begins)


def _faded(takes: Sequence[Take]) -> list[Take]:
    """Each shot goes into black where the next one comes out of it."""
    streams = [take.stream.filter("fade", t="in", s=0, n=take.enters) if take.enters else take.stream for take in takes]
    leaves = [*(after.enters for _, after in pairwise(takes)), 0]
    return [
        take._replace(stream=stream.filter("fade", t="out", s=take.frames - gone, n=gone) if gone else stream)
        for take, stream, gone in zip(takes, streams, leaves, strict=True)
    ]
