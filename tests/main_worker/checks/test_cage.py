"""What a check may take of the machine, and whose fault it is when it takes more."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.arrival.ready import Ready
from main_worker.checks.cage import Cage, limits_for, projected_cost
from main_worker.checks.examination import Examiner
from shared import mediainfo
from shared.child import Limits
from shared.config import Config
from shared.domain.drop import Kind
from shared.domain.errors import DropRefused, MachineTrouble
from shared.ffmpeg import Ffmpeg
from shared.settings import Ingest

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Media

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows these limits")


# -- what it will cost ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "decoded", "declared", "cost"),
    [
        (1.0, 0.0, 600.0, None),  # nothing has come out yet
        (2.0, 1.0, 600.0, None),  # too early to tell
        (20.0, 10.0, 600.0, 1200.0),
        (20.0, 100.0, 600.0, None),  # 120 s
        (20.0, 80.0, 600.0, None),  # 150 s: a beginning may be harder than the rest
        (20.0, 10.0, 0.0, None),  # it does not say how long it is: the limit itself decides
        (95.0, 600.0, 600.0, None),
    ],
)
def test_a_cost_is_projected_from_the_beginning(used: float, decoded: float, declared: float, cost: float) -> None:
    """With a budget of 100 s, once a tenth of it is used, and with half as much again for doubt."""
    assert projected_cost(used, decoded, declared, 100.0) == cost


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e5))
def test_a_projection_is_above_the_budget_or_nothing(
    used: float, decoded: float, declared: float, budget: float
) -> None:
    """A drop that keeps to it is never refused early."""
    cost = projected_cost(used, decoded, declared, budget)
    assert cost is None or cost > budget
    if declared <= decoded and used <= budget:
        assert cost is None


@linux
def test_a_clip_that_would_cost_too_much_is_refused_early(desk: Desk, media: Media) -> None:
    """After a small part of the budget; the sentence names what was measured and the setting."""
    rejection = desk.refusal(media.slow_clip(), Kind.VIDEO, {"ingest": {"decode_budget_seconds": 3}})
    assert rejection.code == "too_costly"
    assert "would use about" in rejection.sentence
    assert "3 s are allowed (ingest.decode_budget_seconds)" in rejection.sentence
    assert "raise ingest.decode_budget_seconds" in rejection.advice


def test_a_sound_that_costs_too_much_is_ended_by_the_kernel(desk: Desk, media: Media) -> None:
    """Nothing is projected for sounds, and the limit holds all the same."""
    music = media.made("long-music.mp3", "-f", "lavfi", "-i", "anoisesrc=r=8000:d=1200", "-b:a", "8k")
    rejection = desk.refusal(music, Kind.MUSIC, {"ingest": {"decode_budget_seconds": 1}})
    assert rejection.code == "too_costly"
    assert "ingest.decode_budget_seconds" in rejection.sentence


@linux
def test_headers_that_come_to_no_end_are_refused(desk: Desk, media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting is named: a minute is plenty for any header."""
    monkeypatch.setattr(mediainfo, "_CHILD", "while True: pass")
    monkeypatch.setattr(mediainfo, "_LIMITS", Limits(total_seconds=5))
    rejection = desk.refusal(media.clip(), Kind.VIDEO)
    assert (rejection.code, rejection.advice) == ("too_slow", "Export it again.")
    assert rejection.sentence == "Reading its headers took longer than 5 s."


@linux
def test_a_clip_that_needs_too_much_memory_is_refused_by_it(desk: Desk, media: Media, tmp_path: Path) -> None:
    """A decoder that is refused memory says so; how it goes on from there is its own matter."""
    greedy = tmp_path / "ffmpeg"
    greedy.write_text(f"#!{sys.executable}\nbytearray(600_000_000)\n")
    greedy.chmod(0o755)
    config = Config.model_validate({"ingest": {"memory_bytes": 512_000_000}})
    examiner = Examiner(Cage(config, Ffmpeg(str(greedy), "greedy"), lambda: False), desk.staging)
    with pytest.raises(DropRefused) as refused:
        examiner.examine(*desk.ready(media.clip(), Kind.VIDEO), lambda _: None)
    assert refused.value.rejection.code == "too_costly"
    assert "512 MB of memory (ingest.memory_bytes)" in refused.value.rejection.sentence
    assert desk.examine(media.clip(), Kind.VIDEO, {"ingest": {"memory_bytes": 512_000_000}}).video


