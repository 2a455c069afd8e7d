"""Video encoders: which one a name means, and the options that let its segments be joined."""

from __future__ import annotations

from render_worker.commands.encoders import ENCODERS, LIBX264, choose_encoder


def test_the_encoder_of_a_name() -> None:
    """``auto`` takes what works everywhere; each encoder is found under ffmpeg's name for it."""
    assert choose_encoder("auto") is LIBX264
    assert all(choose_encoder(name).name == name for name in ENCODERS)


def test_x264_makes_closed_groups_on_a_fixed_grid() -> None:
    """These options are what lets segments of one setting be joined by copy."""
    assert LIBX264.options(21, "medium", 60) == {
        "c:v": "libx264",
        "preset": "medium",
        "crf": 21,
        "g": 60,
        "keyint_min": 60,
        "sc_threshold": 0,
        "flags": "+cgop",
        "profile:v": "high",
        "pix_fmt": "yuv420p",
    }
