"""What is implausibly fast is told from what is merely fast."""

from __future__ import annotations

import pytest

from render_worker.speed import bytes_written, pixels_encoded, sound_encoded

HD = (1920, 1080)


@pytest.mark.parametrize(
    ("frames", "size", "seconds"),
    [
        (108_000, HD, 60.0),  # an hour in a minute: 16 hardware encoders at 112 frames a second each
        (900, HD, 0.1),
        (1, (7680, 4320), 0.001),
        (60, (320, 180), 0.0),  # nothing that small can be told from nothing
    ],
)
def test_an_honest_encoder_is_believed(frames: int, size: tuple[int, int], seconds: float) -> None:
    """Also one that is many times faster than any there is."""
    assert pixels_encoded(frames, *size, seconds).passed


@pytest.mark.parametrize(("frames", "seconds"), [(108_000, 1.0), (1800, 0.01), (900, 0.0)])
def test_an_encoder_that_did_nothing_is_found(frames: int, seconds: float) -> None:
    """Its figure stands in the check, with the limit."""
    check = pixels_encoded(frames, *HD, seconds)
    assert not check.passed
    assert check.measured > 100e9
    assert check.limit == "at most 1e+11"


def test_sound_and_bytes_have_their_limits() -> None:
    """An hour of sound in a second is plausible on a hundred cores, in a hundredth of one on none."""
    assert sound_encoded(3600, 1).passed
    assert not sound_encoded(3600, 0.01).passed
    assert bytes_written(2_000_000_000, 0.5).passed
    assert not bytes_written(2_000_000_000, 0.0).passed


def test_a_clock_that_stands_still_or_goes_back_divides_by_nothing() -> None:
    """A stopwatch may be off by a millisecond."""
    assert sound_encoded(10, 0.0).measured == sound_encoded(10, -5.0).measured == 10_000
