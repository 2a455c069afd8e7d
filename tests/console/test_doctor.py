"""``reelmill doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json

from console.doctor import lines
from shared.domain.layout import Layout
from shared.records.encoders import EncodersRecord, Trial
from tests.console.test_commands import reelmill


def test_the_doctor_shows_each_encoder() -> None:
    """What works, how fast, what `auto` takes, and what to do about the others."""
    shown = [
        Trial(encoder="h264_qsv", family="qsv", works=False, words="No session\x1b[2J.", advice="Install it."),
        Trial(encoder="h264_vaapi", family="vaapi", works=True, fps=211.4, decoder="vaapi", decoder_fps=300.0),
        Trial(encoder="libx264", family="software", works=True, fps=30.2),
    ]
    record = EncodersRecord(
        host="box", boot="b", user=0, ffmpeg="/ffmpeg: 9", codec="h264", trials=tuple(shown), tried_at="t"
    )
    said = "\n".join(lines(record))
    assert "  no     h264_qsv           No session" in said
    assert "\x1b" not in said
    assert "Install it." in said
    assert "works  h264_vaapi         211 frames a second, 300 with clips decoded by vaapi   <- what auto takes" in said
    assert "works  libx264            30 frames a second\n" in said + "\n"


def test_the_doctor_tries_all_on_this_machine(layout: Layout) -> None:
    """With the real command; problems of the configuration are told as ever."""
    status, said, _ = reelmill("doctor", "--root", str(layout.root), "--json")
    works = {trial["encoder"]: trial["works"] for trial in json.loads(said)[0]["trials"]}
    assert status == 0
    assert works["libx264"]
    assert {"h264_nvenc", "h264_qsv", "h264_vaapi", "h264_amf", "h264_videotoolbox"} <= set(works)
    layout.config.write_text("[render]\nencoder = 'fast'\n", "utf-8")
    status, _, said = reelmill("doctor", "--root", str(layout.root))
    assert status == 2
    assert "render.encoder" in said
