"""What ffmpeg says while it works."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.progress import Progress

BLOCK = """\
frame=240
fps=47.90
stream_0_0_q=28.0
bitrate= 512.3kbits/s
total_size=524288
out_time_us=8000000
out_time_ms=8000000
out_time=00:00:08.000000
dup_frames=0
drop_frames=0
speed=1.6x
progress=continue
"""


def read(text: str) -> Progress:
    progress = Progress()
    for line in text.splitlines():
        progress = progress.with_line(line)
    return progress


def test_a_block_of_progress_is_understood() -> None:
    """Frames, seconds, rate and speed, and that it goes on."""
    assert read(BLOCK) == Progress(frame=240, seconds=8.0, fps=47.9, speed=1.6, ended=False)


def test_the_end_is_noticed() -> None:
    """The last block says so."""
    assert read(BLOCK + "progress=end\n").ended


@pytest.mark.parametrize(
    "line", ["out_time_us=N/A", "speed=N/A", "frame=", "fps=?", "noise", "", "=", "frame=1=2", "progress=continue"]
)
def test_a_line_that_says_nothing_changes_nothing(line: str) -> None:
    """ffmpeg says N/A before the first frame."""
    before = read(BLOCK)
    assert before.with_line(line) == before


def test_time_before_the_start_is_none() -> None:
    """ffmpeg reports negative times while it fills its encoder."""
    assert Progress().with_line("out_time_us=-46440").seconds == 0.0


def test_padding_is_ignored() -> None:
    """ffmpeg pads some figures."""
    assert Progress().with_line("frame=   12").frame == 12
    assert Progress().with_line("speed=   2x").speed == 2.0


@given(st.text())
def test_no_line_breaks_the_reader(line: str) -> None:
    """A filter may write anything to the same stream."""
    assert isinstance(Progress().with_line(line), Progress)
