"""What the loudness meter says is read, whatever else was said."""

from __future__ import annotations

import pytest

from shared.child import Limits
from shared.domain.errors import MachineTrouble
from shared.domain.media import LoudnessFacts
from shared.ffmpeg import find_ffmpeg
from shared.meter import METER, STEREO, integrated_of, summary_of

SUMMARY = """[Parsed_ebur128_0 @ 0x1] Summary:

  Integrated loudness:
    I:         -16.1 LUFS
    Threshold: -26.4 LUFS

  Loudness range:
    LRA:         4.4 LU
    Threshold: -36.4 LUFS
    LRA low:   -19.3 LUFS
    LRA high:  -14.9 LUFS

  True peak:
    Peak:       {} dBFS
"""


@pytest.mark.parametrize(("peak", "read"), [("-1.6", -1.6), ("0.2", 0.2), ("-inf", float("-inf"))])
def test_the_meter_s_summary_is_read(peak: str, read: float) -> None:
    """Whatever was said before it."""
    assert summary_of(f"I: -99.9 LUFS\n{SUMMARY.format(peak)}") == LoudnessFacts(-16.1, 4.4, read, threshold=-26.4)


def test_the_loudness_alone_is_read() -> None:
    """Of a meter that was not asked for peaks."""
    assert integrated_of(SUMMARY.partition("  True peak")[0]) == -16.1


def test_a_meter_that_says_nothing_is_the_machine_s_trouble() -> None:
    """No file is blamed for a strange ffmpeg."""
    with pytest.raises(MachineTrouble, match="ebur128"):
        summary_of("something else")


@pytest.mark.parametrize(("layout", "lufs"), [("mono", -23.0), ("stereo", -20.0)])
def test_a_sine_measures_as_the_standard_says(layout: str, lufs: float) -> None:
    """On both sides it has as many LUFS as dBFS at its peak (EBU Tech 3341); on one, it is spread over both first."""
    source = f"aevalsrc={'|'.join(['0.1*sin(2*PI*997*t)'] * (1 if layout == 'mono' else 2))}:d=5:s=44100"
    ended, _ = find_ffmpeg("").run(
        ["-loglevel", "info", "-f", "lavfi", "-i", source, "-af", f"{STEREO},{METER}", "-f", "null", "-"],
        limits=Limits(total_seconds=60),
        stopping=lambda: False,
    )
    found = summary_of(ended.errors)
    assert found.integrated == pytest.approx(lufs, abs=0.1)
    assert found.true_peak == pytest.approx(lufs, abs=0.15)