def test_patience_grows_with_the_length_of_a_drop() -> None:
    """Ten minutes of film may take longer than the least patience; standing still may not."""
    ingest = Ingest(check_timeout_seconds=120, check_timeout_ratio=10)
    assert [limits_for(ingest, seconds).total_seconds for seconds in (0, 12, 600)] == [120, 120, 6000]
    assert limits_for(ingest, 600).silence_seconds == 120


def test_cores_are_shared_among_checks(desk: Desk, media: Media, tmp_path: Path) -> None:
    """As many checks as there may be take all cores together, and each takes one at least."""
    said = tmp_path / "arguments"
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\n')
    script.chmod(0o755)
    for workers in (1, 64):
        config = Config.model_validate({"ingest": {"workers": workers}})
        Cage(config, Ffmpeg(str(script), "none"), lambda: False).run("mov", media.clip(), [])
        words = said.read_text().splitlines()
        threads = int(words[words.index("-threads") + 1])
        assert 1 <= threads <= max(1, (os.cpu_count() or 1) // workers)
        assert words.index("-threads") < words.index("-i")


# -- whose fault it is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class OnALostMount(Ready):
    """A drop that can be read once; then its mount gives errors, or other bytes."""

    then: Any = None

    def open(self) -> IO[bytes]:
        if self.path.with_suffix(".read").exists():
            if isinstance(self.then, OSError):
                raise self.then
            return Path(self.then).open("rb")
        self.path.with_suffix(".read").touch()
        return super().open()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_drop_that_cannot_be_read_any_more_is_not_refused(
    desk: Desk, media: Media, tmp_path: Path, number: int
) -> None:
    """A mount that goes away under a decoder looks like a cut file; only reading it again tells them apart."""
    path = tmp_path / "cut.mp4"
    path.write_bytes(media.half(media.clip("fast-start.mp4", "-movflags", "+faststart", seconds=6)).read_bytes())
    ready, drop = desk.ready(path, Kind.VIDEO)
    lost = OnALostMount(**vars(ready), then=OSError(number, os.strerror(number)))
    with pytest.raises(MachineTrouble, match=os.strerror(number)):
        Examiner(desk.cage(), desk.staging).examine(lost, drop, lambda _: None)
    with pytest.raises(DropRefused, match="truncated"):
        Examiner(desk.cage(), desk.staging).examine(ready, drop, lambda _: None)


def test_a_drop_whose_bytes_differ_from_read_to_read_is_not_refused(desk: Desk, media: Media, tmp_path: Path) -> None:
    """Bad memory and bad disks are not its owner's fault."""
    path = tmp_path / "text.mp4"
    path.write_text("It was a dark night.")
    ready, drop = desk.ready(path, Kind.VIDEO)
    with pytest.raises(MachineTrouble, match="other bytes each time"):
        Examiner(desk.cage(), desk.staging).examine(
            OnALostMount(**vars(ready), then=media.clip()), drop, lambda _: None
        )


# -- what the tools open ---------------------------------------------------------------------------


@linux
def test_a_check_runs_without_a_network(desk: Desk, media: Media, tmp_path: Path) -> None:
    """Both tools: ffmpeg here, and MediaInfo by the same leash (shared/mediainfo.py)."""
    from shared.leash import can_isolate  # noqa: PLC0415
    from shared.mediainfo import _LIMITS  # noqa: PLC0415

    assert _LIMITS.offline
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nreadlink /proc/self/ns/net >&2\n")
    script.chmod(0o755)
    ended, _ = Cage(Config(), Ffmpeg(str(script), "none"), lambda: False).run("mov", media.clip(), [])
    here = Path("/proc/self/ns/net").readlink()
    assert (ended.errors.strip() != str(here)) == can_isolate()
