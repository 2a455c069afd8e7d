"""Whether a film shows what its clips show, by how bright both are from place to place. Pure.

An encoder may write black pictures and end with status 0, and so may a wrong filter. Frame by frame the grids of
:mod:`render_worker.commands.luma` are compared: bars, black clips, fades and layers are in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import sub

from render_worker.commands.luma import CELLS
from render_worker.limits import at_most, equal
from shared.records.render import Check

_CLEAR = 48  # of 255: a cell that no conversion of ours makes dark; tone mapping of PQ darkens most, to 33
_DARK = 4
_MOST_APART = 48.0  # of 255, on average over a frame; no real clip differs by half as much (tests/corpus)
_MOST_APART_CHANGED = 96.0
_MOST_STRETCHES = 10  # that are told
_GRID = CELLS * CELLS


def likeness(clips: bytes, film: bytes, frames: int, *, is_changed: bool) -> tuple[Check, ...]:
    """Compare the grids of a film's frames with those of the clips that it was made of.

    Args:
        frames: how many there should be of each.
        is_changed: whether brightness was changed on purpose: a high dynamic range was mapped, or words were drawn.
    """
    wanted, found = _grids(clips), _grids(film)
    pairs = list(zip(wanted, found, strict=False))
    apart = [sum(map(abs, map(sub, one, other))) / _GRID for one, other in pairs]
    black = (number for number, pair in enumerate(pairs) if apart[number] and _is_blacked_out(*pair))
    return (
        equal("frames compared with the clips", [len(wanted), len(found)], [frames, frames]),
        equal("black where the clips are not", _stretches(black)[:_MOST_STRETCHES], []),
        at_most(
            "difference of brightness to the clips",
            round(max(apart, default=0.0), 1),
            _MOST_APART_CHANGED if is_changed else _MOST_APART,
        ),
    )


def _grids(luma: bytes) -> list[bytes]:
    return [luma[start : start + _GRID] for start in range(0, len(luma) - _GRID + 1, _GRID)]


def _is_blacked_out(clip: bytes, film: bytes) -> bool:
    """Whether most of what is clearly not black in a clip's frame is black in the film's."""
    clear = [shown for wanted, shown in zip(clip, film, strict=True) if wanted >= _CLEAR]
    return 2 * sum(shown <= _DARK for shown in clear) > len(clear)


def _stretches(numbers: Iterable[int]) -> Sequence[str]:
    """Numbers that follow each other, as ``first-last``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{first}-{last}" for first, last in found]
