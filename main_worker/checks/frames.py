"""Can a decorative frame be laid over a picture? How one sees through it: by its alpha channel, or by a colour."""

from __future__ import annotations

import colorsys
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from main_worker.checks.cage import Cage, refused, unreadable
from main_worker.checks.pictures import examine_clip
from shared.domain.media import VideoFacts
from shared.domain.plan import exact_rate, treatment_of
from shared.ffmpeg import file_url

_SIDE = 64  # pixels of a sample
_SAMPLES = 12
_OPAQUE = 250  # of 255: what is less is seen through
_LEAST_CLEAR = 0.005  # share of all samples
_LEAST_KEY = 0.25  # share of each sample; a wall behind a person, the hole of a frame
# Walls are green or blue, since no skin is. Hues in degrees; what is pale or dark is no wall.
_WALLS = ((90.0, 160.0), (200.0, 255.0))
_LEAST_SATURATION, _LEAST_VALUE = 0.35, 0.2
_SAME_HUE = 15.0  # degrees from the wall's own, however it is lit

_Pixel = tuple[int, int, int, int]


@dataclass(frozen=True)
class SeenThrough:
    """How one sees through a frame: by its alpha channel, or by a colour (``#rrggbb``); by neither, if at all."""

    alpha: bool = False
    key: str | None = None


def examine_frame(cage: Cage, path: Path, staging: Path) -> VideoFacts:
    """Examine a decorative frame as a clip, and how one sees through it.

    Args:
        staging: a folder for what is made on the way.

    Raises:
        DropRefused: as :func:`examine_clip`; or it would hide all that it lies over.
    """
    facts = examine_clip(cage, path, still=True)
    seen = seen_through(_samples(cage, path, facts, staging))
    found = replace(facts, alpha=seen.alpha, key=seen.key)
    if not any(cage.config.profile(name).render.shows(found) for name in cage.config.profile_names):
        raise refused(
            "opaque",
            "Nothing would be seen through this frame: it has neither an alpha channel nor a green or blue area that "
            "could be taken out.",
            "Export it as ProRes 4444 with alpha, or with pure green where the video shall be seen; or name the colour "
            "to be taken out as render.frame_key. A film that is to be seen whole belongs in raw/video/.",
        )
    return found


def _samples(cage: Cage, path: Path, facts: VideoFacts, staging: Path) -> list[list[_Pixel]]:
    """A few pictures of a film, small, as pixels of red, green, blue and alpha."""
    seconds, matrix = facts.seconds, treatment_of(facts, exact_rate(facts.frame_rate)).matrix
    apart = f"select='isnan(prev_selected_t)+gte(t-prev_selected_t,{seconds / _SAMPLES:.3f})'"
    assumed = f":in_color_matrix={matrix}" if matrix else ""  # as it is shown
    shown = f"{apart},scale={_SIDE}:{_SIDE}:flags=neighbor{assumed},format=rgba"
    with tempfile.TemporaryDirectory(dir=staging, prefix="frame-") as folder:
        samples = Path(folder, "samples")
        raw = ["-fps_mode", "passthrough", "-frames:v", str(_SAMPLES), "-f", "rawvideo", file_url(samples)]
        ended, _ = cage.run("mov", path, ["-map", "0:V:0", "-vf", shown, *raw], seconds=seconds)
        if ended.code or not samples.exists():
            raise unreadable("an MP4 or MOV video", ended)
        content = samples.read_bytes()
    pixels: list[_Pixel] = list(zip(*(content[channel::4] for channel in range(4)), strict=True))
    return [pixels[start : start + _SIDE**2] for start in range(0, len(pixels), _SIDE**2)]


def seen_through(samples: Sequence[Sequence[_Pixel]]) -> SeenThrough:
    """How one sees through the film that these are pictures of."""
    clear = [sum(alpha < _OPAQUE for *_, alpha in sample) / len(sample) for sample in samples]
    if clear and statistics.mean(clear) >= _LEAST_CLEAR:
        return SeenThrough(alpha=True)
    found = [key for wall in _WALLS if (key := _key(samples, wall))]
    return SeenThrough(key=max(found)[1]) if found else SeenThrough()


def _key(samples: Sequence[Sequence[_Pixel]], wall: tuple[float, float]) -> tuple[float, str] | None:
    """The colour of a wall that is seen in all samples, and the share of it in the sample that has least of it."""
    hues = [[(hue, pixel) for pixel in sample if (hue := _hue(pixel)) is not None] for sample in samples]
    on_wall = [hue for sample in hues for hue, _ in sample if wall[0] <= hue <= wall[1]]
    if not on_wall:
        return None
    usual = statistics.median(on_wall)
    same = [[pixel for hue, pixel in sample if abs(hue - usual) <= _SAME_HUE] for sample in hues]
    share = min(len(found) / len(sample) for found, sample in zip(same, samples, strict=True))
    if share < _LEAST_KEY:
        return None
    channels = zip(*(pixel[:3] for found in same for pixel in found), strict=True)
    return share, "#" + bytes(round(statistics.median(channel)) for channel in channels).hex()


def _hue(pixel: _Pixel) -> float | None:
    """In degrees; None for what is pale or dark."""
    red, green, blue, _ = pixel
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    return 360 * hue if saturation >= _LEAST_SATURATION and value >= _LEAST_VALUE else None
