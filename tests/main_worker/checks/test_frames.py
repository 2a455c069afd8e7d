"""How one sees through a decorative frame, and what is said of one that hides everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from main_worker.checks.frames import SeenThrough, seen_through
from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media

Pixel = tuple[int, int, int, int]
GREEN, BLUE, LEAF, COAT, CLEAR = (
    (0, 177, 64, 255),
    (0, 71, 187, 255),
    (90, 110, 60, 255),
    (40, 42, 44, 255),
    (9, 9, 9, 0),
)


def sample(**shares: float) -> list[Pixel]:
    """A picture of a hundred pixels; the rest is a coat."""
    colours = {"green": GREEN, "blue": BLUE, "leaf": LEAF, "clear": CLEAR}
    found = [colours[name] for name, share in shares.items() for _ in range(round(100 * share))]
    return found + [COAT] * (100 - len(found))


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        ([sample(green=0.8), sample(green=0.6)], SeenThrough(key="#00b140")),
        ([sample(blue=0.3), sample(blue=0.4, green=0.05)], SeenThrough(key="#0047bb")),
        ([sample(green=0.4, blue=0.3)] * 2, SeenThrough(key="#00b140")),
        ([sample(green=0.8), sample(green=0.2)], SeenThrough()),
        ([sample(leaf=0.9)] * 3, SeenThrough()),
        ([sample()], SeenThrough()),
        ([sample(clear=0.02, green=0.9), sample()], SeenThrough(alpha=True)),
        ([], SeenThrough()),
    ],
)
def test_a_wall_is_seen_in_all_samples_and_alpha_goes_before_it(
    samples: list[list[Pixel]], wanted: SeenThrough
) -> None:
    """What is green in passing is no wall, and neither are leaves."""
    assert seen_through(samples) == wanted


def test_a_frame_that_hides_everything_is_refused(desk: Desk, media: Media) -> None:
    """With what to do about it; a configuration that names a colour takes it."""
    reason = desk.refusal(media.clip(), Kind.FRAME)
    assert reason.code == "opaque"
    assert "neither an alpha channel nor a green or blue area" in reason.sentence
    named = desk.examine(media.clip(), Kind.FRAME, {"render": {"frame_key": "#ff0000"}})
    assert named.video
    assert (named.video.alpha, named.video.key) == (False, None)


def test_what_was_measured_is_kept(desk: Desk, media: Media) -> None:
    """Of a film with a green wall, and of a single picture that is half clear."""
    walled = desk.examine(media.frame(), Kind.FRAME).video
    assert walled
    assert (walled.alpha, walled.key) == (False, "#00d700")
    clear = "color=red:s=64x48:r=10:d=1,format=rgba,geq=r=255:g=0:b=0:a='if(lt(X,32),0,255)'"
    still = media.made("half-clear.mov", "-f", "lavfi", "-i", clear, "-frames:v", "1", "-c:v", "qtrle")
    seen = desk.examine(still, Kind.FRAME).video
    assert seen
    assert (seen.alpha, seen.key, seen.frames) == (True, None, 1)
    plain = desk.examine(media.clip(), Kind.VIDEO).video
    assert plain
    assert (plain.alpha, plain.key) == (False, None)
